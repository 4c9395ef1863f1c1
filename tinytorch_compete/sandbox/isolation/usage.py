"""The memory, CPU seconds and processes that a box's tree uses, against its limits."""

from __future__ import annotations

from collections.abc import Callable

import psutil

from tinytorch_compete.model import MIB, Limits
from tinytorch_compete.sandbox.isolation import watcher
from tinytorch_compete.sandbox.isolation.cgroup import Group
from tinytorch_compete.sandbox.isolation.folders import INSIDE, Folders

# Between the soft cap, which raises MemoryError, and the hard cap, which kills: room for memory
# that isn't the kernel's own private data (tmpfs, page tables, small children).
MARGIN = 0.03
# The folders behind walls whose files are in memory.
SCRATCH = ("/tmp", "/dev/shm", INSIDE)


class Usage:
    """Measures a box's tree: by its control group, or without a group by looking at it.

    ``tree`` returns the processes that are alive now. ``baseline`` is the idle kernel's memory in
    bytes, from ``take_baseline`` on.
    """

    def __init__(
        self,
        limits: Limits,
        folders: Folders,
        group: Group | None,
        tree: Callable[[], list[psutil.Process]],
    ) -> None:
        self._limits, self._folders = limits, folders
        self._group, self._tree = group, tree
        self.baseline = 0
        self._highest = 0
        self._highest_cpu_s = 0.0
        self._marks = watcher.Marks([])

    @property
    def cap_bytes(self) -> int:
        """The memory in bytes above which the tree is killed, the baseline included."""
        return self.baseline + int(self._limits.memory_mib * MIB * (1 + MARGIN))

    def take_baseline(self) -> None:
        """Take the idle kernel's memory as the baseline, and start the peak again from there."""
        if self._group:
            self._group.forget_peak()
        # The files copied for the student are in memory by now, and part of the student's use.
        counted = self._group or self._folders.walled
        self.baseline = self._memory() - (self._folders.copied_bytes() if counted else 0)
        self._highest = self.baseline
        self._marks = watcher.Marks(self._tree())

    def over_memory(self) -> bool:
        """Whether the cap is passed: a process was killed at it, or the watcher sees too much."""
        if self._group:
            return self._group.oom_kills() > 0 and self._group.met_cap()
        tree = self._tree()
        self._highest = max(self._highest, self._resident(tree), self._marked(tree))
        self.cpu_s()  # a process that ends takes its figure along
        return self._highest > self.cap_bytes

    def starved(self) -> bool:
        """Whether a process was killed for want of memory while the tree was below its cap."""
        return bool(self._group and self._group.oom_kills() and not self._group.met_cap())

    def over_processes(self) -> bool:
        """Whether the tree has outgrown its limit where nothing but this look holds it."""
        if self._group or self._folders.walled:
            return False
        return len(self._tree()) > self._limits.processes

    def used_mib(self) -> float:
        """The tree's memory above the baseline now, in MiB."""
        return max(0.0, (self._memory() - self.baseline) / MIB)

    def peak_mib(self) -> float:
        """The tree's highest memory above the baseline so far, in MiB."""
        peak = self._group.peak() if self._group else self._highest
        return max(0.0, (peak - self.baseline) / MIB)

    def cpu_s(self) -> float:
        """CPU seconds of the tree so far, the kernel's start included."""
        if self._group:
            return self._group.cpu_s()
        self._highest_cpu_s = max(self._highest_cpu_s, watcher.cpu_s(self._tree()))
        return self._highest_cpu_s

    def _memory(self) -> int:
        if self._group:
            return self._group.usage()
        return self._resident(self._tree())

    def _resident(self, tree: list[psutil.Process]) -> int:
        scratch = self._scratch_bytes(tree) if self._folders.walled else 0
        return watcher.memory_bytes(tree) + scratch

    def _marked(self, tree: list[psutil.Process]) -> int:
        """The memory in bytes that the tree surely held at its highest, seen or not.

        Without walls a kernel's own files are on the disk, too, and could be mapped in any size.
        """
        if not self._folders.walled:
            return self.baseline
        return self.baseline + self._marks.rise(tree, self._folders.mappable_bytes())

    def _scratch_bytes(self, tree: list[psutil.Process]) -> int:
        """The memory in bytes that the files in the scratch folders take.

        Seen through the eyes of the first process behind the walls; 0 when it is gone.
        """
        return watcher.used_bytes(tree[1].pid, SCRATCH) if len(tree) > 1 else 0
