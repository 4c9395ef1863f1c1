"""Time by line: exact while lines are sparse, in bursts while they are dense.

``Clock`` is told by an event source (``monitoring``, ``tracing``) which line of the student's code
starts and which frame is left. Such a probe costs about two microseconds, and some more with a mark
for the memory. What is too dear beside the code's own time is left out (see ``pace``): first the
marks, then the probes. Then a burst of lines stands for the silence after it, whose hits and
seconds are estimates.

A frame in which no line began during the burst is taken to be still on its line after the silence,
so what called the hot code stays exact.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import RLock, get_ident
from types import CodeType, FrameType, MappingProxyType

from .lines import Found, Line, Lines, Open, Thread
from .operands import Watch, look
from .pace import COUNTING, MARKED, PLAIN, SILENT, Pace
from .sources import Sources

RARE = 2  # lines of a burst that are no more than chance
NOISE = 0.1  # of what probes took in a burst is not known any better
LATE_NS = 20_000  # a timer so late was held up by the line that it found


class Clock:
    """Holds the open frames of each thread and adds up what their lines took.

    ``mark(depth, index)`` is called when the main thread's frame at ``depth`` begins the line
    ``index``, or is left (0): memory is told apart there. ``rest`` is called now and then while
    there are no marks. ``silence`` must stop the events and call ``resume`` on the main thread once
    the pace's silence is over. ``blind`` is a source that says nothing in a silence, even of rare
    lines. ``later`` is the pace's. ``watch`` has the dotted names, by source and line, whose arrays
    are worth a look (see ``operands``).
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
        # Threads take turns between any two bytecodes; no event comes while a probe runs.
        self._lock = RLock()
        self._main = Thread(main=True)
        self._threads = {get_ident(): self._main}
        self._marked = 0  # how many frames of the main thread have their line marked
        self._fresh = False  # whether the burst has lines that were never marked
        self._counting_ns = 0.0  # of the silence's time that went to the count before it
        self._quiet_ns = 0.0  # of all silences so far

    @property
    def threaded(self) -> bool:
        """Whether other threads than the main one were seen."""
        return len(self._threads) > 1

    def begin_line(self, code: CodeType, number: int, frame: FrameType) -> None:
        """A line begins in a frame."""
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
                self._see(line, frame)

    def enter(self, frame: FrameType, code: CodeType, number: int | None) -> None:
        """A frame starts, or goes on at a line as a generator does."""
        now = time.perf_counter_ns()
        if (lines := self.lines.of(code)) is None:
            return
        with self._lock:
            thread = self._frame_moves()
            line = None if number is None else lines.get(number) or self.lines.new(code, number)
            if line is not None:
                thread.active[line.index] += 1
            thread.stack.append(Open(id(frame), code, line, now, thread.spent, self._quiet_ns))
            if self.pace.events >= self.pace.next_look:
                self._look(now)

    def leave(self, frame: FrameType) -> None:
        """A frame returns or yields."""
        now = time.perf_counter_ns()
        with self._lock:
            thread = self._frame_moves()
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
        """Enough events were counted."""
        with self._lock:
            if self.pace.mode == COUNTING:
                self._fall_silent()
                self._silence()

    def begin_cell(self, name: str) -> None:
        """A cell starts; its cost is that of line 0."""
        with self._lock:
            now = time.perf_counter_ns()
            line = self.lines.at(f"cell:{name}", 0)
            line.hits += 1
            main = self._main
            main.active[line.index] += 1
            main.stack.append(Open(0, None, line, now, main.spent, self._quiet_ns))
            self._move(0, line.index)
            self._begin_burst(now)

    def end_cell(self) -> None:
        """The cell has ended, and all that it called."""
        with self._lock:
            now = time.perf_counter_ns()
            self.resume(None)
            if self.pace.mode == PLAIN:
                self._take_up_marks()
            self._cut(self._main, 0, now)
            self._threads = {get_ident(): self._main}

    def pause(self, ns: int) -> None:
        """Take time that the profiler needed for itself out of all open lines."""
        with self._lock:
            for thread in self._threads.values():
                for entry in thread.stack:
                    entry.began += ns
            self._begin_burst(self.pace.began + ns)

    def is_usual(self, code: CodeType, number: int) -> bool:
        """Whether the burst, which stands for what comes after it, has that line."""
        line = (self.lines.of(code) or {}).get(number)
        return line is not None and line.burst_hits > 0

    def is_news(self, code: CodeType, number: int) -> bool:
        """Whether an unusual line shall end the silence; else it is counted, and not timed."""
        line = (self.lines.of(code) or {}).get(number)
        if line is None or not line.hits or not self.pace.deaf:
            return True
        line.hits += 1
        line.estimated = True
        return False

    def goes_on(self, frame: FrameType | None) -> bool:
        """Whether a silence, of which a timer's tick has passed, shall last for another one."""
        with self._lock:
            chain = self.lines.chain(frame) if self._blind and self._main.ran else []
            return self.pace.goes_on() and (not chain or chain[-1][2].burst_hits > 0)

    def resume(self, frame: FrameType | None, news: bool = False) -> None:
        """End the silence: the burst stands for it, but for frames that stayed on their line.

        Without a ``frame`` the cell has ended. With ``news`` a rare line ended the silence, which
        goes on with the same burst once that line is over.
        """
        with self._lock:
            pace = self.pace
            if pace.mode == COUNTING:
                self._fall_silent()
            if pace.mode != SILENT:
                return
            # The timer's signal waits for native code to return: that is the current line's time.
            # Beside other threads it has to wait for its turn.
            late = 0.0 if self.threaded else pace.late_s(time.process_time())
            late_ns = int(min(late * 1e9, (now := time.perf_counter_ns()) - pace.since))
            waited = max(0.0, now - pace.since - late_ns - self._counting_ns)
            worked = max(0.0, pace.cpu_ns() - late_ns - self._counting_ns)
            chain, here = self.lines.chain(frame), self._threads.get(get_ident())
            known = frame is not None or self._blind
            stay = []
            for thread in self._threads.values():
                kept = self._leave_stale(thread, chain if thread is here and known else None)
                stay.append((thread, kept))
            self._quiet_ns += waited
            self._extrapolate(waited, worked)
            for thread, kept in stay:
                self._cut(thread, kept, now)
            pace.change(PLAIN)
            if here is not None:
                self._reopen(here, chain, now - late_ns, late_ns > LATE_NS)
            done = time.perf_counter_ns()
            if news:
                pace.settle(done, done - now)
            else:
                self._begin_burst(done)

    def _leave_stale(self, thread: Thread, chain: list[Found] | None) -> int:
        """Leave the frames that have moved in the silence, as of its start; how many have not.

        What was on an unusual line is on it still, or has left it only now: else it had been news.
        A blind source knows no better.
        """
        unusual = int(thread.main) if self.pace.deaf else thread.on_unusual()
        if chain is not None and self._blind:
            self.lines.doubt(thread.stack, chain)
        kept = unusual if chain is None else thread.still_open(chain)
        self._cut(thread, max(kept, unusual), self.pace.since)
        return kept

    def _reopen(self, thread: Thread, chain: list[Found], began: int, charged: bool) -> None:
        """Take up the frames that began in a silence.

        The innermost is on a line that is all but over, and is ``charged`` for waking up only if
        it held up the timer.
        """
        stack = thread.stack
        if thread.main and not stack:
            return
        for key, code, line in chain[len(stack) - thread.main :]:
            if key == chain[-1][0] and not charged:
                stack.append(Open(key, code, None, began, thread.spent, self._quiet_ns))
            else:
                if not line.hits:
                    line.hits, line.estimated = 1, True
                thread.active[line.index] += 1
                stack.append(Open(key, code, line, began, thread.spent, self._quiet_ns))
            stack[-1].moves = 1

    def _frame_moves(self) -> Thread:
        """Note the event of a frame that is entered or left; its thread."""
        thread = self._threads.get(get_ident()) or self._new_thread()
        pace = self.pace
        pace.events += 1
        pace.frames += 1
        thread.spent += pace.frame_ns
        return thread

    def _new_thread(self) -> Thread:
        """A thread that the student started."""
        return self._threads.setdefault(get_ident(), Thread(main=False))

    def _see(self, line: Line, frame: FrameType) -> None:
        """Look at the line's operands, in no one's time."""
        start = time.perf_counter_ns()
        line.looks -= 1
        seen = look(line.paths, frame)
        line.seen[seen] = line.seen.get(seen, 0) + 1
        took = time.perf_counter_ns() - start
        for thread in self._threads.values():
            for entry in thread.stack:
                entry.began += took

    def _move(self, depth: int, index: int) -> None:
        """The main thread's frame at a depth begins a line, or with 0 is left."""
        if self.pace.mode != MARKED:
            self._marked = min(self._marked, depth)
        elif index or self._marked > depth:
            self._marked = depth + 1 if index else depth
            self._mark(depth, index)

    def _close(self, thread: Thread, entry: Open, line: Line, now: int) -> None:
        thread.active[line.index] = still = thread.active[line.index] - 1
        if still:
            return
        net = now - entry.began - (thread.spent - entry.spent)
        # No probe cost anything in a silence, however dear a busy machine made them seem.
        line.ns += max(net, self._quiet_ns - entry.quiet, 0.0)
        if not self.pace.settling:
            line.burst_ns += now - max(entry.began, self.pace.began)
            line.burst_spent += thread.spent - max(entry.spent, thread.burst_spent)

    def _unwind(self, thread: Thread, key: int, code: CodeType, now: int) -> None:
        """Make the frame the top: those above it ended by an exception; a new one is pushed."""
        stack = thread.stack
        for depth in range(len(stack) - 1, -1, -1):
            if stack[depth].frame == key:
                self._cut(thread, depth + 1, now)
                return
        stack.append(Open(key, code, None, now, thread.spent, self._quiet_ns))

    def _cut(self, thread: Thread, depth: int, now: int) -> None:
        for entry in reversed(thread.stack[depth:]):
            if entry.line is not None:
                self._close(thread, entry, entry.line, now)
        del thread.stack[depth:]
        if thread.main:
            self._move(depth, 0)

    def _look(self, now: int) -> None:
        """At the end of a burst choose what is done at the events to come."""
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
        """Leave lines out that the sample has by chance: in the silence each is told of."""
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
        """The rare line is over, or waits for others that are usual."""
        for thread in self._threads.values():
            for entry in thread.stack:
                if entry.line is not None and not entry.line.burst_hits:
                    entry.moves = 0  # it would be news if it moved
        self._counting_ns = 0.0
        self.pace.go_on(now)
        self._silence()

    def _take_up_marks(self) -> None:
        """Tell memory apart by lines again."""
        self.pace.change(MARKED)
        kept = self._marked
        self._mark(-2 - kept, 0)
        for depth, entry in enumerate(self._main.stack[kept:], kept):
            if entry.line is not None:
                self._move(depth, entry.line.index)

    def _extrapolate(self, waited: float, worked: float) -> None:
        """The burst stands for so many nanoseconds, of which the CPU ``worked``.

        The faster lines are, the less can be told of them beside the probes: then their time goes
        by the number of their events. Lines that are open all along know it themselves.
        """
        pace = self.pace
        factor = waited / pace.own
        known = pace.own / (pace.own + NOISE * pace.spent)
        # what probes took in that burst, in terms of what they take at their best
        dearer = max(0.0, pace.took - pace.own) / pace.spent
        still = {id(e.line) for thread in self._threads.values() for e in thread.stack}
        for line in self.lines.all:
            if not line.burst_hits or line.hits == line.burst_hits == 1:
                continue
            line.hits += round(line.burst_hits * worked / pace.own)
            line.estimated = True
            if id(line) not in still:
                seen = max(0.0, line.burst_ns - dearer * line.burst_spent)
                events = pace.own * line.burst_spent / pace.spent
                line.ns += min((known * seen + (1 - known) * events) * factor, waited)
