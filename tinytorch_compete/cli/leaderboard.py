"""Commands that write the leaderboard, and grade a sample class to try it out."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tinytorch_compete.authoring import samples
from tinytorch_compete.challenges import packs
from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.cli.challenges import challenge_of
from tinytorch_compete.cli.console import say
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
        bool, typer.Option("--all", help="Write that of every challenge that has results.")
    ] = False,
    html: Annotated[bool, typer.Option("--html", help="Also write a web page.")] = False,
    me: Annotated[str, typer.Option(metavar="HANDLE", help="Mark the row of this handle.")] = "",
    final: Final = False,
) -> None:
    """Write the leaderboard as a notebook, under handles."""
    if (slug is None) != every:
        raise CompeteError("name one challenge, or use --all.")
    if every and me:
        raise CompeteError("--me marks a handle on one board: name its challenge instead of --all.")
    single = None if slug is None else challenge_of(context, slug)
    with contextlib.closing(stored(results)) as store:
        challenges = [single] if single else _graded(context, store, final)
        if not challenges:
            raise CompeteError(f"{results}: no {'final ' if final else ''}results yet.")
        for challenge in challenges:
            for path in _publish(challenge, store, results, html=html, me=me, final=final):
                say(str(path))


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
    folder: Annotated[Path, typer.Argument(help="The folder for the class.")] = Path("demo"),
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
    with contextlib.closing(results.store()) as store:
        written = _publish(challenge, store, results, html=True)
    _say_next(challenge, folder, results, written)


def _say_next(
    challenge: Challenge, folder: Path, results: ResultsFolder, written: Sequence[Path]
) -> None:
    """Name the files of the demo, and the commands to try on them."""
    say(f"The results table: {results.database}")
    say(f"A student's feedback: {min(results.feedback_root.glob('*/*.ipynb'))}")
    say(f"The leaderboard notebook: {written[0]}")
    say(f"The leaderboard as a web page: {written[-1]}")
    wasteful = folder / "submitted" / "whole_float64" / challenge.slug / f"{challenge.slug}.ipynb"
    say(f"To read notebooks: .venv/bin/jupyter lab {folder}")
    insights = f".venv/bin/tito compete insights {wasteful} {challenge.slug}"
    say(f"To see the cost of each line, and what to try: {insights}")
