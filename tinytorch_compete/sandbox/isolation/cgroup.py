"""Hard caps on memory and processes of a whole tree, by Linux control groups v1 or v2."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

ROOT = Path("/sys/fs/cgroup")
PREFIX = "tinytorch-compete-"
SETTLE_S = 1.0
_numbers = itertools.count()


class Group(Protocol):
    """A new group of processes; a process joins when its id is written to each ``entry`` file."""

    name: str
    entry: list[Path]

    def cap(self, memory_bytes: int) -> None:
        """Kill processes of the group rather than let it use more than ``memory_bytes``."""

    def usage(self) -> int:
        """Bytes in use now: anonymous memory, shared memory, tmpfs and page cache."""

    def peak(self) -> int:
        """The highest use in bytes since the group was created or ``forget_peak`` was called."""

    def forget_peak(self) -> None:
        """Restart the peak from the use now, where the kernel can."""

    def oom_kills(self) -> int:
        """How many of the group's processes the kernel has killed for want of memory, anywhere."""

    def met_cap(self) -> bool:
        """Whether the group has reached its own cap, since ``forget_peak`` where that's known.

        A kill below the cap was for want of memory outside of the group: the machine's, or that of
        a cap on the grader itself.
        """

    def cpu_s(self) -> float:
        """CPU seconds used by all processes that were ever in the group."""

    def freeze(self, frozen: bool) -> bool:
        """Stop the whole group at once, or let it go on; false where this can't be done."""

    def close(self) -> None:
        """Kill the processes that are left and remove the group."""


class GroupV1:
    """A group in each of the v1 hierarchies memory, pids and cpuacct, and freezer where it is."""

    name = "cgroup v1"

    def __init__(self, bases: dict[str, Path], processes: int) -> None:
        label = _label()
        self._folders = {controller: base / label for controller, base in bases.items()}
        for folder in self._folders.values():
            folder.mkdir()
        self.entry = [folder / "cgroup.procs" for folder in self._folders.values()]
        self._memory = self._folders["memory"]
        _write(self._folders["pids"] / "pids.max", processes)

    def cap(self, memory_bytes: int) -> None:
        # With swap accounting the sum of both is capped too; it may never be the lower of the two.
        files = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
        files = [name for name in files if (self._memory / name).exists()]
        if memory_bytes > _read_int(self._memory / files[0]):
            files.reverse()
        for name in files:
            _write(self._memory / name, memory_bytes)

    def usage(self) -> int:
        return _read_int(self._memory / "memory.usage_in_bytes")

    def peak(self) -> int:
        return _read_int(self._memory / "memory.max_usage_in_bytes")

    def forget_peak(self) -> None:
        _write(self._memory / "memory.max_usage_in_bytes", 0)

    def oom_kills(self) -> int:
        return _read_key(self._memory / "memory.oom_control", "oom_kill")

    def met_cap(self) -> bool:
        # memory.failcnt would say it, but stays 0 on Linux 6.18; at a kill the peak is at the cap
        # but for a page or a batch of them (64 pages in the kernel's MEMCG_CHARGE_BATCH).
        return self.peak() >= _read_int(self._memory / "memory.limit_in_bytes") - 2**20

    def cpu_s(self) -> float:
        return _read_int(self._folders["cpuacct"] / "cpuacct.usage") / 1e9

    def freeze(self, frozen: bool) -> bool:
        if "freezer" not in self._folders:
            return False
        file, state = self._folders["freezer"] / "freezer.state", "FROZEN" if frozen else "THAWED"
        return _settles(file, state, lambda: file.read_text().strip() == state)

    def close(self) -> None:
        self.freeze(False)  # frozen processes can't die
        for folder in self._folders.values():
            _kill_all(folder)
            _remove(folder)


class GroupV2:
    """A group in the unified v2 hierarchy."""

    name = "cgroup v2"

    def __init__(self, base: Path, processes: int) -> None:
        self._folder = base / _label()
        self._folder.mkdir()
        self.entry = [self._folder / "cgroup.procs"]
        self._highest = 0  # of the uses that were read, where the kernel keeps no peak
        self._peak = _open_peak(self._folder / "memory.peak")
        _write(self._folder / "pids.max", processes)
        with contextlib.suppress(FileNotFoundError):  # a kernel without swap
            _write(self._folder / "memory.swap.max", 0)

    def cap(self, memory_bytes: int) -> None:
        _write(self._folder / "memory.max", memory_bytes)

    def usage(self) -> int:
        used = _read_int(self._folder / "memory.current")
        self._highest = max(self._highest, used)
        return used

    def peak(self) -> int:
        if self._peak is None:  # before Linux 5.19
            self.usage()
            return self._highest
        return int(os.pread(self._peak, 64, 0))

    def forget_peak(self) -> None:
        """Restart the peak; Linux 5.19 to 6.11 can't, and there the start-up counts."""
        self._highest = 0
        with contextlib.suppress(OSError):
            if self._peak is not None:
                os.write(self._peak, b"reset\n")  # for this open file alone

    def oom_kills(self) -> int:
        return _read_key(self._folder / "memory.events", "oom_kill")

    def met_cap(self) -> bool:
        return _read_key(self._folder / "memory.events", "oom") > 0

    def cpu_s(self) -> float:
        return _read_key(self._folder / "cpu.stat", "usage_usec") / 1e6

    def freeze(self, frozen: bool) -> bool:
        events = self._folder / "cgroup.events"
        state = int(frozen)
        return _settles(
            self._folder / "cgroup.freeze", state, lambda: _read_key(events, "frozen") == state
        )

    def close(self) -> None:
        with contextlib.suppress(OSError):
            _write(self._folder / "cgroup.kill", 1)
        if self._peak is not None:
            os.close(self._peak)
            self._peak = None
        _kill_all(self._folder)
        _remove(self._folder)


