"""Line events from ``sys.settrace``, for Python 3.11, which has no ``sys.monitoring``.

Only the main thread is traced: to resume in another thread after a silence, we would have to change
one of its frames from outside, which can hang the interpreter in 3.11.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from .clock import Clock
from .pace import COUNTED, COUNTING, SILENT


class Tracing:
    """Reports lines to the clock; traces nothing in a silence."""

    name = "sys.settrace"
    blind = True

    def __init__(self, clock: Clock) -> None:
        self._clock, self._pace = clock, clock.pace

    def start(self) -> None:
        """Start watching; code that is already running is watched from its next call on."""
        sys.settrace(self._call)

    def stop(self) -> None:
        """Stop watching."""
        sys.settrace(None)

    def silence(self) -> None:
        """Trace nothing until ``restart``."""
        sys.settrace(None)

    def restart(self, frame: FrameType | None) -> None:
        """End the silence, also for the frames that are executing now."""
        while frame is not None:
            if self._clock.lines.has(frame.f_code):
                frame.f_trace = self._local
            frame = frame.f_back
        sys.settrace(self._call)

    def _call(self, frame: FrameType, _: str, __: object) -> Any:
        clock, mode = self._clock, self._pace.mode
        if mode == SILENT or not clock.lines.has(frame.f_code):
            return None
        if mode == COUNTING:
            self._count()
        else:
            number = frame.f_lineno if frame.f_lasti > 4 else None  # a resumed generator
            clock.enter(frame, frame.f_code, number)
        return self._local

    def _local(self, frame: FrameType, event: str, _: object) -> Any:
        pace = self._pace
        mode = pace.mode
        if mode == SILENT:
            return None
        if event == "line":
            if mode == COUNTING:
                if frame.f_lineno in pace.usual:
                    self._count()
                    return self._local
                if not self._clock.is_news(frame.f_code, frame.f_lineno):
                    return self._local
                self._clock.resume(frame, news=True)
            self._clock.begin_line(frame.f_code, frame.f_lineno, frame)
        elif event == "return":
            if mode == COUNTING:
                self._count()
            else:
                self._clock.leave(frame)
        return self._local

    def _count(self) -> None:
        pace = self._pace
        pace.counted += 1
        if pace.counted >= COUNTED:
            self._clock.end_count()
