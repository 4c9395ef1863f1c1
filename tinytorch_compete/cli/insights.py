"""Suggest improvements to a notebook: ``tito compete insights``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.padding import Padding
from rich.syntax import Syntax
from rich.text import Text

from tinytorch_compete.cli.challenges import challenge_of
from tinytorch_compete.cli.console import console, download, plain
from tinytorch_compete.cli.student_options import DataFolder, Dataset
from tinytorch_compete.feedback import suggestion_cells
from tinytorch_compete.model import Advice, Autopsy, Insight, MemoryPeak, Profile
from tinytorch_compete.profiling import notebook as profiling_notebook
from tinytorch_compete.profiling import view
from tinytorch_compete.profiling.report import lines_of
from tinytorch_compete.sandbox.local import LocalSandbox
from tinytorch_compete.submissions import notebook
from tinytorch_compete.submissions.snapshot import load
from tinytorch_compete.submissions.submission import Submission
from tinytorch_compete.suggestions import selection, suggest

LONGEST = 60  # characters of a line of code in a sentence


def insights(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="NOTEBOOK", help="The notebook to analyse.")],
    slug: Annotated[str, typer.Argument(metavar="SLUG", help="Its challenge.")],
    everything: Annotated[
        bool, typer.Option("--all", help="Show all insights, not just three.")
    ] = False,
    more: Annotated[
        bool, typer.Option("--more", help="Also explain why, and what to change.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Also show the changes that were tried.")
    ] = False,
    dataset: Dataset = None,
    data: DataFolder = None,
) -> None:
    """See what to try next, with the gain where it was measured."""
    notebook.read(path)
    challenge = challenge_of(context, slug)
    with download() as progress:
        plan = profiling_notebook.plan(challenge, dataset, data, progress)
    with tempfile.TemporaryDirectory() as folder:
        work = Submission("you", path, profiling_notebook.code_beside(path, Path(folder)))
        graded = suggest.grade(plan, load(work), LocalSandbox())
    if graded.result.message:  # findings are of code that may not have run to its end
        line = f"{graded.result.verdict}: {graded.result.message}"
        console.print(plain(line), markup=False, highlight=False)
    if graded.advice is not None:
        _show(graded.advice, everything, more, diff)


def _show(advice: Advice, everything: bool, more: bool, diff: bool) -> None:
    if advice.autopsy:
        _say(f"Out of memory. {suggestion_cells.autopsy_text(advice.autopsy)}", "bold")
        if advice.profile and advice.profile.moment:
            _held(advice.autopsy, advice.profile, advice.profile.moment)
        if fits := advice.autopsy.fits:
            number = advice.insights.index(fits) + 1
            _say(f"It fits with one change: {selection.where(fits)}, number {number} here.", "bold")
    if advice.note:
        _say(advice.note, "yellow")
    shown = advice.insights if everything else advice.insights[: selection.AT_FIRST]
    for number, insight in enumerate(shown, 1):
        _print(number, insight, more, diff)
    if left := len(advice.insights) - len(shown):
        _say(f"{left} more: --all", "dim")
    if not advice.insights:
        _say("Found nothing that is worth changing.")
    elif not (more and diff):
        _say("Why, and what to change: --more. The changes that were tried: --diff.", "dim")


def _held(autopsy: Autopsy, profile: Profile, moment: MemoryPeak) -> None:
    """Print what was in memory when the cap was exceeded, by the lines that allocated it."""
    held = suggestion_cells.largest_held(autopsy, moment)
    when = suggestion_cells.when_held(autopsy, moment)
    _say(f"{when} The lines that allocated them:" if held else suggestion_cells.ELSEWHERE)
    for row in held:
        text = lines_of(profile.sources.get(row.source, ""))[row.line - 1].strip()
        text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
        _say(f"  {view.mib(row.mib)} MiB: {view.title(row.source)}, line {row.line}: {text}")
    if steps := suggestion_cells.where_then(moment):
        _say(f"Your code was then on {steps}.")


def _print(number: int, insight: Insight, more: bool, diff: bool) -> None:
    head = selection.gained(insight.trial) if insight.trial else "not tried"
    title = Text(f"{number}. {plain(selection.where(insight))}: ", "bold")
    console.print(title.append(head, "green" if insight.trial else "dim"))
    _say(insight.look)
    if more:
        _say(insight.why)
        _say(f"{insight.change} More, with an example: tito compete guide {insight.guide}")
    if diff and insight.diff:
        text = "\n".join(plain(line) for line in insight.diff.splitlines())
        console.print(Padding(Syntax(text, "diff", background_color="default"), (0, 0, 0, 3)))
    console.print()


def _say(text: str, style: str = "") -> None:
    console.print(Padding(Text(plain(text), style), (0, 0, 0, 3)))
