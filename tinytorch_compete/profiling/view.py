"""What of a profile is worth showing: lines with their bars, and folds where nothing happens."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Iterator, Sequence

import msgspec

from tinytorch_compete.model import CellCost, LineCost, Profile
from tinytorch_compete.profiling.report import lines_of

HOT = 0.02  # of the run's time or of its highest peak: below both a line isn't hot
CONTEXT = 1  # lines shown around a hot one
SHORTEST_FOLD = 3
LEAST_MIB = 1.0  # that a line must have held to be named for its memory
FEW = 5  # of the hottest lines that are shown where none is hot
FAILED_LINE = re.compile(r"\(line (\d{1,9})\)$")
THREADS = re.compile(r"\b(?:threading|concurrent\.futures|ThreadPool\w*)\b")
UNTIMED = (
    "Lines that other threads than the main one ran have no time here: that needs Python 3.12."
)
NONE_RAN = "No line of code ran, so there is nothing to profile."
HEADS = ("def ", "class ", "for ", "while ", "with ", "async ")


class Row(msgspec.Struct, frozen=True):
    """A line as it is shown; the shares of the whole are from 0 to 1."""

    number: int
    text: str
    cost: LineCost | None = None
    time: float = 0.0
    memory: float = 0.0

    @property
    def heat(self) -> float:
        """How hot the line is: the larger share."""
        return max(self.time, self.memory)

    @property
    def peak_mib(self) -> float:
        """The line's peak in MiB; 0 for a line that didn't run."""
        return self.cost.peak_mib if self.cost else 0.0

    @property
    def held_mib(self) -> float:
        """The more of its peak and what all its hits left behind, in MiB."""
        return max(self.cost.peak_mib, self.cost.net_mib) if self.cost else 0.0


class Section(msgspec.Struct, frozen=True):
    """One source: its name for people, its cell's cost if it is one, and its rows or folds.

    A fold is a tuple of rows of which none is worth a look. A grading cell has no rows.
    """

    title: str
    cell: CellCost | None
    parts: tuple[Row | tuple[Row, ...], ...]


class Whole(msgspec.Struct, frozen=True):
    """What shares are of: the run's seconds and its highest peak in MiB, both above 0."""

    seconds: float
    peak_mib: float


def whole(profile: Profile) -> Whole:
    """What all cells took, and the highest peak of a line or cell."""
    seconds = sum(cell.seconds for cell in profile.cells)
    peaks = [line.peak_mib for line in profile.lines] + [cell.peak_mib for cell in profile.cells]
    return Whole(seconds or 1.0, max(peaks, default=0.0) or 1.0)


def sections(profile: Profile) -> list[Section]:
    """The cells in their order, then the files; the hottest lines unfolded."""
    total = whole(profile)
    costs = {(line.source, line.line): line for line in profile.lines}
    hot = {(source, row.number) for source, row in _hot(rows(profile), lambda row: row.heat)}
    cells = {cell.source: cell for cell in profile.cells}
    found = []
    for source in dict.fromkeys([*cells, *profile.sources]):
        text, cell = profile.sources.get(source), cells.get(source)
        own = [
            _row(number, line, costs.get((source, number)), total)
            for number, line in enumerate([] if text is None else lines_of(text), 1)
        ]
        looks = {row.number for row in own if (source, row.number) in hot} | _failed_at(cell)
        found.append(Section(title(source), cell, tuple(_folded(own, looks))))
    return found


def by_time(profile: Profile, count: int) -> list[tuple[str, Row]]:
    """The lines that took the most time with their source's name, longest first."""
    return _hot(rows(profile), lambda row: row.time)[:count]


def by_memory(profile: Profile, count: int) -> list[tuple[str, Row]]:
    """The lines that held or left behind the most memory, of those that did ``LEAST_MIB``."""
    held = [pair for pair in rows(profile) if pair[1].held_mib >= LEAST_MIB]
    return _hot(held, lambda row: row.memory)[:count]


