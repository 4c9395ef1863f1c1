"""How much may be done at an event, so that probes stay a small part of the code's own time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable

SHARE = 0.3  # of the code's own time that probes may take
BURST = 1000  # events between two looks at that share
SETTLING = 250  # events after a rare line, if they are not like those of the sample
COUNTED = 2000  # events for the speed of lines without probes
ENOUGH = 200  # of them, where the count is cut short
SILENCE = 20  # silent times a burst's length
SHORTEST_S, LONGEST_S = 0.01, 0.1  # of a silence
TRIAL_LINES = 100  # that a trial's code has at most
TICK_S = 0.01  # between two looks at what a silence may miss
MARKED, PLAIN, COUNTING, SILENT = MODES = range(4)  # what is done at an event


class Pace:
    """Chooses the mode; while the costs are 0, that is ``MARKED``.

    ``later`` is how many times what a marked event costs at once it costs in all.

    A burst of ``PLAIN`` events is the sample that stands for the silence after it. How many events
    the silence had can't be told from the burst, whose probes are far dearer than fast lines:
    between the two, events are counted and nothing else is done.
    """

    def __init__(self, later: float) -> None:
        self._later = later
        self.mode = MARKED
        # By mode: nanoseconds for a line that begins, and for a frame that is entered or left. In
        # a silence that is what the code itself takes at least.
        self.costs = [(0.0, 0.0)] * len(MODES)
        self.line_ns = self.frame_ns = 0.0  # of them, those of the mode
        self.events = self.frames = 0
        self.next_look = BURST
        self.began = 0  # when the burst did
        self._events_then = self._frames_then = 0
        self.settling = False  # since a rare line ended a silence; such events are no fair sample
        self.deaf = False  # to rare lines, because they come too often
        self._lost = 0  # nanoseconds that they took since the sample, with their probes
        self.took = self.spent = self.own = 0.0  # nanoseconds: the sample, its probes, its code
        self._sample = (0, 0)  # its events, and how many of them were frames
        self.usual: frozenset[int] = frozenset()  # the numbers of its lines
        self.counted = 0  # events
        self.since = 0  # when the count began, and with it the time that the sample stands for
        self._clock_ns, self._cpu_then = time.thread_time_ns, 0
        self._silent_cpu = self._tick_cpu = self._silent_for = 0.0

    def calibrate(
        self, cost_ns: Callable[[], tuple[float, float]], least_ns: tuple[float, float]
    ) -> None:
        """Find the costs, by trials that say what an event costs in the mode they are made in.

        ``least_ns`` are what the least code takes without events, for a line and for a frame.
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
        """Do another thing at events."""
        self.mode = mode
        self.line_ns, self.frame_ns = self.costs[mode]

    def begin_burst(self, now: int) -> None:
        """Look again after so many events."""
        self.began, self.settling = now, False
        self.deaf, self._lost = False, 0
        self._events_then, self._frames_then = self.events, self.frames
        self.next_look = self.events + BURST

    def settle(self, now: int, took: int) -> None:
        """A rare line ended the silence, which took so long."""
        self.settling = True
        self._lost += took
        self.deaf = self._lost > SHARE * (now - self.began)
        self.next_look = self.events + SETTLING

    def go_on(self, now: int) -> None:
        """Fall silent once more with the sample that there is."""
        self.change(SILENT)
        self.settling = False
        self.since, self._cpu_then = now, self._clock_ns()
        self._tick_cpu = time.process_time()

    def look(self, now: int, fresh: bool) -> int:
        """The mode to come, at a burst's end; ``fresh`` if it had lines that were never marked."""
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
        """Whether probes took most of the sample, so that only a count tells how fast it is."""
        return self.took < 2 * self.spent

    def begin_count(self, usual: Iterable[int], threads: int) -> None:
        """Count events; a line whose number isn't usual ends that."""
        self.change(COUNTING)
        self.usual, self.counted = frozenset(usual), 0
        # Threads that take turns make the process's time; one alone isn't charged for BLAS's.
        self._clock_ns = time.thread_time_ns if threads == 1 else time.process_time_ns
        self.since, self._cpu_then = time.perf_counter_ns(), self._clock_ns()

    def cpu_ns(self) -> int:
        """CPU nanoseconds since the count began, or the silence went on."""
        return self._clock_ns() - self._cpu_then

    def end_count(self) -> float:
        """Fall silent; nanoseconds that the counting itself took."""
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
        """Whether the silence, of which a tick has passed, shall last for another one."""
        cpu = time.process_time()
        if self.late_s(cpu) or cpu - self._silent_cpu >= self._silent_for:
            return False
        self._tick_cpu = cpu
        return True

    def late_s(self, cpu: float) -> float:
        """CPU seconds that a tick is late, because native code held its signal up."""
        return max(0.0, cpu - self._tick_cpu - 2 * TICK_S)

    def _cost(self, mode: int, events: int, frames: int) -> float:
        line, frame = self.costs[mode]
        return (events - frames) * line + frames * frame
