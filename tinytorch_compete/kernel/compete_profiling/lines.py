"""Records of a profile: the lines of the student's code and the frames that are on them."""

from __future__ import annotations

import dis
import functools
from collections import defaultdict
from collections.abc import Sequence
from types import CodeType, FrameType
from typing import Any

from .operands import LOOKS, Watch
from .sources import Sources


class Line:
    """Figures of one line so far; the ``burst_*`` ones count from the start of the burst."""

    __slots__ = (
        "burst_hits",
        "burst_ns",
        "burst_spent",
        "estimated",
        "hits",
        "index",
        "line",
        "looks",
        "ns",
        "operands",
        "paths",
        "source",
    )

    def __init__(self, source: str, line: int, index: int, paths: Sequence[str] = ()) -> None:
        self.source, self.line, self.index = source, line, index
        self.paths, self.looks = paths, LOOKS if paths else 0
        self.operands: dict[tuple[Any, ...], int] = {}  # facts of the paths' values: times seen
        self.hits = self.burst_hits = 0
        self.ns = self.burst_ns = self.burst_spent = 0.0
        self.estimated = False


ActiveFrame = tuple[int, CodeType, Line]  # a frame's id, its code and the line that it is on


class OpenFrame:
    """A frame that is executing: the line that it is on, and since when."""

    __slots__ = ("began", "code", "frame", "line", "moves", "quiet", "spent")

    def __init__(
        self,
        frame: int,
        code: CodeType | None,
        line: Line | None,
        began: int,
        spent: float,
        quiet: float,
    ) -> None:
        # Keep the frame's id only: the frame itself would keep its arrays alive.
        self.frame, self.code, self.line, self.began = frame, code, line, began
        self.spent = spent  # nanoseconds that the thread's probes had taken when the line began
        self.quiet = quiet  # nanoseconds of silence before the line began
        self.moves = 0  # lines begun in this burst


class Thread:
    """The open frames of a thread, and the nanoseconds that its probes took."""

    __slots__ = ("active", "burst_spent", "main", "ran", "spent", "stack")

    def __init__(self, main: bool) -> None:
        self.main = main  # only the main thread's first entry is a cell
        self.stack: list[OpenFrame] = []
        self.active: dict[int, int] = defaultdict(int)  # by line index: how many frames are on it
        self.spent = self.burst_spent = 0.0
        self.ran = False  # whether the thread began a line in this burst

    def still_open(self, chain: Sequence[ActiveFrame]) -> int:
        """Count the open frames, cell first, that stayed on their line; ``chain`` is the state now.

        A thread that waited for others all through the burst may have moved after it.
        """
        base = 1 if self.main and self.stack else 0
        unmoved = base
        for entry, (key, _, line) in zip(self.stack[base:], chain, strict=False):
            moved = entry.moves or (line.burst_hits and not self.ran)
            if entry.frame != key or entry.line is not line or moved:
                break
            unmoved += 1
        return unmoved

    def on_unusual(self) -> int:
        """Count the outermost open frames that are on lines not in the burst."""
        for depth, entry in enumerate(self.stack):
            if entry.line is None or entry.line.burst_hits:
                return depth
        return len(self.stack)


@functools.lru_cache(1000)
def to_come(code: CodeType, number: int | None) -> frozenset[int]:
    """Return the lines of the loops around a line and all lines after it; all, given None."""
    lines = list(code.co_lines())
    on = [(start, end) for start, end, line in lines if line == number] or [(0, 0)]
    first, last = min(on)[0], max(on)[1]
    loops = [
        (int(at.argval), at.offset)
        for at in dis.get_instructions(code)
        if "JUMP_BACKWARD" in at.opname
    ]
    begin = min((top for top, bottom in loops if top <= first <= bottom), default=last)
    # A function's first line is its definition, which runs in another frame.
    head = 0 if code.co_name.startswith("<") else code.co_firstlineno
    return frozenset(line for start, _, line in lines if line and line != head and start >= begin)


class Lines:
    """All lines that have run, with indices from 1."""

    def __init__(self, sources: Sources, watch: Watch) -> None:
        self._sources, self._watch = sources, watch
        self.all: list[Line] = []
        self._codes: dict[int, dict[int, Line] | None] = {}
        self._by_source: dict[str, dict[int, Line]] = {}
        self._alive: list[CodeType] = []  # keeps code objects alive, so that their ids stay valid

    def of(self, code: CodeType) -> dict[int, Line] | None:
        """Return the lines of a code object's source, or ``None`` if it isn't the student's."""
        try:
            return self._codes[id(code)]  # hashing a code object is slow
        except KeyError:
            self._alive.append(code)
            name = self._sources.name(code.co_filename)
            lines = None if name is None else self._by_source.setdefault(name, {})
            self._codes[id(code)] = lines
            return lines

    def new(self, code: CodeType, number: int) -> Line:
        """Add a line of the student's that runs for the first time."""
        name = self._sources.name(code.co_filename)
        assert name is not None
        return self.at(name, number)

    def at(self, source: str, number: int) -> Line:
        """Return the line with that number in a source, added if new; 0 is a whole cell."""
        lines = self._by_source.setdefault(source, {})
        if number not in lines:
            paths = self._watch.get(source, {}).get(number, ())
            lines[number] = Line(source, number, len(self.all) + 1, paths)
            self.all.append(lines[number])
        return lines[number]

    def index_of(self, file: str, number: int) -> int:
        """Return the index of a line of the student's, or 0 for a line of anybody else's."""
        name = self._sources.name(file)
        return 0 if name is None else self.at(name, number).index

    def has(self, code: CodeType) -> bool:
        """Whether this code is the student's."""
        return self.of(code) is not None

    def chain(self, frame: FrameType | None) -> list[ActiveFrame]:
        """Return the student's frames up to and including this one, outermost first."""
        chain: list[ActiveFrame] = []
        while frame is not None:
            lines, number = self.of(frame.f_code), frame.f_lineno
            if lines is not None and number:
                line = lines.get(number) or self.new(frame.f_code, number)
                chain.append((id(frame), frame.f_code, line))
            frame = frame.f_back
        return chain[::-1]

    def doubt(self, stack: Sequence[OpenFrame], chain: Sequence[ActiveFrame]) -> None:
        """Mark as estimates the lines that these frames, of both sequences, may have run unseen."""
        frames: dict[int, tuple[CodeType, int | None]] = {
            entry.frame: (entry.code, entry.line.line if entry.line else None)
            for entry in stack
            if entry.code is not None
        }
        for key, code, _ in chain:
            frames.setdefault(key, (code, None))
        moved = False  # whether an outer frame moved, and so may have run its callees whole
        for code, number in frames.values():
            lines, numbers = self.of(code) or {}, to_come(code, None if moved else number)
            for other in numbers & lines.keys():
                lines[other].estimated = True
            moved |= bool(numbers)
