"""Print to the terminal: consoles, and tables that no student's text can break."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from tinytorch_compete.model import ChallengeSpec, Metric, Result
from tinytorch_compete.rendering.column import Column
from tinytorch_compete.results.figures import format_figure

console = Console()
errors = Console(stderr=True)
STYLES = {
    "OK": "green",
    "WRONG": "yellow",
    "ERROR": "red",
    "OVER_MEMORY": "magenta",
    "OVER_TIME": "cyan",
    "FAULT": "bold white on red",
    "WITHDRAWN": "bold yellow",
}


@contextlib.contextmanager
def download() -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar once the first bytes of a download arrive."""
    with Progress(
        TextColumn("downloading"), BarColumn(), DownloadColumn(), console=errors
    ) as progress:
        bar = progress.add_task("", visible=False)

        def update(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total, visible=True)

        yield update


def say(text: str) -> None:
    """Print a line as it is, without markup or line breaks."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def seconds(task: str) -> Iterator[Callable[[float, float], None]]:
    """Show a bar of the seconds that a task has taken of its time limit, until it is done."""
    columns = (TextColumn(task), BarColumn(), TextColumn("{task.completed:.0f} s"))
    limit = TextColumn("of at most {task.total:.0f} s")
    # Not on stderr's console: a download may show its own bar there at the same time.
    with Progress(*columns, limit, console=console, transient=True) as progress:
        bar = progress.add_task("", visible=False)

        def update(done: float, total: float) -> None:
            progress.update(bar, completed=min(done, total), total=total, visible=True)

        yield update


def plain(text: str) -> str:
    """Replace control characters, which a terminal would obey."""
    return "".join(char if char.isprintable() or char == "\n" else "�" for char in text)


def table(title: str, columns: Sequence[Column], rows: Iterable[Sequence[str | Text]]) -> Table:
    """Lay out a table of plain text."""
    result = Table(
        title=title or None,
        title_justify="left",
        header_style="bold",
        box=None,
        pad_edge=False,
        show_header=any(column.name for column in columns),
    )
    cells = [[c if isinstance(c, Text) else Text(plain(c)) for c in row] for row in rows]
    for number, column in enumerate(columns):
        widest = max([len(column.name), *(len(row[number].plain) for row in cells)])
        result.add_column(
            column.name,
            justify=column.align,
            overflow="ellipsis" if column.wrap == "ellipsis" else "fold",
            no_wrap=column.wrap != "fold",
            min_width=widest if column.wrap == "never" else None,
        )
    for row in cells:
        result.add_row(*row)
    return result


def verdict(name: str) -> Text:
    """A verdict in its colour."""
    return Text(name, STYLES.get(name.strip(), ""))


def print_results(spec: ChallengeSpec, results: Sequence[Result]) -> None:
    """Print a line for each result, then the reasons of those that have any."""
    first = spec.metric(spec.rank[0])
    columns = [
        Column.unbroken("student"),
        Column.unbroken("verdict"),
        Column.numeric("points"),
        Column.unbroken("tier"),
        Column.numeric(first.name),
        Column.numeric("MiB"),
        Column.numeric("s a run"),
    ]
    console.print(table("", columns, (_row(first, result) for result in results)))
    reasons = [
        [f"  {result.identity.student}", why]
        for result in results
        if (why := _reason(result).replace("\n", " "))
    ]
    if reasons:
        console.print(table("\nWhy", [Column.unbroken(), Column()], reasons))


def _reason(result: Result) -> str:
    """Explain a result; if it was withdrawn, say why, when, and what it was before."""
    if result.withdrawal is None:
        return result.message
    day = f"{result.withdrawal.withdrawn_at:%Y-%m-%d}"
    return f"{result.withdrawal.reason} ({day}; before: {result.verdict}, {_points(result)} points)"


def _points(result: Result) -> str:
    return "–" if result.points is None else f"{result.points:g}/{result.max_points:g}"


def print_flags(results: Sequence[Result]) -> None:
    """Print the flags, one on each line, beside the points of the result that has them."""
    rows = []
    for result in results:
        for flag in result.flags:
            rows.append([result.identity.student, _points(result), flag])
    if rows:
        columns = [Column.unbroken("student"), Column.numeric("points"), Column("flag")]
        console.print(table("", columns, rows))
    else:
        console.print("No flags.")


def _row(first: Metric, result: Result) -> list[str | Text]:
    figure = result.metrics.get(first.name)
    return [
        result.identity.student,
        verdict("WITHDRAWN" if result.withdrawal else str(result.verdict)),
        "–" if result.withdrawal else _points(result),
        result.tier,
        "" if figure is None else format_figure(first, figure),
        f"{result.peak_mib:.0f}" if result.layers else "",
        f"{result.wall_s / result.runs:.1f}" if result.layers else "",
    ]
