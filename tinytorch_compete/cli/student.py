"""Commands for students: join, leave, check, submit, hint, guide, and their own results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, cast, get_args

import msgspec
import typer
from rich.markdown import Markdown

from tinytorch_compete.challenges import packs
from tinytorch_compete.cli.challenges import Slug, challenge_of
from tinytorch_compete.cli.console import console, download, errors, plain, seconds, table
from tinytorch_compete.cli.student_options import (
    ChallengeName,
    DataFolder,
    Dataset,
    DropFolder,
    GuideSlug,
    Handle,
    InviteWord,
    JoinedSlug,
    Notebook,
    Progress,
    SendTo,
    Show,
    Team,
    WorkFolder,
)
from tinytorch_compete.participants.registration import Shown
from tinytorch_compete.rendering.panel import Panel
from tinytorch_compete.sandbox.local import LocalSandbox
from tinytorch_compete.student import check as student_check
from tinytorch_compete.student import hints, results
from tinytorch_compete.student import join as student_join
from tinytorch_compete.student import submit as student_submit
from tinytorch_compete.student.join_options import JoinOptions

SHARING = (
    "The course always has your results. The leaderboard, which everybody may read, shows the "
    "metrics and the tier of your newest result on a line of its own: under a handle (a pseudonym, "
    "or a name that you choose), anonymously, or not at all. You can change this by joining again; "
    "the change goes to the course with your next submission. What was published stays public."
)


def show(panel: Panel) -> None:
    """Print a panel; only its Markdown is interpreted as markup."""
    if panel.title:
        console.print(plain(panel.title), style="bold", markup=False, highlight=False)
    if panel.rows:
        console.print(table("", panel.columns, panel.rows))
    for line in panel.lines:
        console.print(plain(line), markup=False, highlight=False)
    if panel.markdown:
        console.print(Markdown(panel.markdown))


def join(
    context: typer.Context,
    slug: Slug,
    handle: Handle = None,
    to: DropFolder = None,
    folder: WorkFolder = None,
    dataset: Dataset = None,
    data: DataFolder = None,
    team: Team = None,
    word: InviteWord = None,
    shown: Show = None,
    progress: Progress = None,
) -> None:
    """Join a challenge, or change how you take part."""
    challenge = challenge_of(context, slug)
    _, before = student_join.joined(challenge, Path(), folder)
    options = JoinOptions(
        folder=folder,
        handle=handle,
        to=to,
        dataset=dataset,
        source=data,
        team=team,
        word=word,
        show=shown,
        progress=progress,
    )
    if before is None and sys.stdin.isatty():
        options = _with_answers(options)
    with download() as bar:
        panel = student_join.join(challenge, Path(), options, bar)
    show(panel)


def _with_answers(options: JoinOptions) -> JoinOptions:
    """Ask, once, for the sharing options that no flag set."""
    if None not in (options.show, options.handle, options.progress):
        return options
    console.print(SHARING, highlight=False)
    shown, handle, progress = options.show, options.handle, options.progress
    if shown is None:
        words = "Your line: handle, anonymous or nothing"
        shown = typer.prompt(words, "handle", value_proc=_one_of_three)
    if shown == "handle" and handle is None:
        handle = typer.prompt("Handle (Enter for a pseudonym)", default="", show_default=False)
    if shown == "handle" and progress is None:
        progress = typer.confirm("Show your earlier results and their days, too?", default=False)
    return msgspec.structs.replace(options, show=shown, handle=handle, progress=progress)


def _one_of_three(text: str) -> Shown:
    """Parse a typed choice; Typer asks again if it is invalid."""
    for choice in get_args(Shown):
        if text.strip().lower() == choice:
            return cast(Shown, choice)
    raise typer.BadParameter("type one of these three words")


def check(context: typer.Context, path: Notebook = None, challenge: ChallengeName = None) -> None:
    """Grade your notebook on the public images before you send it."""
    sandbox = LocalSandbox()
    try:
        with seconds("running it in a sandbox; Ctrl-C stops it") as running, download() as progress:
            panel = student_check.check(
                packs.find(context.obj), Path(), challenge, path, sandbox, progress, running
            )
    except KeyboardInterrupt:
        errors.print("Stopped; nothing was sent or kept.")
        raise typer.Exit(130) from None
    show(panel)


def submit(
    context: typer.Context,
    path: Notebook = None,
    challenge: ChallengeName = None,
    to: SendTo = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Send without asking for confirmation.")
    ] = False,
) -> None:
    """Send your notebook to the course and print a receipt."""

    def agreed(panel: Panel) -> bool:
        show(panel)
        return yes or not sys.stdin.isatty() or typer.confirm("Send it?", default=True)

    receipt = student_submit.submit(packs.find(context.obj), Path(), challenge, path, to, agreed)
    if receipt is None:
        console.print("Nothing was sent.")
        raise typer.Exit(1)
    console.print()
    show(receipt)


def own_results(
    context: typer.Context, slug: str | None, feedback_from: Path | None, detailed: bool
) -> None:
    """Show a student's own results; see ``results``."""
    challenges = packs.find(context.obj)
    for panel in results.panels(challenges, Path(), slug, feedback_from, detailed):
        show(panel)


def hint(context: typer.Context, slug: JoinedSlug = None) -> None:
    """See the next hint, the mildest first."""
    show(hints.hint(packs.find(context.obj), Path(), slug))


def guide(context: typer.Context, slug: GuideSlug = None) -> None:
    """Read a challenge's guide, or the guide to insights."""
    show(hints.guide(packs.find(context.obj), Path(), slug))


def leave(context: typer.Context, slug: Slug) -> None:
    """Leave a challenge; your work stays."""
    show(student_join.leave(challenge_of(context, slug), Path()))
