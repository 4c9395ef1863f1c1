"""Choose how much to do at an event, so that probes stay cheap beside the code's own time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable

SHARE = 0.3  # time that probes may take, as a share of the code's own time
BURST = 1000  # events between two checks of that share
SETTLING = 250  # events to observe after a rare line, if they are unlike those of the sample
COUNTED = 2000  # events to count in order to measure the speed of lines without probes
ENOUGH = 200  # events that suffice where the count is cut short
SILENCE = 20  # length of a silence relative to its burst
SHORTEST_S, LONGEST_S = 0.01, 0.1  # bounds of a silence's length
TRIAL_LINES = 100  # upper bound of the lines in a trial's code
TICK_S = 0.01  # time between two checks for what a silence may miss
MARKED, PLAIN, COUNTING, SILENT = MODES = range(4)  # ways to handle an event, dearest first


class Pace:
    """Chooses the mode; as long as all costs are 0, that is ``MARKED``.

    ``later`` is the total cost of a marked event relative to its immediate cost.

    A burst of ``PLAIN`` events is the sample that stands for the silence after it. The burst can't
    say how many events the silence had, because probes cost far more than fast lines: between the
    two, events are counted and nothing else is done.
    """

    def __init__(self, later: float) -> None:
        self._later = later
        self.mode = MARKED
        # By mode: nanoseconds for a line that begins, and for a frame that is entered or left. For
        # SILENT these are the least that the code itself takes.
        self.costs = [(0.0, 0.0)] * len(MODES)
        self.line_ns = self.frame_ns = 0.0  # the costs of the current mode
        self.events = self.frames = 0
        self.next_look = BURST
        self.began = 0  # when the burst began
        self._events_then = self._frames_then = 0
        self.settling = False  # True after a rare line ended a silence: not a fair sample
        self.deaf = False  # whether to ignore rare lines, because they come too often
        self._lost = 0  # nanoseconds that rare lines and their probes took since the sample
        self.took = self.spent = self.own = 0.0  # nanoseconds: the sample, its probes, its code
        self._sample = (0, 0)  # events of the sample, and how many of them were frames
        self.usual: frozenset[int] = frozenset()  # line numbers in the sample
        self.counted = 0  # events so far
        self.since = 0  # when the count began, the start of the time that the sample stands for
        self._clock_ns, self._cpu_then = time.thread_time_ns, 0
        self._silent_cpu = self._tick_cpu = self._silent_for = 0.0

    def calibrate(
        self, cost_ns: Callable[[], tuple[float, float]], least_ns: tuple[float, float]
    ) -> None:
        """Measure the costs: call ``cost_ns`` once in each mode for the costs of its events.

        ``least_ns`` is what minimal code takes without events, for a line and for a frame.
        """
        self.next_look = sys.maxsize
        self.usual, self.counted = frozenset(range(TRIAL_LINES)), -sys.maxsize
        costs = []
        for mode in (MARKED, PLAIN, COUNTING):
            self.mode = mode
            costs.append(cost_ns())
        self.costs = [*costs, least_ns]
        self.change(MARKED)

    def change(self, mode: int) -> None:
        """Switch to another way of handling events."""
        self.mode = mode
        self.line_ns, self.frame_ns = self.costs[mode]

    def begin_burst(self, now: int) -> None:
        """Start a burst, to be checked after ``BURST`` events."""
        self.began, self.settling = now, False
        self.deaf, self._lost = False, 0
        self._events_then, self._frames_then = self.events, self.frames
        self.next_look = self.events + BURST

    def settle(self, now: int, took: int) -> None:
        """Settle after a rare line ended the silence; handling it took ``took`` nanoseconds."""
        self.settling = True
        self._lost += took
        self.deaf = self._lost > SHARE * (now - self.began)
        self.next_look = self.events + SETTLING

    def go_on(self, now: int) -> None:
        """Fall silent again with the same sample."""
        self.change(SILENT)
        self.settling = False
        self.since, self._cpu_then = now, self._clock_ns()
        self._tick_cpu = time.process_time()

    def look(self, now: int, fresh: bool) -> int:
        """Choose the mode after a burst; ``fresh`` says that it had lines never marked before."""
        events, frames = self.events - self._events_then, self.frames - self._frames_then
        marked, plain = (self._cost(mode, events, frames) for mode in (MARKED, PLAIN))
        took = now - self.began
        share = SHARE * max(took - (marked if self.mode == MARKED else plain), 1)
        if self.mode == MARKED:
            return PLAIN if marked * self._later > share else MARKED
        if self.settling:
            return PLAIN
        if fresh or marked * self._later <= share:
            return MARKED
        if plain <= share:
            return PLAIN
        self.took, self.spent, self._sample = took, plain, (events, frames)
        return COUNTING

    @property
    def guesses(self) -> bool:
        """Whether probes took most of the sample's time, so that its speed has to be counted."""
        return self.took < 2 * self.spent

    def begin_count(self, usual: Iterable[int], threads: int) -> None:
        """Start counting events, until a line whose number isn't in ``usual``."""
        self.change(COUNTING)
        self.usual, self.counted = frozenset(usual), 0
        # Threads that take turns need the process's time; a single one must not be charged for
        # BLAS's threads.
        self._clock_ns = time.thread_time_ns if threads == 1 else time.process_time_ns
        self.since, self._cpu_then = time.perf_counter_ns(), self._clock_ns()

    def cpu_ns(self) -> int:
        """Return the CPU nanoseconds since the count began or the silence was resumed."""
        return self._clock_ns() - self._cpu_then

    def end_count(self) -> float:
        """Fall silent, and return the nanoseconds that the counting itself took."""
        events, frames = self._sample
        cost = self._cost(COUNTING, events, frames) / events
        own = self.took - self.spent
        if self.guesses and self.counted >= ENOUGH:
            own = events * (self.cpu_ns() / self.counted - cost)
        self.own = max(own, self._cost(SILENT, events, frames))
        self.change(SILENT)
        self._silent_cpu = self._tick_cpu = time.process_time()
        self._silent_for = min(max(SILENCE * self.took / 1e9, SHORTEST_S), LONGEST_S)
        return self.counted * cost

    def goes_on(self) -> bool:
        """Whether the silence should last for another tick."""
        cpu = time.process_time()
        if self.late_s(cpu) or cpu - self._silent_cpu >= self._silent_for:
            return False
        self._tick_cpu = cpu
        return True

    def late_s(self, cpu: float) -> float:
        """Return the CPU seconds that a tick is late because native code delayed its signal."""
        return max(0.0, cpu - self._tick_cpu - 2 * TICK_S)

    def _cost(self, mode: int, events: int, frames: int) -> float:
        line, frame = self.costs[mode]
        return (events - frames) * line + frames * frame
