"""Line events by ``sys.settrace``, for Python 3.11, which has no ``sys.monitoring``.

Only the main thread is traced: to begin again after a silence in a thread of its own, a frame of it
would have to be changed from outside, and in 3.11 that can hang the interpreter.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from .clock import Clock
from .pace import COUNTED, COUNTING, SILENT


class Tracing:
    """Tells the clock of lines; in a silence nothing is traced at all."""

    name = "sys.settrace"
    blind = True

    def __init__(self, clock: Clock) -> None:
        self._clock, self._pace = clock, clock.pace

    def start(self) -> None:
        """Begin to watch; code that runs already is watched from its next call on."""
        sys.settrace(self._call)

    def stop(self) -> None:
        """Stop watching."""
        sys.settrace(None)

    def silence(self) -> None:
        """Trace nothing until ``restart``."""
        sys.settrace(None)

    def restart(self, frame: FrameType | None) -> None:
        """End the silence, for the frames that are executing too."""
        while frame is not None:
            if self._clock.lines.wants(frame.f_code):
                frame.f_trace = self._local
            frame = frame.f_back
        sys.settrace(self._call)

    def _call(self, frame: FrameType, _: str, __: object) -> Any:
        clock, mode = self._clock, self._pace.mode
        if mode == SILENT or not clock.lines.wants(frame.f_code):
            return None
        if mode == COUNTING:
            self._count()
        else:
            number = frame.f_lineno if frame.f_lasti > 4 else None  # a generator that goes on
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
