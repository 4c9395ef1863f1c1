"""Memory by line from memory_profiler's reading of the process, where memray has no build.

It sees resident memory: not what is reserved and never touched, not what the allocator hands out
again, and no peak that is gone when the line ends.
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
    moment = None  # who made what is held, a reading can't tell

    def __init__(self, _: Callable[[str, int], int], __: Callable[[], None], ___: int = 0) -> None:
        self._ledger = Ledger()

    @property
    def costs(self) -> Mapping[int, Cost]:
        """What each line did, by its index."""
        return self._ledger.costs

    def start(self) -> None:
        """Take the level from which on changes count."""
        self._ledger.level = _resident()

    def mark(self, depth: int, index: int) -> None:
        """See ``memray_memory.Memory.mark``."""
        self._ledger.change(_resident() - self._ledger.level)
        self._ledger.mark((depth << 32) + index)

    def look(self) -> None:
        """There is no record that could grow."""

    def roll(self) -> None:
        """There is no record to replay."""

    def stop(self) -> None:
        """Close what is open."""
        self._ledger.close()


def _resident() -> int:
    # What its line profiler calls; memory_usage adds waiting and a choice of backend to each call.
    return int(memory_profiler._get_memory(-1, "psutil") * MIB)
