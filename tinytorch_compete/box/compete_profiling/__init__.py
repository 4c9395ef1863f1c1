"""Profile the student's code from inside their kernel; nothing here is trusted.

Student code can patch all of it and gains nothing: a profile ranks nobody, and who reads it outside
treats it as data. In a notebook that is profiled in a sandbox the first cell calls ``start`` with
the names of the cells to come, and the last one sends what ``finish`` returns.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from .operands import Watch
from .profiler import Profiler

_running: list[tuple[Profiler, Cells]] = []


class Cells:
    """Tells the profiler which cell of the notebook runs, by the order in which they come."""

    def __init__(self, profiler: Profiler, names: Sequence[tuple[str, bool]], events: Any) -> None:
        self._profiler, self._names, self._events = profiler, iter(names), events
        self._depth = 0
        events.register("pre_run_cell", self._before)
        events.register("post_run_cell", self._after)

    def close(self) -> None:
        """Listen no more."""
        self._events.unregister("pre_run_cell", self._before)
        self._events.unregister("post_run_cell", self._after)

    def _before(self, *_: Any) -> None:
        self._depth += 1
        if self._depth == 1:  # a cell that a cell runs is part of it
            name, ours = next(self._names, ("", True))
            self._profiler.begin_cell(name, ours)

    def _after(self, *_: Any) -> None:
        if self._depth == 1:
            self._profiler.end_cell()
        self._depth = max(0, self._depth - 1)


def start(names: Sequence[tuple[str, bool]], watch: Watch) -> None:
    """Profile the cells to come: their names, and whether the cell is ours, not the student's.

    ``watch`` has the names whose arrays are to be looked at, by source and line.
    """
    from IPython import get_ipython

    profiler = Profiler(os.getcwd(), watch=watch)
    profiler.start()
    _running.append((profiler, Cells(profiler, names, get_ipython().events)))


def finish() -> np.ndarray:
    """End the profile; the report as JSON in an array of bytes, see ``Profiler.report``."""
    profiler, cells = _running.pop()
    cells.close()
    profiler.stop()
    return np.frombuffer(json.dumps(profiler.report()).encode(), np.uint8)
