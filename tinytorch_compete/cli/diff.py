"""Compare published grades with a staged regrade, before it is promoted."""

from __future__ import annotations

import contextlib
from collections import Counter
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
    csv: Annotated[Path | None, typer.Option(help="Write every student's change as CSV.")] = None,
    final: Final = False,
) -> None:
    """Show whose grade changes if the staged regrade is promoted, and why."""
    challenge = challenge_of(context, slug)
    after = _staged(challenge, results, final)
    with contextlib.closing(stored(results)) as store:
        before = staging.standing(store, challenge.slug, final)
    old = _published_facts(challenge, results, final)
    secret, roster = results.secret(), roster_file.read(results, challenge.slug)
    grade_changes = changes.compare(old, challenge.spec, before, after, secret, roster)
    if csv:
        write_table(changes.frame(grade_changes), csv, None)
        return
    _print(grade_changes, before, after)
    where = f"{options(challenge.slug, results, final)} FOLDER"
    if staged_copies.StagedCopies(results.staged(challenge.slug, final)).folder.exists():
        where = f"{challenge.slug} --course FOLDER{' --final' if final else ''}"
    say(f"Publish: tito compete grade {where} --promote")


def _staged(challenge: Challenge, folder: ResultsFolder, final: bool) -> dict[str, Result]:
    """Return each student's staged grade; raises ``CompeteError`` if there is none."""
    with contextlib.closing(staging.stored(folder, challenge.slug, final)) as store:
        results = staging.current(challenge, store, final)
        if not results:
            raise CompeteError(
                f"{store.place}: no grades under the current challenge and grader. Regrade with: "
                f"tito compete grade {challenge.slug} FOLDER --shadow"
            )
    return results


def _published_facts(challenge: Challenge, folder: ResultsFolder, final: bool) -> ChallengeSpec:
    """Return the challenge as the last leaderboard has it, or today's if there is none."""
    try:
        path = folder.root / LEADERBOARD / f"{name(challenge.slug, final)}.json"
        return board.read(path).challenge
    except StoreError:
        return challenge.spec


def _print(
    grade_changes: Sequence[GradeChange], before: dict[str, Result], after: dict[str, Result]
) -> None:
    pairs = [(before[student], after[student]) for student in before if student in after]
    _print_conditions(pairs, len(after))
    visible = [change for change in grade_changes if change.visible]
    if visible:
        columns = [Column.unbroken("student"), Column.numeric("points")]
        columns += [Column.unbroken("tier"), Column.numeric("place")]
        console.print(table("", columns, [_row(change) for change in visible]))
    if rows := [line for change in visible if change.reasons for line in _why(change)]:
        console.print(table("\nWhy", [Column.unbroken(), Column()], rows))
    say("\n" + _summary(grade_changes))
    unstaged = [change for change in grade_changes if change.way == "left"]
    for why in dict.fromkeys(change.reasons[0] for change in unstaged):
        names = [change.student for change in unstaged if change.reasons[0] == why]
        say(f"{len(names)} {why}, unchanged and off the new leaderboard: {staging.named(names)}")


def _print_conditions(pairs: Sequence[tuple[Result, Result]], count: int) -> None:
    """Say under which other conditions ``count`` were regraded, and which cells changed worth."""
    changed = dict.fromkeys(
        word
        for pair in pairs
        for word in audit.changed(*(conditions.conditions(result.identity) for result in pair))
    )
    under = f"under another {' and '.join(changed)}" if changed else "under the same conditions"
    say(f"{count} regraded, {under}.")
    worths: dict[str, str] = {}
    for old, new in pairs:
        worths |= regrading_reasons.reworth(old, new) if old.cells and new.cells else {}
    for cell, worth in worths.items():
        say(f"Cell {cell} is worth {worth} points.")


def _row(change: GradeChange) -> list[str]:
    old, new = change.before, change.after
    points = [_points(result) for result in (old, new)]
    tiers = [result.tier or "none" if result else "none" for result in (old, new)]
    return [change.student, _arrow(*points), _arrow(*tiers), _arrow(*change.places)]


def _points(result: Result | None) -> str:
    if result is None or result.withdrawal:
        return "–"
    return f"{result.points:g}/{result.max_points:g}"


def _arrow(old: str, new: str) -> str:
    return old if old == new else f"{old or '–'} → {new or '–'}"


def _why(change: GradeChange) -> list[list[str]]:
    """Return a line for each reason, the first with the student's name."""
    reasons = list(change.reasons)
    if change.noise:
        reasons[0] = f"only noise: {reasons[0]}"
    names = [change.student, *[""] * (len(reasons) - 1)]
    lines = [reason.replace("\n", " ") for reason in reasons]
    return [[f"  {name}", line] for name, line in zip(names, lines, strict=True)]


def _summary(grade_changes: Sequence[GradeChange]) -> str:
    """Count who goes up, down or stays, and who of them does so by noise or others' changes."""
    count = Counter(change.way for change in grade_changes)
    text = f"{count['up']} up, {count['down']} down, {count['same']} stay"
    text += f", {count['new']} new" if count["new"] else ""
    noise = sum(change.noise and change.way in ("up", "down") for change in grade_changes)
    shifted = sum(change.way == "same" and len(set(change.places)) > 1 for change in grade_changes)
    parts = [f"{noise} of these by noise alone"] if noise else []
    parts += [f"{shifted} of those who stay change place"] if shifted else []
    return "; ".join([text, *parts]) + "."
