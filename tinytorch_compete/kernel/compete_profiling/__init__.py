"""Profile the student's code from inside their kernel; nothing here is trusted.

Student code can patch all of it and gains nothing: a profile ranks nobody, and who reads it outside
treats it as data. In a notebook that is profiled in a sandbox the first cell calls ``start`` with
the names of the cells to come, and the last one sends what ``finish`` returns.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from .operands import Watch
from .profiler import MIB, Profiler

TELLING_MIB = 64

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


def start(
    names: Sequence[tuple[str, bool]], watch: Watch, cap_mib: int = 0, room_mib: int = 0
) -> None:
    """Profile the cells to come: their names, and whether the cell is ours, not the student's.

    ``watch`` has the names whose arrays are to be looked at, by source and line, ``cap_mib`` is the
    profiler's. Beyond ``room_mib`` there is a ``MemoryError``, so that the kernel lives to tell.
    """
    from IPython import get_ipython

    if room_mib:
        _allow(room_mib)
        get_ipython().set_custom_exc((MemoryError,), _tell)
    profiler = Profiler(os.getcwd(), watch=watch, cap_mib=cap_mib)
    profiler.start()
    _running.append((profiler, Cells(profiler, names, get_ipython().events)))


def _allow(mib: int) -> None:
    """Let the process's own data grow by so much, 0 for as far as its hard limit; only on Linux."""
    if sys.platform != "linux":
        return
    import resource

    _, limit = resource.getrlimit(resource.RLIMIT_DATA)
    hard = limit
    if mib:
        with open("/proc/self/status") as status:
            held_kib = next(int(row.split()[1]) for row in status if row.startswith("VmData:"))
        wanted = held_kib * 1024 + mib * MIB
        limit = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _tell(shell: Any, kind: Any, error: Any, trace: Any, tb_offset: int | None = None) -> None:
    """Show a ``MemoryError``, with the room that this takes, and only that."""
    shell.set_custom_exc((), None)
    _allow(TELLING_MIB)
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)


def finish() -> np.ndarray:
    """End the profile; the report as JSON in an array of bytes, see ``Profiler.report``."""
    profiler, cells = _running.pop()
    cells.close()
    _allow(0)
    profiler.stop()
    return np.frombuffer(json.dumps(profiler.report()).encode(), np.uint8)
