"""Show who moves between the published grades and a shadow's, before it is promoted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.cli.challenges import Slug, challenge_of
from tinytorch_compete.cli.console import console, say, table
from tinytorch_compete.cli.leaderboard import LEADERBOARD
from tinytorch_compete.cli.options import DEFAULT, Final, Folder, options, stored
from tinytorch_compete.cli.results import write_table
from tinytorch_compete.course import staged_copies
from tinytorch_compete.errors import CompeteError, StoreError
from tinytorch_compete.leaderboard import board
from tinytorch_compete.model import ChallengeSpec, Result
from tinytorch_compete.participants import roster_file
from tinytorch_compete.regrading import audit, changes, staging
from tinytorch_compete.regrading import reasons as regrading_reasons
from tinytorch_compete.regrading.changes import GradeChange
from tinytorch_compete.rendering.column import Column
from tinytorch_compete.results import conditions
from tinytorch_compete.results.folder import ResultsFolder, name


def diff(
    context: typer.Context,
    slug: Slug,
    results: Folder = DEFAULT,
    csv: Annotated[Path | None, typer.Option(help="Write every student's move as CSV.")] = None,
    final: Final = False,
) -> None:
    """Show who moves if a shadow is promoted, and why."""
    challenge = challenge_of(context, slug)
    held = staging.stored(results, challenge.slug, final)
    after = staging.current(challenge, held, final)
    if not after:
        raise CompeteError(
            f"{held.place}: no grade there under the challenge and grader as they are now. Grade "
            f"them: tito compete grade {challenge.slug} FOLDER --shadow"
        )
    before = staging.standing(stored(results), challenge.slug, final)
    old = _published_facts(challenge, results, final)
    secret, known = results.secret(), roster_file.read(results, challenge.slug)
    found = changes.compare(old, challenge.spec, before, after, secret, known)
    if csv:
        write_table(changes.frame(found), csv, None)
        return
    _print(found, before, after)
    where = f"{options(challenge.slug, results, final)} FOLDER"
    if staged_copies.StagedCopies(results.staged(challenge.slug, final)).folder.exists():
        where = f"{challenge.slug} --course FOLDER{' --final' if final else ''}"
    say(f"Publish: tito compete grade {where} --promote")


def _published_facts(challenge: Challenge, folder: ResultsFolder, final: bool) -> ChallengeSpec:
    """The facts of the leaderboard that was written last; today's if there is none."""
    try:
        path = folder.root / LEADERBOARD / f"{name(challenge.slug, final)}.json"
        return board.read(path).challenge
    except StoreError:
        return challenge.spec


def _print(
    found: Sequence[GradeChange], before: dict[str, Result], after: dict[str, Result]
) -> None:
    pairs = [(before[student], after[student]) for student in before if student in after]
    changed = dict.fromkeys(word for one, two in pairs for word in _conditions(one, two))
    under = f"under another {' and '.join(changed)}" if changed else "under the same conditions"
    say(f"{len(after)} graded anew, {under}.")
    worths: dict[str, str] = {}
    for one, two in pairs:
        worths |= regrading_reasons.reworth(one, two) if one.cells and two.cells else {}
    for cell, worth in worths.items():
        say(f"Cell {cell} is worth {worth} points.")
    moving = [move for move in found if move.visible]
    if moving:
        columns = [Column.unbroken("student"), Column.numeric("points")]
        columns += [Column.unbroken("tier"), Column.numeric("place")]
        console.print(table("", columns, [_row(move) for move in moving]))
    told = [move for move in moving if move.reasons]
    if told:
        rows = [line for move in told for line in _why(move)]
        console.print(table("\nWhy", [Column.unbroken(), Column()], rows))
    say("\n" + _summary(found))
    left = [move for move in found if move.way == "left"]
    for why in dict.fromkeys(move.reasons[0] for move in left):
        names = [move.student for move in left if move.reasons[0] == why]
        say(f"{len(names)} {why}, left as it is and off the new board: {staging.named(names)}")


def _conditions(one: Result, two: Result) -> list[str]:
    return audit.changed(*(conditions.conditions(result.identity) for result in (one, two)))


def _row(move: GradeChange) -> list[str]:
    old, new = move.before, move.after
    points = [_points(result) for result in (old, new)]
    tiers = [result.tier or "none" if result else "none" for result in (old, new)]
    return [move.student, _arrow(*points), _arrow(*tiers), _arrow(*move.places)]


def _points(result: Result | None) -> str:
    if result is None or result.withdrawal:
        return "–"
    return f"{result.points:g}/{result.max_points:g}"


def _arrow(old: str, new: str) -> str:
    return old if old == new else f"{old or '–'} → {new or '–'}"


def _why(move: GradeChange) -> list[list[str]]:
    """The student's name, and a line for each reason."""
    reasons = list(move.reasons)
    if move.noise:
        reasons[0] = f"only noise: {reasons[0]}"
    names = [move.student, *[""] * (len(reasons) - 1)]
    lines = [reason.replace("\n", " ") for reason in reasons]
    return [[f"  {who}", text] for who, text in zip(names, lines, strict=True)]


def _summary(found: Sequence[GradeChange]) -> str:
    """How many go up, down and stay, and how much of that isn't their own doing."""
    count = {way: sum(move.way == way for move in found) for way in ("up", "down", "same", "new")}
    text = f"{count['up']} up, {count['down']} down, {count['same']} stay"
    text += f", {count['new']} new" if count["new"] else ""
    noise = sum(move.noise and move.way in ("up", "down") for move in found)
    shifted = sum(move.way == "same" and len(set(move.places)) > 1 for move in found)
    parts = [f"{noise} of these by noise alone"] if noise else []
    parts += [f"{shifted} of those who stay change place"] if shifted else []
    return "; ".join([text, *parts]) + "."
