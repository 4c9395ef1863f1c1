"""``tito compete profile``: what a notebook's lines cost, for whoever wrote them."""

from __future__ import annotations

import copy
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from nbformat import NotebookNode
from rich.table import Table
from rich.text import Text

from tinytorch_compete import files, grading, notebook
from tinytorch_compete.cli.challenges import entry_of
from tinytorch_compete.cli.tables import console, download, plain, table
from tinytorch_compete.costs import Profile
from tinytorch_compete.model import Limits, Run, Verdict
from tinytorch_compete.profile import page, roof, taking, view
from tinytorch_compete.profile.reasons import reasons
from tinytorch_compete.profile.table import bar
from tinytorch_compete.profile.view import Row, Section
from tinytorch_compete.sandbox.local import LocalSandbox

# For a notebook of no challenge: more than any of ours, and less than what a laptop has.
PLAIN = Limits(memory_mib=2048, wall_s=600, processes=64, disk_mib=256)
# Nothing that is profiled is graded, so any secret does; a fixed one makes two profiles alike.
SECRET = b"the secret of profiles only"
COLUMNS = (">line", "~source", ">hits", ">time", "!", ">peak MiB", "!", ">net MiB")
FIGURES = 62  # characters of all other columns at their widest
VERY_HOT = 0.25
FRAMEWORK = "tinytorch"


def profile(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="NOTEBOOK", help="The notebook to run.")],
    slug: Annotated[
        str | None,
        typer.Argument(metavar="[SLUG]", help="Its challenge: run it as grading does."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the figures as JSON.")] = None,
    dataset: Annotated[str | None, typer.Option(help="One of the challenge's data sets.")] = None,
    data: Annotated[Path | None, typer.Option(help="A folder that has the data set.")] = None,
) -> None:
    """See what each line costs in time and memory."""
    found = notebook.read(path)
    with tempfile.TemporaryDirectory() as folder:
        code = code_beside(path, Path(folder))
        if slug is None:
            beside = path.parent / "data"
            facts = taking.run(
                LocalSandbox(), _own(found), PLAIN, {}, code, beside if beside.is_dir() else None
            )
        else:
            entry = entry_of(context, slug)
            with download() as progress:
                plan = grading.Plan(
                    entry, SECRET, dataset=dataset, source=data, seeds=1, progress=progress
                )
            made = notebook.assemble(plan.master, found).notebook
            where = plan.exams[0].data.folder
            facts = taking.run(LocalSandbox(), made, plan.limits, plan.inputs[0], code, where)
    _show(*facts)
    if html:
        files.write_text(html, page.page(facts[0], f"Profile of {path.name}"))
    if json:
        files.write_text(json, msgspec.json.format(msgspec.json.encode(facts[0])).decode() + "\n")


def _own(found: NotebookNode) -> NotebookNode:
    """A copy of a notebook in which each code cell is the student's, named by its number."""
    found = copy.deepcopy(found)
    code = [cell for cell in found.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, 1):
        cell.outputs = []
        cell.metadata["nbgrader"] = {"grade_id": str(number), "solution": True, "grade": False}
    return found


def code_beside(path: Path, folder: Path) -> Path:
    """Copy the student's modules and framework, and no more of what lies beside the notebook."""
    for file in path.parent.glob("*.py"):
        if file.is_file():
            shutil.copy(file, folder)
    framework = path.parent / FRAMEWORK
    if framework.is_dir():
        skipped = shutil.ignore_patterns("__pycache__")
        shutil.copytree(framework, folder / FRAMEWORK, ignore=skipped)
    return folder


def _show(found: Profile, run: Run) -> None:
    for section in view.sections(found):
        console.print(_table(section))
        console.print()
    console.print(
        "Seconds include what a line called; peak is above what was held when the line began; "
        f"~ marks estimates. Measured by {' and '.join(found.backends)}.",
        style="dim",
        highlight=False,
    )
    _show_reasons(found)
    if run.verdict != Verdict.OK:
        console.print(f"A cell failed: {plain(run.message)}", markup=False, style="yellow")


def _show_reasons(found: Profile) -> None:
    measured = roof.kept()
    if measured is None:
        note = "To see why the hottest lines cost what they cost, run doctor --roofline once."
        console.print(note, style="dim", highlight=False)
        return
    rows: list[list[str | Text]] = [
        [f"{view.title(reason.source)}: {reason.line}", Text(reason.kind, "bold"), reason.words]
        for reason in reasons(found, measured)
    ]
    if rows:
        title = "\nWhy the hottest lines cost what they cost"
        console.print(table(title, ["!where", "!bound", "why"], rows))


def _table(section: Section) -> Table | Text:
    title = Text(plain(section.title), "bold")
    if section.cell is not None:
        title.append(f"  {view.seconds(section.cell.seconds)}")
        if peak := view.mib(section.cell.peak_mib):
            title.append(f", peak {peak} MiB")
    if not section.parts:
        return title
    made = table("", COLUMNS, [_cells(part) for part in section.parts])
    made.title, made.title_style = title, ""
    return made


def _cells(part: Row | tuple[Row, ...]) -> list[str | Text]:
    if isinstance(part, tuple):
        fold = Text(f"⋮ {len(part)} lines where little happens", "dim italic")
        return ["", fold, *[""] * 6]
    hot = part.heat >= view.HOT
    text = Text(plain(part.text), "bold" if part.heat >= VERY_HOT else "" if hot else "dim")
    text.truncate(max(console.width - FIGURES, 20), overflow="ellipsis")
    number, cost = Text(str(part.number), "dim"), part.cost
    if cost is None:
        return [number, text, *[""] * 6]
    return [
        number,
        text,
        view.hits(cost),
        view.seconds(cost.seconds),
        Text(bar(part.time), "dark_orange3"),
        view.mib(cost.peak_mib),
        Text(bar(part.memory), "dodger_blue2"),
        view.mib(cost.net_mib, sign=True),
    ]
