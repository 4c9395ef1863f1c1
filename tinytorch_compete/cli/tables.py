"""What the commands print with: consoles, and tables that no student's text can break."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from tinytorch_compete.model import Challenge, Result

console = Console()
errors = Console(stderr=True)
STYLES = {
    "OK": "green",
    "WRONG": "yellow",
    "ERROR": "red",
    "OVER_MEMORY": "magenta",
    "OVER_TIME": "cyan",
    "FAULT": "bold white on red",
}


@contextlib.contextmanager
def download() -> Iterator[Callable[[int, int], None]]:
    """A progress bar that shows itself when the first bytes of a download arrive."""
    with Progress(
        TextColumn("downloading"), BarColumn(), DownloadColumn(), console=errors
    ) as progress:
        bar = progress.add_task("", visible=False)

        def update(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total, visible=True)

        yield update


def plain(text: str) -> str:
    """A text without control characters, which a terminal would obey."""
    return "".join(char if char.isprintable() or char == "\n" else "�" for char in text)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """A table of plain text; columns whose heading starts with ``>`` are aligned right."""
    made = Table(
        title=title or None,
        title_justify="left",
        header_style="bold",
        box=None,
        pad_edge=False,
        show_header=any(column.strip() for column in columns),
    )
    for column in columns:
        name = column.removeprefix(">")
        made.add_column(name, justify="right" if name != column else "left", overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row))
    return made


def verdict(name: str) -> Text:
    """A verdict in its colour."""
    return Text(name, STYLES.get(name, ""))


def results_table(challenge: Challenge, results: Iterable[Result]) -> Table:
    """One line a result: who, verdict, points, tier, accuracy, peak and time, and why."""
    first = challenge.metric(challenge.rank[0])
    columns = ["student", "verdict", ">points", "tier", f">{first.name}", ">peak MiB", ">s", "why"]
    return table("", columns, (_row(first.name, first.unit, result) for result in results))


def _row(metric: str, unit: str, result: Result) -> list[str | Text]:
    figure = result.metrics.get(metric)
    share = unit.startswith("share")
    points = "–" if result.points is None else f"{result.points:g}/{result.max_points:g}"
    message = result.message if len(result.message) <= 90 else result.message[:89] + "…"
    return [
        result.identity.student,
        verdict(str(result.verdict)),
        points,
        result.tier,
        "" if figure is None else f"{figure:.1%}" if share else f"{figure:g}",
        f"{result.peak_mib:.0f}" if result.layers else "",
        f"{result.wall_s:.1f}" if result.layers else "",
        message.replace("\n", " "),
    ]
