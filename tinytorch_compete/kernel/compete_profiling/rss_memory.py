"""Measure memory by line with memory_profiler's reading of the process, where memray has no build.

It sees resident memory only: not memory that is reserved and never touched, nor memory that the
allocator reuses, nor a peak that is over when the line ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import memory_profiler

from .ledger import Cost, Ledger

MIB = 2**20


class Memory:
    """Reads the resident memory at each mark; the costs are by line index."""

    name = "memory_profiler"
    later = 1.0
    full = False
    moment = None  # a reading can't tell which line allocated the memory

    def __init__(self, _: Callable[[str, int], int], __: Callable[[], None], ___: int = 0) -> None:
        self._ledger = Ledger()

    @property
    def costs(self) -> Mapping[int, Cost]:
        """The memory costs of each line, by its index."""
        return self._ledger.costs

    def start(self) -> None:
        """Take the level from which changes are counted."""
        self._ledger.level = _resident()

    def mark(self, depth: int, index: int) -> None:
        """See ``memray_memory.Memory.mark``."""
        self._ledger.change(_resident() - self._ledger.level)
        self._ledger.mark((depth << 32) + index)

    def look(self) -> None:
        """Do nothing: there is no record that could grow."""

    def roll(self) -> None:
        """Do nothing: there is no record to replay."""

    def stop(self) -> None:
        """Close every open line."""
        self._ledger.close()


def _resident() -> int:
    # The function behind its line profiler; memory_usage waits and chooses a backend at each call.
    return int(memory_profiler._get_memory(-1, "psutil") * MIB)
