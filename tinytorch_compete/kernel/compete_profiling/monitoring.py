"""Line events from ``sys.monitoring`` (Python 3.12 and newer), local to the student's code."""

from __future__ import annotations

import sys
from types import CodeType
from typing import Any

from .clock import Clock
from .pace import COUNTED, COUNTING, SILENT

TOOL = 4  # one of six ids; debuggers, coverage tools and profilers have ids of their own
NAME = "tinytorch-compete"


class Monitoring:
    """Reports lines to the clock; in a silence only lines that the burst before it didn't have."""

    name = "sys.monitoring"
    blind = False

    def __init__(self, clock: Clock) -> None:
        self._clock, self._pace, self._local = clock, clock.pace, set[int]()
        self._watched: list[CodeType] = []

    def start(self) -> None:
        """Start watching; raises ``RuntimeError`` if another tool has taken the id."""
        self._tool = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        events = self._tool.events
        try:
            self._tool.use_tool_id(TOOL, NAME)
        except ValueError:
            raise RuntimeError("a line profiler is already running in this kernel") from None
        for event, probe in (
            (events.LINE, self._line),
            (events.PY_START, self._start),
            (events.PY_RESUME, self._resume),
            (events.PY_RETURN, self._leave),
            (events.PY_YIELD, self._leave),
        ):
            self._tool.register_callback(TOOL, event, probe)
        self._events = events.LINE | events.PY_START | events.PY_RESUME
        self._events |= events.PY_RETURN | events.PY_YIELD
        self._tool.set_events(TOOL, events.PY_START)

    def stop(self) -> None:
        """Stop watching, for good."""
        self._tool.set_events(TOOL, 0)
        for code in self._watched:
            self._tool.set_local_events(TOOL, code, 0)
        for event in ("LINE", "PY_START", "PY_RESUME", "PY_RETURN", "PY_YIELD"):
            self._tool.register_callback(TOOL, getattr(self._tool.events, event), None)
        self._tool.free_tool_id(TOOL)

    def silence(self) -> None:
        """Do nothing: from now on each event disables itself where it occurs."""

    def restart(self, _: Any) -> None:
        """End the silence."""
        self._tool.restart_events()

    def _watch(self, code: CodeType) -> None:
        if id(code) not in self._local:
            self._local.add(id(code))
            self._watched.append(code)
            self._tool.set_local_events(TOOL, code, self._events)

    def _line(self, code: CodeType, number: int) -> Any:
        pace = self._pace
        mode = pace.mode
        if mode == COUNTING and number in pace.usual:
            return self._count()
        clock = self._clock
        if mode >= COUNTING:
            if mode == SILENT and clock.is_usual(code, number):
                return self._tool.DISABLE
            if not clock.is_news(code, number):
                return None
            clock.resume(sys._getframe(1), news=True)
            self._tool.restart_events()
        clock.begin_line(code, number, sys._getframe(1))
        return None

    def _start(self, code: CodeType, _: int) -> Any:
        mode = self._pace.mode
        if id(code) in self._local:
            if mode == SILENT:
                return self._tool.DISABLE
            if mode == COUNTING:
                return self._count()
        elif not self._clock.lines.has(code):
            return self._tool.DISABLE
        self._watch(code)
        if mode < COUNTING:  # otherwise its first line is news
            self._clock.enter(sys._getframe(1), code, None)
        return None

    def _resume(self, code: CodeType, _: int) -> Any:
        mode = self._pace.mode
        if mode == SILENT:
            return self._tool.DISABLE
        if mode == COUNTING:
            return self._count()
        frame = sys._getframe(1)
        self._clock.enter(frame, code, frame.f_lineno)
        return None

    def _leave(self, code: CodeType, _: int, __: object) -> Any:
        mode = self._pace.mode
        if mode == SILENT:
            return self._tool.DISABLE
        if mode == COUNTING:
            return self._count()
        self._clock.leave(sys._getframe(1))
        return None

    def _count(self) -> None:
        pace = self._pace
        pace.counted += 1
        if pace.counted >= COUNTED:
            self._clock.end_count()
