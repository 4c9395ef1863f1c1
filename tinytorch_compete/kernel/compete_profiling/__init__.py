"""Profile the student's code from inside their kernel; nothing here is trusted.

Student code can patch all of it and gains nothing by it: profiles don't rank anybody, and the
reader outside treats them as untrusted data. When a notebook is profiled in a sandbox, its first
cell calls ``start`` with the names of the cells to come, and its last one sends what ``finish``
returns.
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

TELLING_MIB = 64  # extra room in which to format a MemoryError's traceback

_running: list[tuple[Profiler, Cells]] = []


class Cells:
    """Tells the profiler which notebook cell is running, by the order in which the cells run."""

    def __init__(self, profiler: Profiler, names: Sequence[tuple[str, bool]], events: Any) -> None:
        self._profiler, self._names, self._events = profiler, iter(names), events
        self._depth = 0
        events.register("pre_run_cell", self._before)
        events.register("post_run_cell", self._after)

    def close(self) -> None:
        """Stop listening to the kernel's events."""
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
    """Profile the cells to come, given each one's name and whether it is ours, not the student's.

    ``watch`` holds the names whose arrays to look at, by source and line; for ``cap_mib`` see
    ``Profiler``. Allocations beyond ``room_mib`` raise a ``MemoryError``, so that the kernel
    survives to report it.
    """
    from IPython import get_ipython

    if room_mib:
        _allow(room_mib)
        get_ipython().set_custom_exc((MemoryError,), _tell)
    profiler = Profiler(os.getcwd(), watch=watch, cap_mib=cap_mib)
    profiler.start()
    _running.append((profiler, Cells(profiler, names, get_ipython().events)))


def _allow(mib: int) -> None:
    """Let the process's own data grow by ``mib``, or up to its hard limit with 0; Linux only."""
    if sys.platform != "linux":
        return
    import resource

    _, limit = resource.getrlimit(resource.RLIMIT_DATA)
    hard = limit
    if mib:
        with open("/proc/self/status") as status:
            held_kib = next(int(row.split()[1]) for row in status if row.startswith("VmData:"))
        soft = held_kib * 1024 + mib * MIB
        limit = soft if hard == resource.RLIM_INFINITY else min(hard, soft)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _tell(shell: Any, kind: Any, error: Any, trace: Any, tb_offset: int | None = None) -> None:
    """Show a ``MemoryError``, and allow just the room that showing it takes."""
    shell.set_custom_exc((), None)
    _allow(TELLING_MIB)
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)


def finish() -> np.ndarray:
    """End the profile; return its report (see ``Profiler.report``) as JSON in an array of bytes."""
    profiler, cells = _running.pop()
    cells.close()
    _allow(0)
    profiler.stop()
    return np.frombuffer(json.dumps(profiler.report()).encode(), np.uint8)
