"""Line events by ``sys.settrace``, for Python 3.11, which has no ``sys.monitoring``."""

from __future__ import annotations

import sys
import threading
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
        threading.settrace(self._call)
        sys.settrace(self._call)

    def stop(self) -> None:
        """Stop watching; in threads that run on, with their next line or call."""
        threading.settrace(None)  # type: ignore[arg-type,unused-ignore]
        sys.settrace(None)
        self._pace.change(SILENT)

    def silence(self) -> None:
        """Trace nothing until ``restart``; in other threads from their next event on."""
        if threading.current_thread() is threading.main_thread():
            sys.settrace(None)

    def restart(self, frame: FrameType | None) -> None:
        """End the silence on the main thread, for the frames that are executing in any."""
        for running in (frame, *sys._current_frames().values()):
            while running is not None:
                if self._clock.lines.wants(running.f_code):
                    running.f_trace = self._local
                running = running.f_back
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
            frame.f_trace = None
        elif event == "line":
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
