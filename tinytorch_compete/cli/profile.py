"""Show what each line of a notebook costs: ``tito compete profile``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from tinytorch_compete.cli.challenges import challenge_of
from tinytorch_compete.cli.console import console, download, plain, table
from tinytorch_compete.cli.student_options import (
    DataFolder,
    Dataset,
    ProfiledNotebook,
    ProfiledSlug,
)
from tinytorch_compete.profiling import html as profiling_html
from tinytorch_compete.profiling import notebook, view
from tinytorch_compete.profiling.bottlenecks import TITLE, UNMEASURED
from tinytorch_compete.profiling.markdown import bar
from tinytorch_compete.profiling.notebook import NotebookProfile
from tinytorch_compete.profiling.view import Row, Section
from tinytorch_compete.rendering.column import Column
from tinytorch_compete.sandbox.local import LocalSandbox
from tinytorch_compete.util import files

COLUMNS = (
    Column.numeric("line"),
    Column("source", wrap="ellipsis"),
    Column.numeric("hits"),
    Column.numeric("time"),
    Column.unbroken(),
    Column.numeric("peak MiB"),
    Column.unbroken(),
    Column.numeric("net MiB"),
)
SOURCE, GAP = 1, 2
DROPPED = (7, 6, 4, 2)  # columns to drop, in this order, where the source lacks room
READABLE, LEAST = 44, 10  # characters of source: columns give way to 44, and 10 always remain
TIME, MEMORY = "dark_orange3", "dodger_blue2"
TAB = 4
VERY_HOT = 0.25
NARROW = " A wider terminal has more columns, and --html has them all."


def profile(
    context: typer.Context,
    path: ProfiledNotebook,
    slug: ProfiledSlug = None,
    html: Annotated[Path | None, typer.Option(help="Write an HTML page.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the measurements as JSON.")] = None,
    dataset: Dataset = None,
    data: DataFolder = None,
) -> None:
    """See what each line costs in time and memory."""
    plan = None
    if slug is not None:
        challenge = challenge_of(context, slug)
        with download() as progress:
            plan = notebook.plan(challenge, dataset, data, progress)
    profiled = notebook.take(path, plan, LocalSandbox())
    _show(profiled)
    if html:
        files.write_text(
            html, profiling_html.page(profiled.profile, f"Profile of {path.name}", profiled.reasons)
        )
    if json:
        files.write_text(json, notebook.as_json(profiled))


def _show(profiled: NotebookProfile) -> None:
    sections = view.sections(profiled.profile)
    tables = [[_cells(part) for part in section.parts] for section in sections]
    columns, room = _layout([row for rows in tables for row in rows])
    for section, rows in zip(sections, tables, strict=True):
        console.print(_title(section))
        if rows:
            console.print(_table(rows, columns, room))
        console.print()
    if profiled.profile.lines:
        _explain(profiled, len(columns) < len(COLUMNS))
    else:
        console.print(view.NONE_RAN)
    if profiled.failure:
        console.print(plain(profiled.failure), markup=False, highlight=False, style="yellow")


def _explain(profiled: NotebookProfile, narrow: bool) -> None:
    """Explain the figures, and why the hottest lines cost what they cost."""
    console.print(
        "Seconds include calls; peak is memory above that in use when the line began; "
        f"~ marks estimates. Measured by {' and '.join(profiled.profile.backends)}."
        f"{NARROW if narrow else ''}",
        style="dim",
        highlight=False,
    )
    if untimed := view.untimed(profiled.profile):
        console.print(untimed, style="yellow", highlight=False)
    _show_reasons(profiled)


def _show_reasons(profiled: NotebookProfile) -> None:
    if profiled.reasons is None:
        console.print(UNMEASURED, style="dim", highlight=False, soft_wrap=True)
        return
    rows: list[list[str | Text]] = [
        [f"{view.title(reason.source)}: {reason.line}", Text(reason.kind, "bold"), reason.words]
        for reason in profiled.reasons
    ]
    if rows:
        columns = [Column.unbroken("where"), Column.unbroken("bound"), Column("why")]
        console.print(table(f"\n{TITLE}", columns, rows))


def _title(section: Section) -> Text:
    title = Text(plain(section.title), "bold")
    if section.cell is not None:
        title.append(f"  {view.about(section.cell)}")
        if section.cell.failure:
            title.append(f"\n{plain(section.cell.failure)}", "yellow")
    return title


def _layout(rows: Sequence[Sequence[Text]]) -> tuple[list[int], int]:
    """Choose the columns that leave the source readable here; return the source's width, too."""
    widths = [
        max([len(column.name), *(row[number].cell_len for row in rows)])
        for number, column in enumerate(COLUMNS)
    ]
    columns = list(range(len(COLUMNS)))
    readable = min(READABLE, widths[SOURCE])
    for number in DROPPED:
        if _room(widths, columns) < readable:
            columns.remove(number)
    return columns, max(LEAST, _room(widths, columns))


def _room(widths: Sequence[int], columns: Sequence[int]) -> int:
    """The width that these columns leave for the source."""
    others = sum(widths[number] + GAP for number in columns if number != SOURCE)
    return console.width - others


def _table(rows: Sequence[Sequence[Text]], columns: Sequence[int], room: int) -> Table:
    for row in rows:
        row[SOURCE].truncate(room, overflow="ellipsis")
    shown = [[row[number] for number in columns] for row in rows]
    return table("", [COLUMNS[number] for number in columns], shown)


def _cells(part: Row | tuple[Row, ...]) -> list[Text]:
    if isinstance(part, tuple):
        return _padded(Text(), Text(f"⋮ {view.fold(part)}", "dim italic"))
    hot = part.heat >= view.HOT
    shown = plain(part.text.expandtabs(TAB))
    text = Text(shown, "bold" if part.heat >= VERY_HOT else "" if hot else "dim")
    number, cost = Text(str(part.number), "dim"), part.cost
    if cost is None:
        return _padded(number, text)
    return [
        number,
        text,
        Text(view.hits(cost)),
        Text(view.seconds(cost.seconds), TIME if part.time >= view.HOT else ""),
        Text(bar(part.time), TIME),
        Text(view.mib(cost.peak_mib), MEMORY if part.memory >= view.HOT else ""),
        Text(bar(part.memory), MEMORY),
        Text(view.mib(cost.net_mib, sign=True)),
    ]


def _padded(*cells: Text) -> list[Text]:
    """Fill up a row that has no figures."""
    return [*cells, *(Text() for _ in COLUMNS[len(cells) :])]
