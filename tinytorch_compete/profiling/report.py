"""Read a kernel's profile as hostile data: check its bounds, and take all texts from our copies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from tinytorch_compete.errors import EvidenceError
from tinytorch_compete.model import (
    CellCost,
    LineAllocation,
    LineCost,
    MemoryPeak,
    Operands,
    Profile,
    StackFrame,
)
from tinytorch_compete.profiling.operations import MOST_PATHS, watched

MAX_LINES = 20_000
MAX_SOURCES = 1000
MAX_HELD = 100
LINE_END = re.compile("\r\n?|\n")
MIB_BOUND = 2.0**24  # 16 TiB, more memory than any machine that this runs on

_Index = Annotated[int, Meta(ge=0, lt=MAX_SOURCES)]
_Count = Annotated[int, Meta(ge=0, le=2**53)]
_Seconds = Annotated[float, Meta(ge=0, le=1e7)]
_Signed = Annotated[float, Meta(ge=-MIB_BOUND, le=MIB_BOUND)]
_Positive = Annotated[float, Meta(ge=0, le=MIB_BOUND)]
_Backend = Annotated[str, Meta(pattern="^[a-z_.]{1,40}$")]
_Name = Annotated[str, Meta(min_length=1, max_length=300)]


class _Row(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    source: _Index
    line: _Count
    hits: _Count
    seconds: _Seconds
    net_mib: _Signed
    peak_mib: _Positive
    estimated: bool


_Dtype = Annotated[str, Meta(pattern="^([<>|=][biufc][0-9]{1,2}|int|float|bool)$")]
_Facts = Annotated[tuple[_Dtype | _Count, ...], Meta(min_length=1, max_length=33)]


class _Operands(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    source: _Index
    line: _Count
    looks: Annotated[int, Meta(ge=1, le=1000)]
    facts: Annotated[tuple[_Facts | None, ...], Meta(max_length=MOST_PATHS)]


class _Frame(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    source: _Index
    line: _Count
    begun: _Count


class _Allocation(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    source: _Index
    line: _Count
    mib: _Positive


class _Moment(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    mib: _Positive
    on: Annotated[tuple[_Frame, ...], Meta(max_length=MAX_HELD)]
    held: Annotated[tuple[_Allocation, ...], Meta(max_length=MAX_HELD)]


class _Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    backends: Annotated[tuple[_Backend, ...], Meta(max_length=4)]
    sources: Annotated[tuple[_Name, ...], Meta(max_length=MAX_SOURCES)]
    lines: Annotated[tuple[_Row, ...], Meta(max_length=MAX_LINES)]
    operands: Annotated[tuple[_Operands, ...], Meta(max_length=MAX_LINES)] = ()
    moment: _Moment | None = None


def parse(data: bytes, texts: Mapping[str, str], cells: Sequence[str]) -> Profile:
    """Return the profile in a kernel's report, without a timeline.

    ``texts`` are the sources that the student submitted, by name; ``cells`` are the names of all
    cells in order, including grading cells, for which only totals are known. Entries for other
    sources, such as a module written while the code ran, and for lines that a text doesn't have are
    left out. Raises ``EvidenceError`` if the data is not a report.
    """
    try:
        report = msgspec.json.decode(data, type=_Report)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EvidenceError(f"the kernel sent an invalid profile: {str(error)[:200]}") from None
    ends = {name: len(lines_of(text)) for name, text in texts.items()}
    lines, totals = {}, {}
    for row in report.lines:
        name = report.sources[row.source] if row.source < len(report.sources) else ""
        if 0 < row.line <= ends.get(name, 0):
            lines[name, row.line] = LineCost(
                name, row.line, row.hits, row.seconds, row.net_mib, row.peak_mib, row.estimated
            )
        elif row.line == 0 and name in cells:
            totals[name] = CellCost(name, row.seconds, row.net_mib, row.peak_mib)
    order = {name: number for number, name in enumerate(texts)}
    ran = {name for name, _ in lines} | totals.keys()  # a cell that isn't Python has no lines
    return Profile(
        backends=report.backends,
        sources={name: text for name, text in texts.items() if name in ran},
        lines=tuple(sorted(lines.values(), key=lambda cost: (order[cost.source], cost.line))),
        cells=tuple(totals[name] for name in dict.fromkeys(cells) if name in totals),
        operands=tuple(_operands(report, watched(texts))),
        moment=_moment(report, ends),
    )


def _moment(report: _Report, ends: Mapping[str, int]) -> MemoryPeak | None:
    """Return the moment with those of its lines that exist; whole cells are left out."""
    if report.moment is None:
        return None
    names = dict(enumerate(report.sources))

    def exists(row: _Frame | _Allocation) -> bool:
        return 0 < row.line <= ends.get(names.get(row.source, ""), 0)

    return MemoryPeak(
        report.moment.mib,
        tuple(StackFrame(names[r.source], r.line, r.begun) for r in report.moment.on if exists(r)),
        tuple(
            LineAllocation(names[r.source], r.line, r.mib) for r in report.moment.held if exists(r)
        ),
    )


def _operands(
    report: _Report, paths: Mapping[str, Mapping[int, Sequence[str]]]
) -> Iterator[Operands]:
    """Yield the operands of the watched names, and nothing else."""
    for row in report.operands:
        name = report.sources[row.source] if row.source < len(report.sources) else ""
        watched_paths = paths.get(name, {}).get(row.line, ())
        if not watched_paths or len(watched_paths) != len(row.facts):
            continue
        arrays = {}
        for path, facts in zip(watched_paths, row.facts, strict=True):
            if facts is not None and isinstance(facts[0], str):
                shape = tuple(size for size in facts[1:] if isinstance(size, int))
                arrays[path] = facts[0], shape
        yield Operands(name, row.line, row.looks, arrays)


def lines_of(text: str) -> list[str]:
    """Split a source into lines as Python does: at carriage returns, but not at form feeds."""
    return LINE_END.split(text.rstrip("\r\n"))
