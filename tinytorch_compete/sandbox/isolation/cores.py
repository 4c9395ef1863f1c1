"""Cores for timed runs, and cores for everything else."""

from __future__ import annotations

import contextlib
import os
import queue
from collections.abc import Iterator
from pathlib import Path

Cores = frozenset[int]


class Lanes:
    """Divide the cores into lanes, each for one timed run at a time, and the rest.

    Two cores are one lane, and one core for the grader and for runs that aren't being timed.
    A machine with one core, or a system that doesn't bind processes to cores, has one lane that
    everything shares.
    """

    def __init__(self) -> None:
        lanes, self.rest = divided(physical_cores())
        self._free: queue.SimpleQueue[Cores] = queue.SimpleQueue()
        for lane in lanes:
            self._free.put(lane)

    def take(self) -> Cores | None:
        """Take a lane; ``None`` if all are taken."""
        try:
            return self._free.get_nowait()
        except queue.Empty:
            return None

    def give(self, lane: Cores) -> None:
        """Return a lane for others to take."""
        self._free.put(lane)

    @contextlib.contextmanager
    def beside(self) -> Iterator[None]:
        """Keep this thread, and processes that it starts, off the lanes within the context."""
        before = os.sched_getaffinity(0) if self.rest else None
        bind(0, self.rest)
        try:
            yield
        finally:
            bind(0, Cores(before or ()))


def divided(cores: list[Cores]) -> tuple[list[Cores], Cores]:
    """Half of the physical cores as lanes, and the others together as the rest.

    A lane is one logical core, whose siblings on the same physical core stay idle. Fewer than two
    physical cores make one lane without cores, which means any core, and no rest.
    """
    if len(cores) < 2:
        return [Cores()], Cores()
    rest = len(cores) - len(cores) // 2
    return [Cores({min(core)}) for core in cores[rest:]], Cores().union(*cores[:rest])


def physical_cores() -> list[Cores]:
    """The logical cores that this process may use, grouped by physical core."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    usable = os.sched_getaffinity(0)
    return sorted({_siblings(core) & usable for core in usable}, key=min)


def bind(thread: int, cores: Cores) -> None:
    """Let a thread (0: the calling thread) run on these cores only.

    Without cores, and for a thread that is gone, nothing changes.
    """
    if cores:
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(thread, cores)


def _siblings(core: int) -> Cores:
    """The logical cores that share a physical one, itself included."""
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    try:
        parts = [part.partition("-") for part in path.read_text().strip().split(",")]
        return Cores(n for a, _, b in parts for n in range(int(a), int(b or a) + 1))
    except (OSError, ValueError):
        return Cores({core})
