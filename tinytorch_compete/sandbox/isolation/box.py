"""One box: the folders, the limits and the process tree of one kernel."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from tinytorch_compete.errors import Fault
from tinytorch_compete.kernel import landlock
from tinytorch_compete.model import MIB, Limits
from tinytorch_compete.sandbox.isolation import bubblewrap, cgroup, seccomp, users, watcher
from tinytorch_compete.sandbox.isolation import cores as core_sets
from tinytorch_compete.sandbox.isolation.folders import Folders
from tinytorch_compete.sandbox.isolation.instructions import Instructions
from tinytorch_compete.sandbox.isolation.launch_command import LaunchCommand
from tinytorch_compete.sandbox.isolation.usage import Usage

# While a kernel starts and imports numpy it is capped too, but not by the student's budget.
START_MIB = 512
# Tasks (threads count) of bubblewrap, the kernel and its channels before the student adds any.
KERNEL_TASKS = 24


class Box:
    """Folders and limits for one kernel; ``close`` leaves neither a process nor a file behind.

    ``folders`` are the box's files, ``launch_command`` starts its process, whose id is then set as
    ``pid``, and ``usage`` measures its tree. With ``capped`` a box without a cgroup is a ``Fault``:
    a machine that could cap the runs before this one must cap this one too.
    """

    def __init__(
        self, limits: Limits, files: Path | None, data: Path | None, *, capped: bool = False
    ) -> None:
        self.walled = bubblewrap.find() is not None
        self.folders = Folders(files, data, walled=self.walled)
        tasks = limits.processes + KERNEL_TASKS
        self.group = self._make_group(tasks, capped)
        self.uid = users.take(self.walled, data)
        if self.uid is not None and not self.walled:  # the kernel's way to its folders
            self.folders.let_in(self.uid)
        self._filter = seccomp.program() if self.walled else None
        self.launch_command = LaunchCommand(
            self.folders,
            limits,
            entry=self.group.entry if self.group else [],
            # counted by the user namespace, so only walls make it the box's own count
            max_tasks=None if self.group or not self.walled else tasks,
            uid=self.uid,
            syscall_filter=self._filter,
        )
        self.usage = Usage(limits, self.folders, self.group, self.members)
        self.pid: int | None = None
        self._stopped: set[int] = set()
        self._log = ""
        if self.group:
            self.group.cap((limits.memory_mib + START_MIB) * MIB)

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers that hold this box's limits."""
        layers = (
            ("bubblewrap", self.walled),
            (self.group.name if self.group else "cgroup", self.group is not None),
            ("own user", self.uid is not None),
            ("seccomp", self._filter is not None),
            ("landlock", landlock.abi() > 0),
            ("rlimits", os.name == "posix"),
            ("watcher", self.group is None),
        )
        return tuple(name for name, holds in layers if holds)

    def hand_over(self, path: Path) -> None:
        """Make a file of the box's folders the kernel's own, where that runs as another user."""
        if self.uid is not None:
            os.chown(path, self.uid, self.uid)

    def arm(self) -> None:
        """Take the idle kernel's memory as the baseline and set the budget on top of it.

        The folder of the channels is the grader's from now on.
        """
        if self.uid is not None:
            self.folders.reclaim_channels()
        self.usage.take_baseline()
        if self.group:
            self.group.cap(self.usage.cap_bytes)

    def members(self) -> list[psutil.Process]:
        """The processes of the tree that are alive now, the box's own process first."""
        return watcher.tree(self.pid) if self.pid else []

    def freeze(self) -> None:
        """Stop the whole tree where it is."""
        if not (self.group and self.group.freeze(True)) and self.pid:
            self._stopped = watcher.stop(self.pid)

    def thaw(self) -> None:
        """Let the tree go on, however it was stopped: a late freezer and signals may both hold."""
        if self.group:
            self.group.freeze(False)
        watcher.go_on(self._stopped)
        self._stopped = set()

    def bind(self, cores: core_sets.Cores) -> None:
        """Let the tree run on these cores only."""
        for thread in watcher.threads(self.members()):
            core_sets.bind(thread, cores)

    def instructions(self) -> Instructions:
        """A count of the instructions that the tree retires from now on."""
        return Instructions(process.pid for process in self.members())

    def interrupt(self) -> None:
        """Interrupt the kernel as Ctrl-C would; its own children are the kernel's to end.

        Behind walls it is the child of the second process, the first of the box's own.
        """
        tree = self.members()
        kernels = watcher.children(tree[1]) if self.walled and len(tree) > 1 else tree
        for process in kernels[:1]:
            watcher.interrupt(process)

    def kill(self) -> None:
        """Kill the tree now; the box's figures stay readable until ``close``."""
        watcher.kill(self.members())
        self.thaw()

    def close(self) -> None:
        """Kill what is left, keep the log, and remove the group and the folders."""
        self.kill()
        if self.group:
            self.group.close()
        self._log = self.log()
        self.folders.remove()

    def log(self) -> str:
        """The output of the box's process before its kernel spoke, also after ``close``."""
        return self.folders.read_log() or self._log

    def _make_group(self, tasks: int, capped: bool) -> cgroup.Group | None:
        """A control group for the tree; without the one that it needs raises ``Fault``."""
        group = cgroup.make_group(tasks) if os.name == "posix" else None
        if capped and not group:
            self.folders.remove()
            raise Fault(
                "no control group could be created for this run, though one could when the grader "
                "started: the folder of the groups may be gone, or there may be too many groups. "
                "See: tito compete doctor"
            )
        return group
