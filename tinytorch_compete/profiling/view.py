"""Choose which parts of a profile to show: lines with bars, and folds where nothing happens."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Iterator, Sequence

import msgspec

from tinytorch_compete.model import CellCost, LineCost, Profile
from tinytorch_compete.profiling.report import lines_of

HOT = 0.02  # share of the run's time or highest peak; a line below both isn't hot
CONTEXT = 1  # lines shown around a hot one
SHORTEST_FOLD = 3
LEAST_MIB = 1.0  # the least that a line must hold to be listed for its memory
FEW = 5  # lines to show where none is hot
FAILED_LINE = re.compile(r"\(line (\d{1,9})\)$")
THREADS = re.compile(r"\b(?:threading|concurrent\.futures|ThreadPool\w*)\b")
UNTIMED = "Lines run by threads other than the main one have no time here: that needs Python 3.12."
NONE_RAN = "No line of code ran, so there is nothing to profile."
HEADS = ("def ", "class ", "for ", "while ", "with ", "async ")


class Row(msgspec.Struct, frozen=True):
    """A line to show; ``time`` and ``memory`` are its shares of the total, from 0 to 1."""

    number: int
    text: str
    cost: LineCost | None = None
    time: float = 0.0
    memory: float = 0.0

    @property
    def heat(self) -> float:
        """The larger of the line's two shares."""
        return max(self.time, self.memory)

    @property
    def peak_mib(self) -> float:
        """The line's peak in MiB; 0 for a line that didn't run."""
        return self.cost.peak_mib if self.cost else 0.0

    @property
    def held_mib(self) -> float:
        """The larger of the line's peak and of what all its hits left behind, in MiB."""
        return max(self.cost.peak_mib, self.cost.net_mib) if self.cost else 0.0


class Section(msgspec.Struct, frozen=True):
    """One source: its title, its cost if it is a cell, and its rows and folds.

    A fold is a tuple of rows that are not worth showing. A grading cell has no rows.
    """

    title: str
    cell: CellCost | None
    parts: tuple[Row | tuple[Row, ...], ...]


class Whole(msgspec.Struct, frozen=True):
    """The totals that shares refer to: the run's seconds and highest peak in MiB, both above 0."""

    seconds: float
    peak_mib: float


def whole(profile: Profile) -> Whole:
    """Return the time of all cells, and the highest peak of a line or cell."""
    seconds = sum(cell.seconds for cell in profile.cells)
    peaks = [line.peak_mib for line in profile.lines] + [cell.peak_mib for cell in profile.cells]
    return Whole(seconds or 1.0, max(peaks, default=0.0) or 1.0)


def sections(profile: Profile) -> list[Section]:
    """Return the cells in order, then the files, with the hottest lines unfolded."""
    total = whole(profile)
    costs = {(line.source, line.line): line for line in profile.lines}
    hot = {(source, row.number) for source, row in _hot(rows(profile), lambda row: row.heat)}
    cells = {cell.source: cell for cell in profile.cells}
    shown = []
    for source in dict.fromkeys([*cells, *profile.sources]):
        text, cell = profile.sources.get(source), cells.get(source)
        own = [
            _row(number, line, costs.get((source, number)), total)
            for number, line in enumerate([] if text is None else lines_of(text), 1)
        ]
        looks = {row.number for row in own if (source, row.number) in hot} | _failed_at(cell)
        shown.append(Section(title(source), cell, tuple(_folded(own, looks))))
    return shown


def by_time(profile: Profile, count: int) -> list[tuple[str, Row]]:
    """Return the lines that took the most time with their source's name, slowest first."""
    return _hot(rows(profile), lambda row: row.time)[:count]


def by_memory(profile: Profile, count: int) -> list[tuple[str, Row]]:
    """Return the lines that held or left behind the most memory, at least ``LEAST_MIB``."""
    large = [pair for pair in rows(profile) if pair[1].held_mib >= LEAST_MIB]
    return _hot(large, lambda row: row.memory)[:count]


def rows(profile: Profile) -> list[tuple[str, Row]]:
    """Return the lines that ran, in all sources, each with its source's name."""
    total = whole(profile)
    return [
        (line.source, _row(line.line, _text(profile, line), line, total)) for line in profile.lines
    ]


