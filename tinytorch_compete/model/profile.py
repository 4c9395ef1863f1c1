"""What code costs, line by line, as frozen data.

Units are in the names, as in ``model``; none of this ranks anybody.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class LineCost(msgspec.Struct, frozen=True):
    """What one line of the student's code cost in a profiled run.

    ``source`` is a key of ``Profile.sources``, ``line`` counts from 1. ``seconds`` includes what
    the line called; ``net_mib`` is what was still held after it, summed over its hits; ``peak_mib``
    is the highest use above that at its start while it ran, of any hit. ``estimated`` marks a line
    too fast to be seen each time: its ``hits`` (good to a factor of about 2) and ``seconds``.
    """

    source: str
    line: int
    hits: int
    seconds: float
    net_mib: float
    peak_mib: float
    estimated: bool = False


class CellCost(msgspec.Struct, frozen=True):
    """What one cell cost in a profiled run, in the units of ``LineCost``.

    Grading cells have a cost too, of all that they called, but no source. ``failure`` is the error
    that ended the cell, in one line, and empty if nothing did.
    """

    source: str
    seconds: float
    net_mib: float
    peak_mib: float
    failure: str = ""


class Operands(msgspec.Struct, frozen=True):
    """The arrays that a line was seen to work on, at ``looks`` of its first hits.

    ``arrays`` maps a dotted name on the line to numpy's dtype string and the shape; a Python
    number's dtype is ``int``, ``float`` or ``bool``. A line with several shapes has several of
    these.
    """

    source: str
    line: int
    looks: int
    arrays: Mapping[str, tuple[str, tuple[int, ...]]]


class LineAllocation(msgspec.Struct, frozen=True):
    """What a line had made and was still held, in MiB."""

    source: str
    line: int
    mib: float


class StackFrame(msgspec.Struct, frozen=True):
    """A line that was on, and how many times it had begun; 0 where that wasn't counted."""

    source: str
    line: int
    begun: int


class MemoryPeak(msgspec.Struct, frozen=True):
    """When the cap was first passed or, where it never was, the highest point of the run.

    ``mib`` were held then, ``held`` by line, largest first; ``steps`` are the lines that were on,
    outermost first.
    """

    mib: float
    steps: tuple[StackFrame, ...]
    held: tuple[LineAllocation, ...]


class Profile(msgspec.Struct, frozen=True):
    """Where time and memory went, line by line; for learning, it ranks nobody.

    ``sources`` maps a source's name (``cell:GRADE_ID`` for an answer cell, else a path below the
    submission's folder) to its text. ``timeline`` is seconds since the start and MiB of the whole
    process tree above the idle kernel, seen from outside. ``backends`` names what measured time and
    what memory; one of memory that sees no blocks has no ``moment``.
    """

    backends: tuple[str, ...]
    sources: Mapping[str, str]
    lines: tuple[LineCost, ...]
    cells: tuple[CellCost, ...] = ()
    timeline: tuple[tuple[float, float], ...] = ()
    operands: tuple[Operands, ...] = ()
    moment: MemoryPeak | None = None
