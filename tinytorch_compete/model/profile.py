"""The costs of code, line by line, as frozen data.

Units are in the names, as in ``model``; none of these figures is ever ranked.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class LineCost(msgspec.Struct, frozen=True):
    """The cost of one line of the student's code in a profiled run.

    ``source`` is a key of ``Profile.sources``, ``line`` counts from 1. ``seconds`` includes what
    the line called; ``net_mib`` is the memory still held after it, summed over its hits;
    ``peak_mib`` is the highest use during any hit above the use at its start. ``estimated`` marks a
    line that is too fast to be seen each time, whose ``hits`` (good to a factor of about 2) and
    ``seconds`` are estimates.
    """

    source: str
    line: int
    hits: int
    seconds: float
    net_mib: float
    peak_mib: float
    estimated: bool = False


class CellCost(msgspec.Struct, frozen=True):
    """The cost of one cell in a profiled run, in the units of ``LineCost``.

    Grading cells have a cost, too, including everything they called, but no source. ``failure`` is
    the error that ended the cell, in one line, and empty if none did.
    """

    source: str
    seconds: float
    net_mib: float
    peak_mib: float
    failure: str = ""


class Operands(msgspec.Struct, frozen=True):
    """The arrays that a line worked on, sampled at ``looks`` of its first hits.

    ``arrays`` maps a dotted name on the line to numpy's dtype string and the shape; a Python
    number's dtype is ``int``, ``float`` or ``bool``. A line that saw several shapes has several
    ``Operands``.
    """

    source: str
    line: int
    looks: int
    arrays: Mapping[str, tuple[str, tuple[int, ...]]]


class LineAllocation(msgspec.Struct, frozen=True):
    """The memory that a line allocated and that was still held, in MiB."""

    source: str
    line: int
    mib: float


class StackFrame(msgspec.Struct, frozen=True):
    """A line on the call stack, and how often it had begun; 0 where that wasn't counted."""

    source: str
    line: int
    begun: int


class MemoryPeak(msgspec.Struct, frozen=True):
    """The moment when the cap was first exceeded or, if it never was, the peak of the run.

    ``mib`` was held then, ``held`` by line, the largest first; ``steps`` is the call stack, the
    outermost frame first.
    """

    mib: float
    steps: tuple[StackFrame, ...]
    held: tuple[LineAllocation, ...]


class Profile(msgspec.Struct, frozen=True):
    """Time and memory by line; for learning, never for ranking.

    ``sources`` maps a source's name (``cell:GRADE_ID`` for an answer cell, else a path below the
    submission's folder) to its text. ``timeline`` is seconds since the start and MiB of the whole
    process tree above the idle kernel, seen from outside. ``backends`` names what measured time and
    memory; a memory backend that sees no single blocks leaves ``moment`` empty.
    """

    backends: tuple[str, ...]
    sources: Mapping[str, str]
    lines: tuple[LineCost, ...]
    cells: tuple[CellCost, ...] = ()
    timeline: tuple[tuple[float, float], ...] = ()
    operands: tuple[Operands, ...] = ()
    moment: MemoryPeak | None = None