def title(source: str) -> str:
    """Return a source's title for people."""
    return f"Cell {source.removeprefix('cell:')}" if source.startswith("cell:") else source


def untimed(profile: Profile) -> str:
    """Return a note if threads were used but only the main one was timed; else an empty text."""
    threads = any(THREADS.search(text) for text in profile.sources.values())
    return UNTIMED if threads and "sys.settrace" in profile.backends else ""


def about(cell: CellCost) -> str:
    """Describe a cell's time and peak."""
    peak = mib(cell.peak_mib)
    figures = [seconds(cell.seconds), f"peak {peak} MiB" if peak else ""]
    return ", ".join(figure for figure in figures if figure)


def hits(line: LineCost) -> str:
    """Format how often a line ran; an estimate has a ``~`` and one significant digit."""
    return f"~{float(f'{line.hits:.1g}'):,.0f}" if line.estimated else f"{line.hits:,}"


def seconds(value: float) -> str:
    """Format a time in a suitable unit; empty below a microsecond."""
    if value >= 1:
        return f"{value:.2f} s"
    if value >= 1e-3:
        return f"{value * 1e3:.3g} ms"
    return f"{value * 1e6:.0f} µs" if value >= 1e-6 else ""


def mib(value: float, sign: bool = False) -> str:
    """Format a size in MiB; empty below a hundredth."""
    if abs(value) < 0.01:
        return ""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 1 else 2
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def _text(profile: Profile, line: LineCost) -> str:
    return lines_of(profile.sources[line.source])[line.line - 1]


def _row(number: int, text: str, cost: LineCost | None, total: Whole) -> Row:
    if cost is None:
        return Row(number, text)
    # Net memory beyond the highest peak comes and goes with each hit.
    retained = cost.net_mib if cost.net_mib <= total.peak_mib else 0.0
    memory = max(cost.peak_mib, retained) / total.peak_mib
    return Row(number, text, cost, min(1.0, cost.seconds / total.seconds), min(1.0, memory))


def fold(rows: tuple[Row, ...]) -> str:
    """Describe a fold of rows."""
    ran = any(row.cost for row in rows)
    return f"{len(rows)} lines {'where little happens' if ran else 'that did not run'}"


def _hot(rows: Sequence[tuple[str, Row]], heat: Callable[[Row], float]) -> list[tuple[str, Row]]:
    """Return the hot rows, hottest first, or a few of the others if none is hot."""
    hottest_first = sorted(rows, key=lambda pair: -heat(pair[1]))
    return [pair for pair in hottest_first if heat(pair[1]) >= HOT] or hottest_first[:FEW]


def _failed_at(cell: CellCost | None) -> set[int]:
    """Return the line at which a cell isn't Python, from the end of the error; else no line."""
    match = FAILED_LINE.search(cell.failure) if cell else None
    return {int(match[1])} if match else set()


def _folded(rows: list[Row], looks: Collection[int]) -> Iterator[Row | tuple[Row, ...]]:
    """Yield the rows, with runs of uninteresting ones as folds.

    ``looks`` are the numbers of the lines worth a look; their neighbours and the headers of the
    blocks around them stay unfolded too.
    """
    shown: set[int] = set()
    for index, row in enumerate(rows):
        if row.number in looks:
            shown.update(range(index - CONTEXT, index + CONTEXT + 1))
            shown.update(_heads_above(rows, index))
    for unfolded, group in itertools.groupby(enumerate(rows), lambda pair: pair[0] in shown):
        run = [row for _, row in group]
        if unfolded or len(run) < SHORTEST_FOLD:
            yield from run
        else:
            yield tuple(run)


def _heads_above(rows: list[Row], index: int) -> Iterator[int]:
    """Yield the indices of the lines that open the blocks around a line."""
    depth = _indent(rows[index].text)
    for above in range(index - 1, -1, -1):
        text = rows[above].text
        if text.strip() and _indent(text) < depth:
            depth = _indent(text)
            if text.lstrip().startswith(HEADS):
                yield above


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())
