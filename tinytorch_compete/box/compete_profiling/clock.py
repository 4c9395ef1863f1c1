"""Time by line: exact while lines are sparse, in bursts while they are dense.

``Clock`` is told by an event source (``monitoring``, ``tracing``) which line of the student's code
starts and which frame is left. Each probe costs about a microsecond; where that would pass
``SHARE`` of the code's own time, the source falls silent for a while, and the burst before it
stands for the silence: those hits and seconds are estimates. A frame in which no line began during
the burst is taken to be still on its line, so what called the hot code stays exact.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from threading import get_ident
from types import CodeType, FrameType, MappingProxyType
from typing import Any

from .operands import LOOKS, Watch, look
from .sources import Sources

SHARE = 0.3  # of the code's own time that probes may take before the source falls silent
WINDOW = 250  # events between two looks at the clock
BURST = 4  # windows between two looks at that share
FLOOR = 0.02  # of a burst's time is the code's own, at least
SILENCE = 10  # silent times a burst's length
SHORTEST_S, LONGEST_S = 0.01, 0.1  # of a silence
LATE_NS = 20_000  # a timer so late was held up by the line that it found


class Line:
    """What is known of one line so far; ``burst_*`` since the burst began."""

    __slots__ = (
        "active",
        "burst_hits",
        "burst_ns",
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
        self.hits = self.ns = self.burst_hits = self.burst_ns = self.active = 0
        self.estimated = False


class Open:
    """A frame that is executing, and since when on which line."""

    __slots__ = ("began", "events", "frame", "line", "moves", "quiet")

    def __init__(self, frame: int, line: Line | None, began: int, events: int, quiet: int) -> None:
        # the frame's id and not the frame, which would keep its arrays alive
        self.frame, self.line, self.began, self.events = frame, line, began, events
        self.quiet = quiet  # nanoseconds of silence before it
        self.moves = 0  # lines begun in this burst


class Clock:
    """Holds the open frames of each thread and adds up what their lines took.

    ``mark(depth, index)`` is called when the main thread's frame at ``depth`` begins the line
    ``index``, or is left (0): memory is told apart there. ``silence(seconds)`` must stop the
    events and call ``resume`` after that time. ``watch`` has the dotted names, by source and line,
    whose arrays are worth a look (see ``operands``).
    """

    def __init__(
        self,
        sources: Sources,
        mark: Callable[[int, int], None],
        silence: Callable[[float], None],
        watch: Watch = MappingProxyType({}),
    ) -> None:
        self._watch = watch
        self.sources, self._mark, self._silence = sources, mark, silence
        self.lines: list[Line] = []
        self._codes: dict[int, dict[int, Line] | None] = {}
        self._by_source: dict[str, dict[int, Line]] = {}
        self._kept: list[CodeType] = []  # an id is only good while its object lives
        self._main = get_ident()
        self._stack: list[Open] = []
        self._marked = 0  # how many of those frames have a line marked
        self._others: dict[int, list[Open]] = {}
        self._events = 0
        self._burst_began = (0, 0)  # the number of events then, and when it was
        self._last_look, self._next_look = 0, WINDOW
        self._was_hot = False
        self._fastest_ns = 0.0  # the fewest nanoseconds an event in a window of this burst
        self.cost_ns = 0.0  # of one event; while it is 0 there are no silences
        self.silent = False
        self._silent_since = (0, 0.0)
        self._silent_for = 0.0
        self._quiet_ns = 0  # of all silences so far
        self._burst_ns = self._hits_ns = 0.0  # of the last burst without probes, two estimates

    def wants(self, code: CodeType) -> bool:
        """Whether this code is the student's."""
        return self._lines_of(code) is not None

    def begin_line(self, code: CodeType, number: int, frame: FrameType) -> None:
        """A line begins in a frame."""
        now = time.perf_counter_ns()
        lines = self._lines_of(code)
        if lines is None:
            return
        line = lines.get(number) or self._new(code, number)
        ident = get_ident()
        main = ident == self._main
        stack = self._stack if main else self._others.setdefault(ident, [])
        key = id(frame)
        if not stack or stack[-1].frame != key:
            self._unwind(stack, key, now, main)
        top = stack[-1]
        before = top.line
        self._events += 1
        if before is not None:
            self._close(top, before, now)
        line.hits += 1
        line.burst_hits += 1
        line.active += 1
        top.line, top.began, top.events, top.quiet = line, now, self._events, self._quiet_ns
        top.moves += 1
        if main:
            self._marked = len(stack)
            self._mark(self._marked - 1, line.index)
        if self._events >= self._next_look:
            self._look(now)
        if line.looks:
            self._see(line, frame, stack)

    def enter(self, frame: FrameType, code: CodeType, number: int | None) -> None:
        """A frame starts, or goes on at a line as a generator does."""
        lines = self._lines_of(code)
        if lines is None:
            return
        ident = get_ident()
        stack = self._stack if ident == self._main else self._others.setdefault(ident, [])
        self._events += 1
        line = None if number is None else lines.get(number) or self._new(code, number)
        if line is not None:
            line.active += 1
        stack.append(Open(id(frame), line, time.perf_counter_ns(), self._events, self._quiet_ns))

    def leave(self, frame: FrameType) -> None:
        """A frame returns or yields."""
        now = time.perf_counter_ns()
        main = get_ident() == self._main
        stack = self._stack if main else self._others.get(get_ident(), [])
        key = id(frame)
        self._events += 1
        for depth in range(len(stack) - 1, -1, -1):
            if stack[depth].frame == key:
                self._cut(stack, depth, now, main)
                return

    def begin_cell(self, name: str) -> None:
        """A cell starts; its cost is that of line 0."""
        now = time.perf_counter_ns()
        source = f"cell:{name}"
        line = self._by_source.setdefault(source, {}).get(0) or self._add(source, 0)
        line.hits += 1
        line.active += 1
        self._stack.append(Open(0, line, now, self._events, self._quiet_ns))
        self._marked = 1
        self._mark(0, line.index)
        self._was_hot = False
        self._begin_burst(now)

    def end_cell(self) -> None:
        """The cell has ended, and all that it called."""
        now = time.perf_counter_ns()
        if self.silent:
            self.resume(None)
        self._cut(self._stack, 0, now, True)
        self._others.clear()

    def pause(self, ns: int) -> None:
        """Take time that the profiler needed for itself out of all open lines."""
        for stack in (self._stack, *self._others.values()):
            for entry in stack:
                entry.began += ns
        self._begin_burst(self._burst_began[1] + ns)

    def index_of(self, file: str, number: int) -> int:
        """The index of a line of the student's, or 0 for anybody else's."""
        name = self.sources.name(file)
        if name is None:
            return 0
        line = self._by_source.setdefault(name, {}).get(number) or self._add(name, number)
        return line.index

    def is_news(self, code: CodeType, number: int) -> bool:
        """Whether a line that begins in a silence was unseen in the burst before it."""
        lines = self._lines_of(code)
        line = lines.get(number) if lines is not None else None
        return lines is not None and (line is None or not line.burst_hits)

    def resume(self, frame: FrameType | None, news: bool = False) -> None:
        """End the silence: the burst stands for it, but for frames that stayed on their line.

        With ``news`` a rare line ended it: what follows is no fair sample, so the next burst alone
        stands for no silence.
        """
        if not self.silent:
            return
        self.silent = False
        now, cpu = time.perf_counter_ns(), time.process_time()
        since, cpu_since = self._silent_since
        waited = now - since
        # The timer's signal waits for native code to return: that time is the current line's.
        late = max(0.0, cpu - cpu_since - self._silent_for - SHORTEST_S)
        late_ns = int(waited * late / (cpu - cpu_since)) if late else 0
        chain = self._chain(frame)
        kept = self._still_open(chain)
        stack = self._stack
        for entry in reversed(stack[kept:]):
            if entry.line is not None:
                self._close(entry, entry.line, since)
        del stack[kept:]
        self._quiet_ns += waited - late_ns
        self._extrapolate(waited - late_ns, {id(entry.line) for entry in stack})
        self._marked = kept
        self._mark(-2 - kept, 0)
        self._reopen(chain, now - late_ns, late_ns > LATE_NS)
        self._was_hot = not news
        self._begin_burst(time.perf_counter_ns())

    def _reopen(self, chain: list[tuple[int, Line]], began: int, late: bool) -> None:
        """Take up the frames that began in a silence.

        The innermost is on a line that is all but over, and is not charged for waking up, except
        if it was ``late``.
        """
        stack = self._stack
        for key, line in chain[len(stack) - 1 :] if stack else []:
            self._marked = len(stack) + 1
            self._mark(len(stack), line.index)
            if key == chain[-1][0] and not late:
                stack.append(Open(key, None, began, self._events, self._quiet_ns))
                continue
            if not line.hits:
                line.hits, line.estimated = 1, True
            line.active += 1
            stack.append(Open(key, line, began, self._events, self._quiet_ns))

    def _lines_of(self, code: CodeType) -> dict[int, Line] | None:
        """The lines of a code object's source; by id, for to hash a code object is slow."""
        try:
            return self._codes[id(code)]
        except KeyError:
            self._kept.append(code)
            name = self.sources.name(code.co_filename)
            found = None if name is None else self._by_source.setdefault(name, {})
            self._codes[id(code)] = found
            return found

    def _new(self, code: CodeType, number: int) -> Line:
        name = self.sources.name(code.co_filename)
        assert name is not None
        return self._add(name, number)

    def _see(self, line: Line, frame: FrameType, stack: list[Open]) -> None:
        """Look at the line's operands, in no one's time."""
        start = time.perf_counter_ns()
        line.looks -= 1
        seen = look(line.paths, frame)
        line.seen[seen] = line.seen.get(seen, 0) + 1
        took = time.perf_counter_ns() - start
        for entry in stack:
            entry.began += took

    def _add(self, source: str, number: int) -> Line:
        paths = self._watch.get(source, {}).get(number, ())
        line = Line(source, number, len(self.lines) + 1, paths)
        self.lines.append(line)
        self._by_source[source][number] = line
        return line

    def _close(self, entry: Open, line: Line, now: int) -> None:
        taken = now - entry.began
        line.active -= 1
        if not line.active:
            net = taken - (self._events - entry.events) * self.cost_ns
            # No probe cost anything in a silence, however dear a busy machine made them seem.
            net = max(net, self._quiet_ns - entry.quiet)
            if net > 0:
                line.ns += net  # type: ignore[assignment]
                line.burst_ns += net  # type: ignore[assignment]

    def _unwind(self, stack: list[Open], key: int, now: int, main: bool) -> None:
        """Make the frame the top: those above it ended by an exception; a new one is pushed."""
        for depth in range(len(stack) - 1, -1, -1):
            if stack[depth].frame == key:
                self._cut(stack, depth + 1, now, main)
                return
        stack.append(Open(key, None, now, self._events, self._quiet_ns))

    def _cut(self, stack: list[Open], depth: int, now: int, main: bool) -> None:
        for entry in reversed(stack[depth:]):
            if entry.line is not None:
                self._close(entry, entry.line, now)
        del stack[depth:]
        if main and self._marked > depth:
            self._marked = depth
            self._mark(depth, 0)

    def _look(self, now: int) -> None:
        """At the end of a burst fall silent if the probes cost too much of its time."""
        took = now - self._last_look
        self._last_look, self._next_look = now, self._events + WINDOW
        self._fastest_ns = min(self._fastest_ns, took / WINDOW)
        events = self._events - self._burst_began[0]
        if events < WINDOW * BURST:
            return
        took = now - self._burst_began[1]
        spent = events * self.cost_ns
        hot = spent > SHARE * max(took - spent, 1)
        # What stands for a silence must be hot from its start, so a first hot burst is not enough.
        # The timer and the stack that it finds are the main thread's.
        if not (hot and self._was_hot) or get_ident() != self._main:
            self._was_hot = hot
            self._begin_burst(now)
            return
        self._burst_ns = max(took - spent, FLOOR * took)
        # Where lines are faster than probes the rest is small and noisy: the calmest window
        # says best how fast they are.
        fastest = events * max(self._fastest_ns - self.cost_ns, FLOOR * self._fastest_ns)
        self._hits_ns = fastest if took < 2 * spent else self._burst_ns
        self.silent = True
        self._silent_since = (now, time.process_time())
        self._silent_for = min(max(SILENCE * took / 1e9, SHORTEST_S), LONGEST_S)
        self._mark(-1, 0)
        self._silence(self._silent_for)

    def _begin_burst(self, now: int) -> None:
        self._burst_began = (self._events, now)
        self._last_look, self._next_look = now, self._events + WINDOW
        self._fastest_ns = math.inf
        for entry in self._stack:
            entry.moves = 0
        for line in self.lines:
            line.burst_hits = line.burst_ns = 0

    def _chain(self, frame: FrameType | None) -> list[tuple[int, Line]]:
        """The student's frames from the outermost in, with the line that each is on."""
        chain: list[tuple[int, Line]] = []
        while frame is not None:
            lines = self._lines_of(frame.f_code)
            if lines is not None and frame.f_lineno:
                line = lines.get(frame.f_lineno) or self._new(frame.f_code, frame.f_lineno)
                chain.append((id(frame), line))
            frame = frame.f_back
        return chain[::-1]

    def _still_open(self, chain: list[tuple[int, Line]]) -> int:
        """How many open frames, the cell first, have stayed on their line through the silence."""
        kept = 1
        for entry, (key, line) in zip(self._stack[1:], chain, strict=False):
            if entry.frame != key or entry.line is not line or entry.moves:
                break
            kept += 1
        return min(kept, len(self._stack))

    def _extrapolate(self, waited: int, still: set[int]) -> None:
        factor, hits = waited / self._burst_ns, waited / self._hits_ns
        for line in self.lines:
            once = line.hits == line.burst_hits == 1
            if line.burst_hits and not once and id(line) not in still:
                line.hits += round(line.burst_hits * hits)
                line.ns += round(min(line.burst_ns * factor, waited))
                line.estimated = True
