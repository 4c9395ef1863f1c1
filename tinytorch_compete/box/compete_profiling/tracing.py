"""Line events by ``sys.settrace``, for Python 3.11, which has no ``sys.monitoring``."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from .clock import Clock


class Tracing:
    """Tells the clock of lines; in a silence nothing is traced at all."""

    name = "sys.settrace"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

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
            if self._clock.wants(frame.f_code):
                frame.f_trace = self._local
            frame = frame.f_back
        sys.settrace(self._call)

    def _call(self, frame: FrameType, _: str, __: object) -> Any:
        clock = self._clock
        if not clock.wants(frame.f_code):
            return None
        number = frame.f_lineno if frame.f_lasti > 4 else None  # a generator that goes on
        clock.enter(frame, frame.f_code, number)
        return self._local

    def _local(self, frame: FrameType, event: str, _: object) -> Any:
        clock = self._clock
        if clock.silent:
            return None
        if event == "line":
            clock.begin_line(frame.f_code, frame.f_lineno, frame)
        elif event == "return":
            clock.leave(frame)
        return self._local
