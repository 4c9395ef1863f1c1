"""What a profile knows of each line of the student's code, and of the frames that are on them."""

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
    """What is known of one line so far; ``burst_*`` since the burst began."""

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
        "paths",
        "seen",
        "source",
    )

    def __init__(self, source: str, line: int, index: int, paths: Sequence[str] = ()) -> None:
        self.source, self.line, self.index = source, line, index
        self.paths, self.looks = paths, LOOKS if paths else 0
        self.seen: dict[tuple[Any, ...], int] = {}  # what the paths were, and how often
        self.hits = self.burst_hits = 0
        self.ns = self.burst_ns = self.burst_spent = 0.0
        self.estimated = False


Found = tuple[int, CodeType, Line]  # a frame's id, its code and the line that it is on


class Open:
    """A frame that is executing, and since when on which line."""

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
        # the frame's id and not the frame, which would keep its arrays alive
        self.frame, self.code, self.line, self.began = frame, code, line, began
        self.spent = spent  # nanoseconds that the thread's probes had taken by then
        self.quiet = quiet  # nanoseconds of silence before it
        self.moves = 0  # lines begun in this burst


class Thread:
    """The open frames of a thread, and the nanoseconds that its probes took."""

    __slots__ = ("active", "burst_spent", "main", "ran", "spent", "stack")

    def __init__(self, main: bool) -> None:
        self.main = main  # only that thread's first entry is a cell
        self.stack: list[Open] = []
        self.active: dict[int, int] = defaultdict(int)  # how many frames are on a line, by index
        self.spent = self.burst_spent = 0.0
        self.ran = False  # whether it began a line in this burst

    def still_open(self, chain: Sequence[Found]) -> int:
        """How many open frames, a cell first, have stayed on their line; ``chain`` is there now.

        A thread that had to wait for others all through the burst may have moved after it.
        """
        base = 1 if self.main and self.stack else 0
        kept = base
        for entry, (key, _, line) in zip(self.stack[base:], chain, strict=False):
            moved = entry.moves or (line.burst_hits and not self.ran)
            if entry.frame != key or entry.line is not line or moved:
                break
            kept += 1
        return kept

    def on_unusual(self) -> int:
        """How many open frames are on lines that the burst doesn't have."""
        for depth, entry in enumerate(self.stack):
            if entry.line is None or entry.line.burst_hits:
                return depth
        return len(self.stack)


@functools.lru_cache(1000)
def to_come(code: CodeType, number: int | None) -> frozenset[int]:
    """The lines of the loops around a line and all after it; without one, all lines."""
    lines = list(code.co_lines())
    on = [(start, end) for start, end, line in lines if line == number] or [(0, 0)]
    first, last = min(on)[0], max(on)[1]
    loops = [
        (int(at.argval), at.offset)
        for at in dis.get_instructions(code)
        if "JUMP_BACKWARD" in at.opname
    ]
    begin = min((top for top, bottom in loops if top <= first <= bottom), default=last)
    # A function's own first line is that of its definition, which is another frame's.
    head = 0 if code.co_name.startswith("<") else code.co_firstlineno
    return frozenset(line for start, _, line in lines if line and line != head and start >= begin)


class Lines:
    """All lines that ran, numbered from 1."""

    def __init__(self, sources: Sources, watch: Watch) -> None:
        self._sources, self._watch = sources, watch
        self.all: list[Line] = []
        self._codes: dict[int, dict[int, Line] | None] = {}
        self._by_source: dict[str, dict[int, Line]] = {}
        self._kept: list[CodeType] = []  # an id is only good while its object lives

    def of(self, code: CodeType) -> dict[int, Line] | None:
        """The lines of a code object's source, ``None`` for what the student didn't write."""
        try:
            return self._codes[id(code)]  # to hash a code object is slow
        except KeyError:
            self._kept.append(code)
            name = self._sources.name(code.co_filename)
            found = None if name is None else self._by_source.setdefault(name, {})
            self._codes[id(code)] = found
            return found

    def new(self, code: CodeType, number: int) -> Line:
        """A line of the student's that runs for the first time."""
        name = self._sources.name(code.co_filename)
        assert name is not None
        return self.at(name, number)

    def at(self, source: str, number: int) -> Line:
        """The line of that number in a source; 0 is a cell as a whole."""
        known = self._by_source.setdefault(source, {})
        if number not in known:
            paths = self._watch.get(source, {}).get(number, ())
            known[number] = Line(source, number, len(self.all) + 1, paths)
            self.all.append(known[number])
        return known[number]

    def index_of(self, file: str, number: int) -> int:
        """The index of a line of the student's, or 0 for anybody else's."""
        name = self._sources.name(file)
        return 0 if name is None else self.at(name, number).index

    def wants(self, code: CodeType) -> bool:
        """Whether this code is the student's."""
        return self.of(code) is not None

    def chain(self, frame: FrameType | None) -> list[Found]:
        """The student's frames around and with this one, outermost first."""
        chain: list[Found] = []
        while frame is not None:
            lines, number = self.of(frame.f_code), frame.f_lineno
            if lines is not None and number:
                line = lines.get(number) or self.new(frame.f_code, number)
                chain.append((id(frame), frame.f_code, line))
            frame = frame.f_back
        return chain[::-1]

    def doubt(self, stack: Sequence[Open], chain: Sequence[Found]) -> None:
        """What these frames, of a stack and of the chain after it, ran unseen is estimated."""
        frames: dict[int, tuple[CodeType, int | None]] = {
            entry.frame: (entry.code, entry.line.line if entry.line else None)
            for entry in stack
            if entry.code is not None
        }
        for key, code, _ in chain:
            frames.setdefault(key, (code, None))
        moved = False  # so that what a frame called may have been called again, and run as a whole
        for code, number in frames.values():
            lines, numbers = self.of(code) or {}, to_come(code, None if moved else number)
            for other in numbers & lines.keys():
                lines[other].estimated = True
            moved |= bool(numbers)