def make_group(processes: int) -> Group | None:
    """Create a group that holds at most ``processes``; ``None`` where that can't be done."""
    bases = _bases_v1()
    try:
        if bases is not None:
            return GroupV1(bases, processes)
        base = _base_v2()
        return GroupV2(base, processes) if base is not None else None
    except OSError:
        return None


def works() -> bool:
    """Try whether a group can be created here."""
    group = make_group(processes=8) if os.name == "posix" else None
    if group:
        group.close()
    return group is not None


def sweep() -> None:
    """Remove groups whose grader is gone, and kill the processes left in them."""
    bases = _bases_v1()
    folders = list(bases.values()) if bases else [base] if (base := _base_v2()) else []
    groups = itertools.chain.from_iterable(base.glob(PREFIX + "*") for base in folders)
    ownerless = [folder for folder in groups if not _owned(folder)]
    for folder in ownerless:
        with contextlib.suppress(OSError):  # another process may be sweeping, too
            _thaw(folder)
    for folder in ownerless:
        _kill_all(folder)
        _remove(folder)


def _owned(folder: Path) -> bool:
    """Whether the grader that created a group lives."""
    owner = folder.name.removeprefix(PREFIX).partition("-")[0]
    return not owner.isdigit() or Path("/proc", owner).exists()


def _thaw(folder: Path) -> None:
    """Thaw a group of v1's freezer, where frozen processes can't die; in v2 they can."""
    if (folder / "freezer.state").exists():
        _write(folder / "freezer.state", "THAWED")


def _bases_v1() -> dict[str, Path] | None:
    """This process's own folders in the v1 hierarchies, if all are there and writable."""
    own = {
        controller: path
        for _, controllers, path in _memberships()
        for controller in controllers.split(",")
    }
    bases = {}
    for controller in ("memory", "pids", "cpuacct", "freezer"):
        mount = ROOT / controller
        base = mount / own.get(controller, "/").lstrip("/")
        base = base if base.is_dir() else mount  # inside a container the path may not be visible
        if os.access(base, os.W_OK) and (base / "cgroup.procs").exists():
            bases[controller] = base
        elif controller != "freezer":
            return None
    return bases


def _base_v2() -> Path | None:
    """A folder of the v2 hierarchy in which capped groups can be created, if there is one."""
    own = next((path for number, _, path in _memberships() if number == "0"), None)
    if own is None or not (ROOT / "cgroup.controllers").exists():
        return None
    if os.geteuid() == 0:
        base = ROOT / PREFIX.rstrip("-")
        with contextlib.suppress(OSError):
            base.mkdir(exist_ok=True)
    else:
        base = ROOT / own.lstrip("/")
        base = base.parent if base.name == "grader" else base
    return base if os.access(base, os.W_OK) and _delegates_memory(base) else None


def _delegates_memory(base: Path) -> bool:
    """Whether groups below ``base`` have memory and pids; moves this process into a leaf for it.

    A v2 group with processes of its own can't hand controllers down, so in a delegated scope the
    grader first moves the scope's processes into its leaf ``grader``. It repeats this until none is
    left, because processes end and fork meanwhile, and another grader may be doing the same.
    """
    control = base / "cgroup.subtree_control"
    controllers = {"memory", "pids"}
    try:
        if not controllers <= set((base / "cgroup.controllers").read_text().split()):
            return False
        for _ in range(100):
            if controllers <= set(control.read_text().split()):
                return True
            for process in (base / "cgroup.procs").read_text().split():
                (base / "grader").mkdir(exist_ok=True)
                with contextlib.suppress(ProcessLookupError):
                    _write(base / "grader" / "cgroup.procs", process)
            try:
                _write(control, "+memory +pids")
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
    except OSError:
        pass
    return False


def _memberships() -> list[tuple[str, str, str]]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    return [(number, names, path) for number, names, path in (line.split(":", 2) for line in lines)]


def _label() -> str:
    return f"{PREFIX}{os.getpid()}-{next(_numbers)}"


def _open_peak(path: Path) -> int | None:
    """Open the file of a group's peak, for reset where the kernel can (Linux 6.12)."""
    for flags in (os.O_RDWR, os.O_RDONLY):
        with contextlib.suppress(OSError):
            return os.open(path, flags)
    return None


def _write(path: Path, value: int | str) -> None:
    with path.open("w") as file:  # never create: a cgroup's files exist or the feature doesn't
        file.write(f"{value}\n")


def _read_int(path: Path) -> int:
    return int(path.read_text())


def _read_key(path: Path, key: str) -> int:
    pairs = (line.split() for line in path.read_text().splitlines())
    return next((int(pair[1]) for pair in pairs if pair[0] == key), 0)


def _settles(file: Path, value: int | str, settled: Callable[[], bool]) -> bool:
    """Write a value and wait, for ``SETTLE_S`` at most, until it has come true."""
    try:
        _write(file, value)
        end = time.monotonic() + SETTLE_S
        while not settled() and time.monotonic() < end:
            time.sleep(0.0001)
        return settled()
    except OSError:
        return False


def _kill_all(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for process in (folder / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)


def _remove(folder: Path) -> None:
    """Remove an emptied group; its processes may take a moment to die."""
    for _ in range(200):
        try:
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            _kill_all(folder)
            time.sleep(0.01)