def rows(profile: Profile) -> list[tuple[str, Row]]:
    """The lines of all sources that ran, each with its source's name."""
    total = whole(profile)
    return [
        (line.source, _row(line.line, _text(profile, line), line, total)) for line in profile.lines
    ]


def title(source: str) -> str:
    """A source's name for people."""
    return f"Cell {source.removeprefix('cell:')}" if source.startswith("cell:") else source


def untimed(profile: Profile) -> str:
    """What to say of threads where only the main one is timed; empty where there are none."""
    threads = any(THREADS.search(text) for text in profile.sources.values())
    return UNTIMED if threads and "sys.settrace" in profile.backends else ""


def about(cell: CellCost) -> str:
    """A cell's time and peak in words."""
    peak = mib(cell.peak_mib)
    figures = [seconds(cell.seconds), f"peak {peak} MiB" if peak else ""]
    return ", ".join(figure for figure in figures if figure)


def hits(line: LineCost) -> str:
    """How often a line ran, with ``~`` and two digits where that is an estimate."""
    return f"~{float(f'{line.hits:.1g}'):,.0f}" if line.estimated else f"{line.hits:,}"


def seconds(value: float) -> str:
    """A time in the unit that suits it; nothing below a microsecond."""
    if value >= 1:
        return f"{value:.2f} s"
    if value >= 1e-3:
        return f"{value * 1e3:.3g} ms"
    return f"{value * 1e6:.0f} µs" if value >= 1e-6 else ""


def mib(value: float, sign: bool = False) -> str:
    """A size in MiB; nothing below a hundredth."""
    if abs(value) < 0.01:
        return ""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 1 else 2
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def _text(profile: Profile, line: LineCost) -> str:
    return lines_of(profile.sources[line.source])[line.line - 1]


def _row(number: int, text: str, cost: LineCost | None, total: Whole) -> Row:
    if cost is None:
        return Row(number, text)
    # More than was ever held at a time is what comes and goes with each hit.
    grown = cost.net_mib if cost.net_mib <= total.peak_mib else 0.0
    memory = max(cost.peak_mib, grown) / total.peak_mib
    return Row(number, text, cost, min(1.0, cost.seconds / total.seconds), min(1.0, memory))


def fold(rows: tuple[Row, ...]) -> str:
    """What a fold of rows stands for, in words."""
    ran = any(row.cost for row in rows)
    return f"{len(rows)} lines {'where little happens' if ran else 'that did not run'}"


def _hot(rows: Sequence[tuple[str, Row]], heat: Callable[[Row], float]) -> list[tuple[str, Row]]:
    """The rows that are hot, hottest first, or a few of the others where none is."""
    found = sorted(rows, key=lambda pair: -heat(pair[1]))
    return [pair for pair in found if heat(pair[1]) >= HOT] or found[:FEW]


def _failed_at(cell: CellCost | None) -> set[int]:
    """The line of a cell that isn't Python, as Python's message ends; none of any other cell."""
    found = FAILED_LINE.search(cell.failure) if cell else None
    return {int(found[1])} if found else set()


def _folded(rows: list[Row], looks: Collection[int]) -> Iterator[Row | tuple[Row, ...]]:
    """The rows, with runs of dull ones as folds.

    ``looks`` are the numbers of the lines that are worth a look; their neighbours and the headers
    of the blocks around them stay in sight, too.
    """
    shown: set[int] = set()
    for index, row in enumerate(rows):
        if row.number in looks:
            shown.update(range(index - CONTEXT, index + CONTEXT + 1))
            shown.update(_heads_above(rows, index))
    for seen, group in itertools.groupby(enumerate(rows), lambda pair: pair[0] in shown):
        run = [row for _, row in group]
        if seen or len(run) < SHORTEST_FOLD:
            yield from run
        else:
            yield tuple(run)


def _heads_above(rows: list[Row], index: int) -> Iterator[int]:
    """The lines that open the blocks around a line."""
    depth = _indent(rows[index].text)
    for above in range(index - 1, -1, -1):
        text = rows[above].text
        if text.strip() and _indent(text) < depth:
            depth = _indent(text)
            if text.lstrip().startswith(HEADS):
                yield above


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())
