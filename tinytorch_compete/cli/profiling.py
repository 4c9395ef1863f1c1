"""``tito compete profile``: what a notebook's lines cost, for whoever wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from tinytorch_compete import files, profiling
from tinytorch_compete.cli.challenges import entry_of
from tinytorch_compete.cli.tables import console, download, plain, table
from tinytorch_compete.profile import page, view
from tinytorch_compete.profile.reasons import TITLE, UNMEASURED
from tinytorch_compete.profile.table import bar
from tinytorch_compete.profile.view import Row, Section
from tinytorch_compete.profiling import Portrait
from tinytorch_compete.sandbox.local import LocalSandbox

COLUMNS = (">line", "~source", ">hits", ">time", "!", ">peak MiB", "!", ">net MiB")
FIGURES = 62  # characters of all other columns at their widest
VERY_HOT = 0.25


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
    plan = None
    if slug is not None:
        entry = entry_of(context, slug)
        with download() as progress:
            plan = profiling.plan(entry, dataset, data, progress)
    found = profiling.take(path, plan, LocalSandbox())
    _show(found)
    if html:
        files.write_text(html, page.page(found.profile, f"Profile of {path.name}", found.reasons))
    if json:
        files.write_text(json, profiling.as_json(found))


def _show(found: Portrait) -> None:
    for section in view.sections(found.profile):
        console.print(_title(section))
        if section.parts:
            console.print(table("", COLUMNS, [_cells(part) for part in section.parts]))
        console.print()
    console.print(
        "Seconds include what a line called; peak is above what was held when the line began; "
        f"~ marks estimates. Measured by {' and '.join(found.profile.backends)}.",
        style="dim",
        highlight=False,
    )
    _show_reasons(found)
    if found.failure:
        console.print(plain(found.failure), markup=False, highlight=False, style="yellow")


def _show_reasons(found: Portrait) -> None:
    if found.reasons is None:
        console.print(UNMEASURED, style="dim", highlight=False, soft_wrap=True)
        return
    rows: list[list[str | Text]] = [
        [f"{view.title(reason.source)}: {reason.line}", Text(reason.kind, "bold"), reason.words]
        for reason in found.reasons
    ]
    if rows:
        console.print(table(f"\n{TITLE}", ["!where", "!bound", "why"], rows))


def _title(section: Section) -> Text:
    title = Text(plain(section.title), "bold")
    if section.cell is not None:
        title.append(f"  {view.about(section.cell)}")
        if section.cell.failure:
            title.append(f"\n{plain(section.cell.failure)}", "yellow")
    return title


def _cells(part: Row | tuple[Row, ...]) -> list[str | Text]:
    if isinstance(part, tuple):
        fold = Text(f"⋮ {view.fold(part)}", "dim italic")
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
