"""Commands that show a class its standing: the leaderboard, and a sample class to try it on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinytorch_compete.authoring import samples
from tinytorch_compete.challenges import packs
from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.cli.challenges import challenge_of
from tinytorch_compete.cli.console import console, say
from tinytorch_compete.cli.grade import ConsoleObserver, check_isolation, grade_and_show
from tinytorch_compete.cli.options import DEFAULT, Final, Folder, stored
from tinytorch_compete.course.class_grading import ClassGrading
from tinytorch_compete.errors import CompeteError
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.leaderboard import board as boards
from tinytorch_compete.leaderboard.publish import publish
from tinytorch_compete.participants import roster_file
from tinytorch_compete.results.folder import ResultsFolder
from tinytorch_compete.results.store import Store
from tinytorch_compete.sandbox.local import LocalSandbox
from tinytorch_compete.submissions import submission
from tinytorch_compete.submissions.snapshot import load

LEADERBOARD = "leaderboard"


def leaderboard(
    context: typer.Context,
    slug: Annotated[
        str | None, typer.Argument(metavar="[SLUG]", help="The challenge, by its slug or alias.")
    ] = None,
    results: Folder = DEFAULT,
    every: Annotated[
        bool, typer.Option("--all", help="Of every challenge that has results.")
    ] = False,
    html: Annotated[bool, typer.Option("--html", help="Write a page, too.")] = False,
    me: Annotated[str, typer.Option(metavar="HANDLE", help="Mark where this handle is.")] = "",
    final: Final = False,
) -> None:
    """Write the leaderboard as a notebook, under handles."""
    if (slug is None) != every:
        raise CompeteError("name one challenge, or say --all.")
    if every and me:
        raise CompeteError("--me marks a handle on one board: name its challenge instead of --all.")
    kept = None if slug is None else challenge_of(context, slug)
    store = stored(results)
    challenges = [kept] if kept else _graded(context, store, final)
    if not challenges:
        raise CompeteError(f"{results}: no {'final ' if final else ''}results yet.")
    for challenge in challenges:
        for path in _publish(challenge, store, results, html=html, me=me, final=final):
            console.print(str(path), markup=False, highlight=False, soft_wrap=True)


def _graded(context: typer.Context, store: Store, final: bool) -> list[Challenge]:
    slugs = dict.fromkeys(result.identity.challenge for result in store.latest(final=final))
    challenges = packs.find(context.obj)
    return [packs.resolve(challenges, slug) for slug in slugs]


def _publish(
    challenge: Challenge,
    store: Store,
    folder: ResultsFolder,
    *,
    html: bool,
    me: str = "",
    final: bool = False,
) -> list[Path]:
    latest = store.latest(challenge.slug, final=final)
    if not latest:
        raise CompeteError(
            f"{folder}: no {'final ' if final else ''}results for {challenge.slug!r} yet; "
            "grade first."
        )
    secret = folder.secret()
    history = store.history(challenge.slug)
    roster = roster_file.read(folder, challenge.slug)
    board = boards.collect(
        challenge.slug, challenge.spec, latest, history, secret, roster, final=final
    )
    return publish(board, folder.root / LEADERBOARD, html=html, me=me)


def demo(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where to put the class.")] = Path("demo"),
) -> None:
    """Grade a sample class for real."""
    challenge = challenge_of(context, "efficient-training")
    samples.hand_in(challenge, folder / "submitted")
    results = ResultsFolder(folder / "graded")
    session = ClassGrading(
        plan=Plan.of(challenge, results.secret()),
        folder=results,
        sandbox=LocalSandbox(),
        observer=ConsoleObserver(),
        suggestions=False,
    )
    works = submission.find((folder / "submitted").resolve(), challenge.slug)
    check_isolation()
    grade_and_show(session, [load(work) for work in works])
    written = _publish(challenge, results.store(), results, html=True)
    first = sorted(results.feedback_root.glob("*/*.ipynb"))[0]
    for what, path in (
        ("The results table", results.database),
        ("A student's feedback", first),
        ("The leaderboard notebook", written[0]),
        ("The leaderboard as a page", written[-1]),
    ):
        say(f"{what}: {path}")
    wasteful = folder / "submitted" / "whole_float64" / challenge.slug / f"{challenge.slug}.ipynb"
    for what, command in (
        ("To read notebooks", f"jupyter lab {folder}"),
        (
            "To see what lines cost, and what to try",
            f"tito compete insights {wasteful} {challenge.slug}",
        ),
    ):
        say(f"{what}: .venv/bin/{command}")
