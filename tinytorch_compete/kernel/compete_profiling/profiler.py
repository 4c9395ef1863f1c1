"""Combine the clock, an event source and a memory backend into one profiler."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from types import FrameType, MappingProxyType
from typing import Any

from .clock import Clock
from .operands import Watch
from .pace import COUNTING, SILENT, TICK_S
from .sources import Sources

MIB = 2**20
MAX_LINES, MAX_HELD = 20_000, 100
ROLL_S = 0.001
CALIBRATION, OURS = "<calibration>", "cell:"
PROBE = """
def lines():
    for i in range(100):
        i
        i
def empty(): pass
def frames():
    for i in range(50):
        empty()
"""
LINES, FRAMES = 300, 100  # approximate events per call; frames() also runs 1.5 * FRAMES lines
TRIALS, TRIAL_S = 15, 0.005  # each trial is shorter than a busy machine's time slice
PACKAGE = os.path.dirname(__file__)


class Profiler:
    """Profiles the student's code from ``start`` to ``stop``; name the cells in between.

    ``home`` is the folder whose files are the student's, ``names`` the names of files that ran
    before (see ``Sources``), ``watch`` what to look at (see ``Clock``). The report says what was
    held at the moment when memory first passed ``cap_mib``, or at its peak if it never did. Use the
    profiler on the main thread.
    """

    def __init__(
        self,
        home: str,
        memory: str = "",
        names: Mapping[str, str] = MappingProxyType({}),
        watch: Watch = MappingProxyType({}),
        cap_mib: int = 0,
    ) -> None:
        self.sources = Sources(home, {**names, CALIBRATION: OURS})
        self.memory: Any = _memory(memory or best_memory())(
            self._index_of, self._roll_soon, cap_mib * MIB
        )
        events, blocks = _events(), self.memory
        calls = blocks.mark, self._silence, blocks.look
        self.clock = Clock(self.sources, *calls, events.blind, blocks.later, watch)
        self.events = events(self.clock)
        self._previous: Any = None
        self._in_cell = self._stopped = False
        self._main, self._stopping = _thread.get_ident(), _thread.allocate_lock()

    def start(self) -> None:
        """Start profiling; raises ``RuntimeError`` if the kernel is already being profiled."""
        namespace: dict[str, Any] = {}
        exec(compile(PROBE, CALIBRATION, "exec"), namespace)  # noqa: S102
        self.memory.start()
        lines, frames = namespace["lines"], namespace["frames"]
        bare = _shortest_ns(lines), _shortest_ns(frames)

        def cost_ns() -> tuple[float, float]:
            return _each_ns(_shortest_ns(lines) - bare[0], _shortest_ns(frames) - bare[1])

        try:
            self.events.start()
        except RuntimeError:
            self.memory.stop()
            raise
        if hasattr(signal, "setitimer"):
            self._previous = signal.signal(signal.SIGPROF, self._wake)
        self.begin_cell("", ours=True)
        self.clock.pace.calibrate(cost_ns, _each_ns(*bare))
        self.end_cell()

    def stop(self) -> None:
        """Stop profiling and restore the kernel to its previous state."""
        self.end_cell()
        self.events.stop()
        if hasattr(signal, "setitimer"):
            # A signal still on its way would end the process if nothing handled it.
            with self._stopping:
                self._stopped = True
            signal.signal(signal.SIGPROF, signal.SIG_IGN)
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, self._previous or signal.SIG_DFL)
        self.memory.stop()

    def begin_cell(self, name: str, ours: bool = False) -> None:
        """Start the cell of that name; record only the total of a cell that is ours."""
        self.end_cell()
        self.sources.cell = None if ours else name
        self._in_cell = True
        self.clock.begin_cell(name)
        self.events.restart(None)

    def end_cell(self) -> None:
        """End the cell that started last."""
        if self._in_cell:
            self._in_cell = False
            self.events.silence()
            self.clock.end_cell()
            if self.memory.full:
                self.memory.roll()

    def report(self) -> dict[str, Any]:
        """Return ``backends``, ``sources`` (names), ``lines``, ``operands`` and ``moment``.

        A line is its source's index, its number (0 for a whole cell), hits, seconds, net and peak
        MiB, and whether hits and seconds are estimates. Operands are a line's source and number,
        how often the line ran with them, and what ``operands.look`` returned for each watched name.
        The moment is its MiB, the lines that were on with how many times each had begun, and the
        MiB that each line had allocated.
        """
        costs = self.memory.costs
        lines = [line for line in self.clock.lines.all if line.source != OURS]
        # A line with neither hits nor memory was merely on the stack when a silence ended.
        lines = [line for line in lines if line.hits or line.index in costs]
        names = list(dict.fromkeys(line.source for line in lines))
        index = {name: number for number, name in enumerate(names)}
        rows = []
        for line in lines[:MAX_LINES]:
            cost = costs.get(line.index)
            net, peak = (cost.net / MIB, cost.peak / MIB) if cost else (0.0, 0.0)
            seconds = max(0.0, line.ns / 1e9)
            where = [index[line.source], line.line, max(1, line.hits)]
            rows.append([*where, seconds, net, peak, line.estimated or not line.hits])
        operands = [
            [index[line.source], line.line, looks, facts]
            for line in lines[:MAX_LINES]
            for facts, looks in line.operands.items()
        ]
        return {
            "backends": [self.events.name, self.memory.name],
            "sources": names,
            "lines": rows,
            "operands": operands[:MAX_LINES],
            "moment": self._moment(index),
        }

    def _moment(self, sources: Mapping[str, int]) -> list[Any] | None:
        moment = self.memory.moment
        if moment is None:
            return None
        lines = {line.index: line for line in self.clock.lines.all if line.source in sources}

        def rows(figures: Iterable[tuple[int, float]]) -> list[list[float]]:
            return [
                [sources[lines[index].source], lines[index].line, figure]
                for index, figure in figures
                if index in lines
            ]

        held = sorted(moment.held.items(), key=lambda pair: -pair[1])[:MAX_HELD]
        return [
            moment.level / MIB,
            rows(moment.on[-MAX_HELD:]),
            rows((index, size / MIB) for index, size in held if size > 0),
        ]

    def _index_of(self, file: str, number: int) -> int:
        return self.clock.lines.index_of(file, number)

    def _silence(self) -> None:
        self.events.silence()
        self._set_timer(TICK_S)

    def _roll_soon(self) -> None:
        """Schedule a roll; not at once, because a probe is running."""
        if self.clock.pace.mode != SILENT:
            self._set_timer(ROLL_S)

    def _set_timer(self, seconds: float) -> None:
        if self._stopped or not hasattr(signal, "setitimer"):
            return
        if self.clock.threaded:
            # The timer's signal may reach any thread, and then doesn't wake a waiting main thread.
            _thread.start_new_thread(self._nap, (seconds,))
        else:
            signal.setitimer(signal.ITIMER_PROF, seconds)

    def _nap(self, seconds: float) -> None:
        time.sleep(seconds)
        with self._stopping:
            if not self._stopped:
                signal.pthread_kill(self._main, signal.SIGPROF)

    def _wake(self, _: int, frame: FrameType | None) -> None:
        clock = self.clock
        probed = frame is not None and os.path.dirname(frame.f_code.co_filename) == PACKAGE
        if probed or clock.pace.mode == COUNTING:  # too early: try again soon
            self._set_timer(ROLL_S)
            return
        if clock.pace.mode == SILENT:
            if clock.goes_on(frame):
                self._set_timer(TICK_S)
                return
            clock.resume(frame)
            self.events.restart(frame)
        self.memory.look()
        if self.memory.full:
            start = time.perf_counter_ns()
            self.memory.roll()
            clock.pause(time.perf_counter_ns() - start)


def _each_ns(lines: float, frames: float) -> tuple[float, float]:
    """Return the costs of one line and one frame event, from the times of both trials.

    A frame costs about as much as a line. Half a line's cost is the minimum, however busy the
    machine was in one of the trials: events that seem to cost nothing would never be left out.
    """
    line = max(0.0, lines / LINES)
    return line, max(line / 2, (frames - 1.5 * FRAMES * line) / FRAMES)


def _shortest_ns(run: Callable[[], Any]) -> int:
    times: list[int] = []
    while len(times) < TRIALS or sum(times) < TRIAL_S * 1e9:
        start = time.perf_counter_ns()
        run()
        times.append(time.perf_counter_ns() - start)
    return min(times)


def best_memory() -> str:
    """Return ``memray`` where it is installed, else ``memory_profiler``."""
    try:
        import memray  # noqa: F401
    except ImportError:
        return "memory_profiler"
    return "memray"


def _memory(name: str) -> Any:
    if name == "memray":
        from .memray_memory import Memory

        return Memory
    from .rss_memory import Memory as Fallback

    return Fallback


def _events() -> Any:
    if sys.version_info >= (3, 12):
        from .monitoring import Monitoring as Events
    else:
        from .tracing import Tracing as Events
    return Events
