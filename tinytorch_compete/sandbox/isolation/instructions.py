"""Retired instructions of a process tree, counted by the processor and read from outside.

By ``perf_event_open`` on each thread of the tree, with all threads and children that these start
later. Layout and constants: ``linux/perf_event.h``.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
from collections.abc import Iterable
from pathlib import Path

_CALLS = {"x86_64": 298, "aarch64": 241}
EVENT = (0, 1)  # PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS
_TIMES = 1 | 2  # PERF_FORMAT_TOTAL_TIME_ENABLED and _RUNNING, read after the count
_INHERIT, _EXCLUDE_KERNEL, _EXCLUDE_HYPERVISOR = 1 << 1, 1 << 5, 1 << 6
_SIZE = 112  # PERF_ATTR_SIZE_VER5
_CLOSE_ON_EXEC = 8


class Instructions:
    """A running count of what a tree's threads retire in user mode; close it after use."""

    def __init__(self, processes: Iterable[int]) -> None:
        self._files = []
        try:
            for thread in (thread for process in processes for thread in _threads(process)):
                with contextlib.suppress(ProcessLookupError):
                    self._files.append(_open(thread))
        except OSError:
            self.close()

    def read(self) -> int | None:
        """Instructions so far; ``None`` where they weren't counted, or not all the time."""
        counts = [struct.unpack("=QQQ", os.read(file, 24)) for file in self._files]
        always = all(enabled == running for _, enabled, running in counts)
        return sum(count for count, _, _ in counts) if counts and always else None

    def close(self) -> None:
        """Stop counting."""
        for file in self._files:
            os.close(file)
        self._files = []


def _threads(process: int) -> list[int]:
    try:
        return [int(name) for name in os.listdir(Path("/proc", str(process), "task"))]
    except OSError:
        return []


def _open(thread: int) -> int:
    """Open a counter's file; raises ``OSError`` where this user or this machine can't count."""
    flags = _INHERIT | _EXCLUDE_KERNEL | _EXCLUDE_HYPERVISOR
    attributes = struct.pack("=IIQQQQQ", EVENT[0], _SIZE, EVENT[1], 0, 0, _TIMES, flags)
    call = _CALLS.get(platform.machine())
    if call is None:
        raise OSError("no known system call for performance counters")
    libc = ctypes.CDLL(None, use_errno=True)
    anywhere, no_group = ctypes.c_int(-1), ctypes.c_int(-1)
    file: int = libc.syscall(
        call, attributes.ljust(_SIZE, b"\0"), thread, anywhere, no_group, _CLOSE_ON_EXEC
    )
    if file < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return file
