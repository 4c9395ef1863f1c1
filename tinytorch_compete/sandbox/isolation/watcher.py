"""Measure and stop a process tree from outside without a cgroup: memory, CPU time, members."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

STOP_S = 1.0
LARGE_BYTES = 4 * 2**20  # the box's own helpers are smaller


def tree(pid: int) -> list[psutil.Process]:
    """The process ``pid`` and all its descendants that are alive now."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def children(process: psutil.Process) -> list[psutil.Process]:
    """A process's own children, the oldest first; none if it is gone."""
    try:
        return sorted(process.children(), key=lambda child: child.create_time())
    except psutil.NoSuchProcess:
        return []


def memory_bytes(processes: list[psutil.Process]) -> int:
    """Anonymous and shared memory resident in the processes, in bytes.

    On Linux, where several of them are large, pages that they share count once (``Pss``: a fork
    shares all of its parent's until one of them writes); reading that takes milliseconds, so that
    for a single one it is ``RssAnon + RssShmem``. Elsewhere it is the sum of resident set sizes,
    which counts shared libraries, too.
    """
    sizes = {process: _memory_of(process) for process in processes}
    large = [process for process, size in sizes.items() if size > LARGE_BYTES]
    if len(large) > 1:
        sizes |= {process: _share_of(process, sizes[process]) for process in large}
    return sum(sizes.values())


class Marks:
    """How far a process of a tree surely rose above the idle ones, even between two looks (Linux).

    The kernel remembers each process's highest resident size, which includes mapped files. Less
    the most that these can have taken, it is the process's own memory.
    """

    def __init__(self, idle: list[psutil.Process]) -> None:
        self._idle = max(map(_memory_of, idle), default=0)
        self._before = {process: _mark_of(process) for process in idle}
        self._files: dict[psutil.Process, int] = {}

    def rise(self, processes: list[psutil.Process], mappable: int) -> int:
        """The largest rise of a process in bytes; ``mappable`` is the size of the given files."""
        highest = max(map(self._highest, processes), default=0)
        return max(0, highest - mappable - self._idle)

    def _highest(self, process: psutil.Process) -> int:
        """Its highest size without files, or 0 where that hasn't grown since it was idle."""
        # programs and libraries stay mapped, so no more of them was mapped than a look has shown
        self._files[process] = max(self._files.get(process, 0), _files_of(process))
        mark = _mark_of(process)
        return mark - self._files[process] if mark > self._before.get(process, 0) else 0


def used_bytes(pid: int, folders: Iterable[str]) -> int:
    """Bytes in use on the file systems at ``folders``, as a process sees them; 0 if it is gone."""
    total = 0
    for folder in folders:
        with contextlib.suppress(OSError):
            system = os.statvfs(f"/proc/{pid}/root{folder}")
            total += (system.f_blocks - system.f_bfree) * system.f_frsize
    return total


def started() -> int | None:
    """How many processes and threads this machine has started so far, where it tells (Linux)."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/stat").read_text().splitlines():
            if line.startswith("processes "):
                return int(line.split()[1])
    return None


def cpu_s(processes: list[psutil.Process]) -> float:
    """CPU seconds of the processes and of the children that they have waited for.

    On Linux a process's own seconds are exact, its ended threads included; its children's, as
    everywhere, are counted in the system's ticks.
    """
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):
            times = process.cpu_times()
            children_s = float(times.children_user + times.children_system)
            total += _own_cpu_s(process.pid, times.user + times.system) + children_s
    return total


def stop(pid: int) -> set[int]:
    """Stop a whole tree, repeatedly until no process in it is new; return the ids of all of them.

    Returns when all of them stand still, or after ``STOP_S``.
    """
    stopped: set[int] = set()
    while new := {process.pid for process in tree(pid)} - stopped:
        _send(new, signal.SIGSTOP)
        stopped |= new
    end = time.monotonic() + STOP_S
    while not all(_stands_still(process) for process in stopped) and time.monotonic() < end:
        time.sleep(0.0001)
    return stopped


def go_on(stopped: Iterable[int]) -> None:
    """Let stopped processes go on."""
    _send(stopped, signal.SIGCONT)


def interrupt(process: psutil.Process) -> None:
    """Interrupt a process as Ctrl-C would; where there are no signals, nothing happens."""
    with contextlib.suppress(psutil.Error, ValueError):
        process.send_signal(signal.SIGINT)


def threads(processes: Iterable[psutil.Process]) -> list[int]:
    """The ids of all threads of the processes, where the system has such (Linux)."""
    ids = []
    for process in processes:
        with contextlib.suppress(OSError):
            ids += [int(name) for name in os.listdir(f"/proc/{process.pid}/task")]
    return ids


def _send(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _stands_still(pid: int) -> bool:
    try:
        still = (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        return psutil.Process(pid).status() in still
    except psutil.Error:
        return True


def _own_cpu_s(pid: int, ticked_s: float) -> float:
    """By the process's CPU clock, whose number comes from its id (``clock_getcpuclockid``)."""
    return time.clock_gettime((~pid << 3) | 2) if sys.platform == "linux" else ticked_s


def kill(processes: list[psutil.Process]) -> None:
    """Kill the processes; those that are gone already are no error."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _memory_of(process: psutil.Process) -> int:
    """The resident memory of a process; 0 if it is gone."""
    try:
        status = Path("/proc", str(process.pid), "status")
        if not status.exists():
            return int(process.memory_info().rss)
        return _sum(status, ("RssAnon:", "RssShmem:"))
    except (psutil.Error, OSError):
        return 0


def _mark_of(process: psutil.Process) -> int:
    """The highest resident size of a process so far; 0 if unknown."""
    return _status(process, "VmHWM:")


def _files_of(process: psutil.Process) -> int:
    """The resident size of a process's mapped files; 0 if unknown."""
    return _status(process, "RssFile:")


def _status(process: psutil.Process, field: str) -> int:
    try:
        return _sum(Path("/proc", str(process.pid), "status"), (field,))
    except OSError:
        return 0


def _share_of(process: psutil.Process, otherwise: int) -> int:
    """A process's proportional share of the memory that it maps; ``otherwise`` if unknown."""
    try:
        return _sum(Path("/proc", str(process.pid), "smaps_rollup"), ("Pss_Anon:", "Pss_Shmem:"))
    except OSError:
        return otherwise


def _sum(file: Path, fields: tuple[str, ...]) -> int:
    lines = (line.split() for line in file.read_text().splitlines())
    return sum(int(line[1]) * 1024 for line in lines if line and line[0] in fields)
