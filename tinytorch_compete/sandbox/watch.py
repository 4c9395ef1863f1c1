"""What can be seen of a process tree from outside without a cgroup: memory, CPU, members."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil


def tree(pid: int) -> list[psutil.Process]:
    """The process ``pid`` and all its descendants that are alive now."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def memory_bytes(processes: list[psutil.Process]) -> int:
    """Anonymous and shared memory resident in the processes, in bytes.

    On Linux this is ``RssAnon + RssShmem`` of each (a segment shared by several counts for each of
    them); elsewhere the resident set size, which counts shared libraries too.
    """
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):
            total += _memory_of(process)
    return total


def cpu_s(processes: list[psutil.Process]) -> float:
    """CPU seconds of the processes and of the children that they have waited for."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def kill(processes: list[psutil.Process]) -> None:
    """Kill the processes; those that are gone already are no error."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _memory_of(process: psutil.Process) -> int:
    status = Path("/proc", str(process.pid), "status")
    if not status.exists():
        return int(process.memory_info().rss)
    lines = (line.split() for line in status.read_text().splitlines())
    wanted = ("RssAnon:", "RssShmem:")
    return sum(int(line[1]) * 1024 for line in lines if line and line[0] in wanted)
