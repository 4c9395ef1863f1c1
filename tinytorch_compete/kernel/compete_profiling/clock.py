"""Measure time by line: exactly while lines are sparse, by sampled bursts while they are dense.

An event source (``monitoring``, ``tracing``) tells ``Clock`` which line of the student's code
starts and which frame is left. Such a probe costs about two microseconds, and more with a mark for
the memory backend. Whatever costs too much compared with the code's own time is left out (see
``pace``): first the marks, then the probes. From then on a burst of lines stands for the silence
after it, whose hits and seconds are estimates.

A frame in which no line began during the burst is assumed to be on the same line after the silence,
so the lines that called the hot code stay exact.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import RLock, get_ident
from types import CodeType, FrameType, MappingProxyType

from .lines import ActiveFrame, Line, Lines, OpenFrame, Thread
from .operands import Watch, look
from .pace import COUNTING, MARKED, PLAIN, SILENT, Pace
from .sources import Sources

RARE = 2  # a line with fewer hits than this may be in a burst by chance
NOISE = 0.1  # relative uncertainty of the time that probes took in a burst
LATE_NS = 20_000  # a timer later than this was held up by the line that it interrupted


class Clock:
    """Tracks the open frames of each thread and adds up the time that their lines took.

    ``mark(depth, index)`` is called when the main thread's frame at ``depth`` begins the line
    ``index``, or is left (0), so that memory can be attributed by line. ``rest`` is called now and
    then while there are no marks. ``silence`` must stop the events and call ``resume`` on the main
    thread once the pace's silence is over. ``blind`` says that the event source reports nothing
    during a silence, not even rare lines. For ``later`` see ``Pace``. ``watch`` holds the dotted
    names, by source and line, whose arrays to look at (see ``operands``).
    """

    def __init__(
        self,
        sources: Sources,
        mark: Callable[[int, int], None],
        silence: Callable[[], None],
        rest: Callable[[], None],
        blind: bool,
        later: float,
        watch: Watch = MappingProxyType({}),
    ) -> None:
        self.lines = Lines(sources, watch)
        self.pace = Pace(later)
        self._mark, self._silence, self._rest, self._blind = mark, silence, rest, blind
        # Threads can switch between any two bytecodes; a probe itself raises no events.
        self._lock = RLock()
        self._main = Thread(main=True)
        self._threads = {get_ident(): self._main}
        self._marked = 0  # how many frames of the main thread have their lines marked
        self._fresh = False  # whether the burst has lines that have never been marked
        self._counting_ns = 0.0  # the part of the silence that went to the count before it
        self._quiet_ns = 0.0  # total length of all silences so far

    @property
    def threaded(self) -> bool:
        """Whether threads other than the main one have run student code."""
        return len(self._threads) > 1

    def begin_line(self, code: CodeType, number: int, frame: FrameType) -> None:
        """Handle the event that a line begins in a frame."""
        now = time.perf_counter_ns()
        lines = self.lines.of(code)
        if lines is None:
            return
        with self._lock:
            pace = self.pace
            line = lines.get(number) or self.lines.new(code, number)
            thread = self._threads.get(get_ident()) or self._new_thread()
            stack, key = thread.stack, id(frame)
            if not stack or stack[-1].frame != key:
                self._unwind(thread, key, code, now)
            top = stack[-1]
            pace.events += 1
            thread.ran = True
            thread.spent += pace.line_ns
            if top.line is not None:
                self._close(thread, top, top.line, now)
            self._fresh |= not line.hits
            line.hits += 1
            thread.active[line.index] += 1
            top.line, top.began = line, now
            top.spent, top.quiet = thread.spent, self._quiet_ns
            top.moves += 1
            if thread.main:
                self._move(len(stack) - 1, line.index)
            if not pace.settling:
                line.burst_hits += 1
            elif line.burst_hits:
                self._silent_again(now)
            if pace.events >= pace.next_look:
                self._look(now)
            if line.looks:
                self._record_operands(line, frame)

    def enter(self, frame: FrameType, code: CodeType, number: int | None) -> None:
        """Handle the event that a frame starts, or resumes at a line as a generator does."""
        now = time.perf_counter_ns()
        if (lines := self.lines.of(code)) is None:
            return
        with self._lock:
            thread = self._count_frame_event()
            line = None if number is None else lines.get(number) or self.lines.new(code, number)
            if line is not None:
                thread.active[line.index] += 1
            thread.stack.append(OpenFrame(id(frame), code, line, now, thread.spent, self._quiet_ns))
            if self.pace.events >= self.pace.next_look:
                self._look(now)

    def leave(self, frame: FrameType) -> None:
        """Handle the event that a frame returns or yields."""
        now = time.perf_counter_ns()
        with self._lock:
            thread = self._count_frame_event()
            for depth in range(len(thread.stack) - 1, -1, -1):
                if thread.stack[depth].frame == id(frame):
                    self._cut(thread, depth, now)
                    break
            top = thread.stack[-1].line if thread.stack else None
            if self.pace.settling and top is not None and top.burst_hits:
                self._silent_again(now)
            if self.pace.events >= self.pace.next_look:
                self._look(now)

    def end_count(self) -> None:
        """End the count, because enough events were counted."""
        with self._lock:
            if self.pace.mode == COUNTING:
                self._fall_silent()
                self._silence()

    def begin_cell(self, name: str) -> None:
        """Start a cell, whose cost is recorded as that of line 0."""
        with self._lock:
            now = time.perf_counter_ns()
            line = self.lines.at(f"cell:{name}", 0)
            line.hits += 1
            main = self._main
            main.active[line.index] += 1
            main.stack.append(OpenFrame(0, None, line, now, main.spent, self._quiet_ns))
            self._move(0, line.index)
            self._begin_burst(now)

    def end_cell(self) -> None:
        """End the cell and every frame that it opened."""
        with self._lock:
            now = time.perf_counter_ns()
            self.resume(None)
            if self.pace.mode == PLAIN:
                self._take_up_marks()
            self._cut(self._main, 0, now)
            self._threads = {get_ident(): self._main}

    def pause(self, ns: int) -> None:
        """Subtract time that the profiler spent on itself from all open lines."""
        with self._lock:
            for thread in self._threads.values():
                for entry in thread.stack:
                    entry.began += ns
            self._begin_burst(self.pace.began + ns)

    def is_usual(self, code: CodeType, number: int) -> bool:
        """Whether the line is in the burst that stands for the current silence."""
        line = (self.lines.of(code) or {}).get(number)
        return line is not None and line.burst_hits > 0

    def is_news(self, code: CodeType, number: int) -> bool:
        """Whether an unusual line should end the silence; if not, count it without timing it."""
        line = (self.lines.of(code) or {}).get(number)
        if line is None or not line.hits or not self.pace.deaf:
            return True
        line.hits += 1
        line.estimated = True
        return False

    def goes_on(self, frame: FrameType | None) -> bool:
        """Whether the silence should last for another tick of the timer."""
        with self._lock:
            chain = self.lines.chain(frame) if self._blind and self._main.ran else []
            return self.pace.goes_on() and (not chain or chain[-1][2].burst_hits > 0)

    def resume(self, frame: FrameType | None, news: bool = False) -> None:
        """End the silence: extrapolate from the burst, except for frames that stayed on their line.

        ``frame`` is None when the cell has ended. ``news`` says that a rare line ended the silence,
        which continues with the same burst once that line is over.
        """
        with self._lock:
            pace = self.pace
            if pace.mode == COUNTING:
                self._fall_silent()
            if pace.mode != SILENT:
                return
            # The timer's signal waits for native code to return; that wait is the current line's
            # time. With other threads running, the signal also has to wait for its turn.
            late = 0.0 if self.threaded else pace.late_s(time.process_time())
            late_ns = int(min(late * 1e9, (now := time.perf_counter_ns()) - pace.since))
            waited = max(0.0, now - pace.since - late_ns - self._counting_ns)
            worked = max(0.0, pace.cpu_ns() - late_ns - self._counting_ns)
            chain, here = self.lines.chain(frame), self._threads.get(get_ident())
            chain_known = frame is not None or self._blind
            depths = []
            for thread in self._threads.values():
                depth = self._leave_stale(thread, chain if thread is here and chain_known else None)
                depths.append((thread, depth))
            self._quiet_ns += waited
            self._extrapolate(waited, worked)
            for thread, depth in depths:
                self._cut(thread, depth, now)
            pace.change(PLAIN)
            if here is not None:
                self._reopen(here, chain, now - late_ns, late_ns > LATE_NS)
            done = time.perf_counter_ns()
            if news:
                pace.settle(done, done - now)
            else:
                self._begin_burst(done)

    def _leave_stale(self, thread: Thread, chain: list[ActiveFrame] | None) -> int:
        """Close frames that moved during the silence, as of its start; return how many didn't move.

        A frame on an unusual line is still on it, or left it only just now: otherwise its move
        would have been news. A blind source can't tell.
        """
        unusual = int(thread.main) if self.pace.deaf else thread.on_unusual()
        if chain is not None and self._blind:
            self.lines.doubt(thread.stack, chain)
        unmoved = unusual if chain is None else thread.still_open(chain)
        self._cut(thread, max(unmoved, unusual), self.pace.since)
        return unmoved

    def _reopen(self, thread: Thread, chain: list[ActiveFrame], began: int, charged: bool) -> None:
        """Open the frames that began during a silence.

        The innermost frame is on a line that is almost over; it is ``charged`` for waking up only
        if it held up the timer.
        """
        stack = thread.stack
        if thread.main and not stack:
            return
        for key, code, line in chain[len(stack) - thread.main :]:
            if key == chain[-1][0] and not charged:
                stack.append(OpenFrame(key, code, None, began, thread.spent, self._quiet_ns))
            else:
                if not line.hits:
                    line.hits, line.estimated = 1, True
                thread.active[line.index] += 1
                stack.append(OpenFrame(key, code, line, began, thread.spent, self._quiet_ns))
            stack[-1].moves = 1

    def _count_frame_event(self) -> Thread:
        """Count the event of a frame that is entered or left, and return the current thread."""
        thread = self._threads.get(get_ident()) or self._new_thread()
        pace = self.pace
        pace.events += 1
        pace.frames += 1
        thread.spent += pace.frame_ns
        return thread

    def _new_thread(self) -> Thread:
        """Register the current thread, which the student started."""
        return self._threads.setdefault(get_ident(), Thread(main=False))

    def _record_operands(self, line: Line, frame: FrameType) -> None:
        """Look at the line's operands, without charging the time to any line."""
        start = time.perf_counter_ns()
        line.looks -= 1
        operands = look(line.paths, frame)
        line.operands[operands] = line.operands.get(operands, 0) + 1
        took = time.perf_counter_ns() - start
        for thread in self._threads.values():
            for entry in thread.stack:
                entry.began += took

    def _move(self, depth: int, index: int) -> None:
        """Mark that the main thread's frame at a depth begins a line, or with index 0 is left."""
        if self.pace.mode != MARKED:
            self._marked = min(self._marked, depth)
        elif index or self._marked > depth:
            self._marked = depth + 1 if index else depth
            self._mark(depth, index)

    def _close(self, thread: Thread, entry: OpenFrame, line: Line, now: int) -> None:
        thread.active[line.index] = still = thread.active[line.index] - 1
        if still:
            return
        net = now - entry.began - (thread.spent - entry.spent)
        # Probes cost nothing in a silence, however expensive a busy machine made them seem.
        line.ns += max(net, self._quiet_ns - entry.quiet, 0.0)
        if not self.pace.settling:
            line.burst_ns += now - max(entry.began, self.pace.began)
            line.burst_spent += thread.spent - max(entry.spent, thread.burst_spent)

    def _unwind(self, thread: Thread, key: int, code: CodeType, now: int) -> None:
        """Bring the frame to the top: drop frames ended by an exception, or push a new frame."""
        stack = thread.stack
        for depth in range(len(stack) - 1, -1, -1):
            if stack[depth].frame == key:
                self._cut(thread, depth + 1, now)
                return
        stack.append(OpenFrame(key, code, None, now, thread.spent, self._quiet_ns))

    def _cut(self, thread: Thread, depth: int, now: int) -> None:
        for entry in reversed(thread.stack[depth:]):
            if entry.line is not None:
                self._close(thread, entry, entry.line, now)
        del thread.stack[depth:]
        if thread.main:
            self._move(depth, 0)

    def _look(self, now: int) -> None:
        """Choose, at the end of a burst, how to handle the events to come."""
        pace = self.pace
        before, settling = pace.mode, pace.settling
        mode = pace.look(now, self._fresh)
        if before == PLAIN:
            self._rest()
        if mode == COUNTING:
            if not self._blind and pace.guesses:
                self._drop_rare()
            usual = (line.line for line in self.lines.all if line.burst_hits)
            pace.begin_count(usual, len(self._threads))
            return
        if mode == PLAIN and before == MARKED:
            self._mark(-1, 0)
        if mode == MARKED and before == PLAIN:
            self._take_up_marks()
        pace.change(mode)
        self._fresh &= settling
        self._begin_burst(now)

    def _drop_rare(self) -> None:
        """Drop lines that are in the sample by chance: the silence will report each of them."""
        for line in self.lines.all:
            if line.burst_hits < RARE:
                line.burst_hits, line.burst_ns, line.burst_spent = 0, 0.0, 0.0

    def _begin_burst(self, now: int) -> None:
        self.pace.begin_burst(now)
        for thread in self._threads.values():
            thread.ran, thread.burst_spent = False, thread.spent
            for entry in thread.stack:
                entry.moves = 0
        for line in self.lines.all:
            line.burst_hits, line.burst_ns, line.burst_spent = 0, 0.0, 0.0

    def _fall_silent(self) -> None:
        self._counting_ns = self.pace.end_count()
        for thread in self._threads.values():
            thread.spent += self._counting_ns

    def _silent_again(self, now: int) -> None:
        """Fall silent again: the rare line is over, or waits for usual lines that it called."""
        for thread in self._threads.values():
            for entry in thread.stack:
                if entry.line is not None and not entry.line.burst_hits:
                    entry.moves = 0  # it would be news if it moved
        self._counting_ns = 0.0
        self.pace.go_on(now)
        self._silence()

    def _take_up_marks(self) -> None:
        """Attribute memory by line again."""
        self.pace.change(MARKED)
        marked = self._marked
        self._mark(-2 - marked, 0)
        for depth, entry in enumerate(self._main.stack[marked:], marked):
            if entry.line is not None:
                self._move(depth, entry.line.index)

    def _extrapolate(self, waited: float, worked: float) -> None:
        """Let the burst stand for ``waited`` nanoseconds, of which the CPU ``worked``.

        The faster the lines, the less their measured time says beside that of the probes: it is
        then shared out by the number of their events. Lines that stay open time themselves.
        """
        pace = self.pace
        factor = waited / pace.own
        trust = pace.own / (pace.own + NOISE * pace.spent)
        # The cost of probes in that burst, relative to their calibrated cost.
        slowdown = max(0.0, pace.took - pace.own) / pace.spent
        still_open = {id(e.line) for thread in self._threads.values() for e in thread.stack}
        for line in self.lines.all:
            if not line.burst_hits or line.hits == line.burst_hits == 1:
                continue
            line.hits += round(line.burst_hits * worked / pace.own)
            line.estimated = True
            if id(line) not in still_open:
                measured = max(0.0, line.burst_ns - slowdown * line.burst_spent)
                by_events = pace.own * line.burst_spent / pace.spent
                line.ns += min((trust * measured + (1 - trust) * by_events) * factor, waited)
