"""One box: the folders, the limits and the process tree of one kernel."""

from __future__ import annotations

import contextlib
import functools
import json
import mmap
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from tinytorch_compete.errors import Fault
from tinytorch_compete.kernel import landlock
from tinytorch_compete.model import MIB, Inputs, Limits
from tinytorch_compete.sandbox.isolation import (
    bubblewrap,
    cgroup,
    landlock_rules,
    seccomp,
    users,
    watcher,
)
from tinytorch_compete.sandbox.isolation import cores as core_sets
from tinytorch_compete.sandbox.isolation.bubblewrap import PACKAGE
from tinytorch_compete.sandbox.isolation.instructions import Instructions
from tinytorch_compete.util.files import BYPRODUCTS, is_sent

INSIDE = "/box"
PREFIX = "ttc-"
# Between the soft cap, which raises MemoryError, and the hard one, which kills: room for what isn't
# the kernel's own private data (tmpfs, page tables, small children).
MARGIN = 0.03
# While a kernel starts and imports numpy it is capped too, but not by the student's budget.
START_MIB = 512
# Tasks (threads count) of bubblewrap, the kernel and its channels before the student adds any.
KERNEL_TASKS = 24
CHANNELS = {"kernel.json", "inside.json", "probe.sock", *(f"k-{n}" for n in range(1, 6))}

# Joins the groups, opens the filter as file 9, and becomes the box.
_ENTER = """
for file in $1; do echo $$ > "$file" || exit 125; done
[ -z "$2" ] || exec 9< "$2"
shift 2
exec "$@"
"""


class Box:
    """Folders and limits for one kernel; ``close`` leaves neither a process nor a file behind.

    ``files`` is a folder that is copied into the kernel's working folder, ``data`` one that appears
    there as ``data/``, read-only. With ``capped`` a box without a cgroup is a ``Fault``: a machine
    that could cap the runs before this one must cap this one too.
    """

    def __init__(
        self, limits: Limits, files: Path | None, data: Path | None, *, capped: bool = False
    ) -> None:
        self.limits = limits
        self.files, self.data = files, data
        # Short, because a Unix socket's path may have 107 bytes.
        base = "/tmp" if os.path.isdir("/tmp") else None
        self.root = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=base))
        for name in ("ipc", "in", "home"):
            (self.root / name).mkdir()
            (self.root / name).chmod(0o755)  # whatever the grader's umask is
        (self.root / "out").mkdir(mode=0o700)  # the relay's, which no kernel is shown
        self.walled = bubblewrap.find() is not None
        if data and not self.walled:
            (self.root / "home" / "data").symlink_to(data)
        self._tasks = limits.processes + KERNEL_TASKS
        self.group = cgroup.make_group(self._tasks) if os.name == "posix" else None
        if capped and not self.group:
            _remove(self.root)
            raise Fault(
                "no control group could be made for this run, though one could when the grader "
                "started. Has somebody removed it, or are there too many? See: tito compete doctor"
            )
        self.uid = users.take(self.walled, data)
        if self.uid is not None and not self.walled:  # the kernel's way to its folders
            os.chown(self.root, 0, self.uid)
            self.root.chmod(0o710)
        self.pid: int | None = None
        self._stopped: set[int] = set()
        self.said = ""
        self.baseline = 0
        self._peak_seen = 0
        self._marks = watcher.Marks([])
        self._given: dict[str, int] = {}
        self._cpu_seen = 0.0
        if self.group:
            self.group.cap((limits.memory_mib + START_MIB) * MIB)

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of what holds the limits of this box."""
        found = ["bubblewrap"] if self.walled else []
        found += [self.group.name] if self.group else []
        found += ["own user"] if self.uid is not None else []
        found += ["seccomp"] if self._filtered else []
        found += ["landlock"] if landlock.abi() else []
        found += ["rlimits"] if os.name == "posix" else []
        return tuple(found if self.group else [*found, "watcher"])

    def inside(self, path: Path) -> str:
        """The path by which the kernel knows a file below ``root``."""
        return f"{INSIDE}/{path.relative_to(self.root).as_posix()}" if self.walled else str(path)

    def command(self, connection_file: Path) -> list[str]:
        """The command that starts the kernel in this box, given its connection file."""
        connection = json.loads(connection_file.read_text())
        if connection["transport"] == "ipc":
            connection["ip"] = self.inside(Path(connection["ip"]))
        inner = self.root / "ipc" / "inside.json"
        inner.write_text(json.dumps(connection))
        inner.chmod(0o600)
        launch = [sys.executable, "-I", f"{self._path('kernel')}/launch.py", self._options(inner)]
        if not self.walled:
            return self._enter(launch)
        binds = {
            PACKAGE / "kernel": self._path("kernel"),
            PACKAGE / "reference": self._path("reference"),
        }
        binds[self.root / "in"] = self.inside(self.root / "in")
        binds |= {self.files: f"{INSIDE}/files"} if self.files else {}
        binds |= {self.data: f"{self.home}/data"} if self.data else {}
        walls = bubblewrap.arguments(
            binds,
            {self.root / "ipc": self.inside(self.root / "ipc")},
            self.home,
            self.limits.disk_mib,
            self.environment(),
            9 if self._filtered else None,
        )
        return self._enter([*walls, *launch])

    @property
    def home(self) -> str:
        """The kernel's working folder, as the kernel names it."""
        return self.inside(self.root / "home")

    def environment(self) -> dict[str, str]:
        """The kernel's whole environment; nothing of the grader's own is in it but BLAS facts."""
        threads = str(self.limits.threads)
        chosen = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": self.home,
            "TMPDIR": "/tmp" if self.walled else self.home,
            "LANG": "C.UTF-8",
            # A name that no submission can know: its own start-up files could end the kernel.
            "IPYTHONDIR": f"{self.home}/.ipython-{self.root.name.rpartition('-')[2]}",
            "MPLCONFIGDIR": f"{self.home}/.matplotlib",
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            "COMPETE_PROBE": self.inside(self.root / "ipc" / "probe.sock"),
        }
        for library in ("OPENBLAS", "OMP", "MKL", "NUMEXPR", "VECLIB_MAXIMUM"):
            chosen[f"{library}_NUM_THREADS"] = threads
        machine = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "LD_LIBRARY_PATH", "SYSTEMROOT")
        return chosen | {name: os.environ[name] for name in machine if name in os.environ}

    def release(self, probe: str, inputs: Inputs) -> dict[str, Any]:
        """Write a probe's inputs as read-only files; what the kernel is told about them.

        The files of the question before are removed; a kernel that has mapped them keeps them.
        """
        folder = self.root / "in" / probe
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        paths = {}
        for name, array in inputs.arrays.items():
            path = folder / f"{name}.npy"
            np.save(path, array, allow_pickle=False)
            path.chmod(0o444)
            paths[name] = self.inside(path)
        size = sum(path.stat().st_size for path in folder.iterdir())
        self._given[probe] = max(size, self._given.get(probe, 0))
        return {"arrays": paths, "values": dict(inputs.values)}

    def hand_over(self, path: str) -> None:
        """Make a file of the box's folders the kernel's own, where that runs as another user."""
        if self.uid is not None:
            os.chown(path, self.uid, self.uid)

    def arm(self) -> None:
        """Take the idle kernel's memory as the baseline and set the budget on top of it.

        The folder of the channels, which lies on the host's disk, is the grader's from now on:
        the sockets are bound, and nobody needs to make anything there any more.
        """
        if self.uid is not None:
            for path in (self.root / "ipc", *(self.root / "ipc").glob("*.json")):
                os.chown(path, 0, 0)
                path.chmod(0o755)
        if self.group:
            self.group.forget_peak()
        # What was copied for the student is in memory by now, and part of what the student uses.
        counted = self.group or self.walled
        self.baseline = self._memory() - (self._copied_bytes() if counted else 0)
        self._peak_seen = self.baseline
        self._marks = watcher.Marks(self._tree())
        if self.group:
            self.group.cap(self.baseline + int(self._budget * (1 + MARGIN)))

    def over_memory(self) -> bool:
        """Whether the cap is passed: a process was killed at it, or the watcher sees too much."""
        if self.group:
            return self.group.oom_kills() > 0 and self.group.met_cap()
        tree = self._tree()
        self._peak_seen = max(self._peak_seen, self._resident(tree), self._marked(tree))
        self.cpu_s()  # a process that is gone takes its figure along
        return self._peak_seen - self.baseline > self._budget * (1 + MARGIN)

    def starved(self) -> bool:
        """Whether a process was killed for want of memory while the tree was below its cap."""
        return bool(self.group and self.group.oom_kills() and not self.group.met_cap())

    def over_processes(self) -> bool:
        """Whether the tree has outgrown its limit where nothing but this look holds it."""
        return not self.group and not self.walled and len(self._tree()) > self.limits.processes

    def strayed(self) -> bool:
        """Whether anything but the kernel's channels is in the folder that is theirs."""
        try:
            with os.scandir(self.root / "ipc") as entries:
                return not all(_is_channel(entry) for entry in entries)
        except OSError:  # closed or moved away
            return True

    def used_mib(self) -> float:
        """The tree's use above the baseline now, in MiB."""
        return max(0.0, (self._memory() - self.baseline) / MIB)

    def peak_mib(self) -> float:
        """The tree's highest use above the baseline so far, in MiB."""
        peak = self.group.peak() if self.group else self._peak_seen
        return max(0.0, (peak - self.baseline) / MIB)

    def cpu_s(self) -> float:
        """CPU seconds of the tree so far, the kernel's start included."""
        if self.group:
            return self.group.cpu_s()
        self._cpu_seen = max(self._cpu_seen, watcher.cpu_s(self._tree()))
        return self._cpu_seen

    def members(self) -> set[Any]:
        """The processes of the tree that are alive now."""
        return set(self._tree())

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
        for thread in watcher.threads(self._tree()):
            core_sets.bind(thread, cores)

    def instructions(self) -> Instructions:
        """A count of the instructions that the tree retires from now on."""
        return Instructions(process.pid for process in self._tree())

    def interrupt(self) -> None:
        """Interrupt the kernel as Ctrl-C would; its own children are the kernel's to end.

        Behind walls it is the child of the second process, the first of the box's own.
        """
        tree = self._tree()
        kernels = watcher.children(tree[1]) if self.walled and len(tree) > 1 else tree
        for process in kernels[:1]:
            watcher.interrupt(process)

    def kill(self) -> None:
        """Kill the tree now; the box's figures stay readable until ``close``."""
        watcher.kill(self._tree())
        self.thaw()

    def close(self) -> None:
        """Kill what is left and remove the group and the folders."""
        self.kill()
        if self.group:
            self.group.close()
        with contextlib.suppress(FileNotFoundError):
            self.said = (self.root / "start.log").read_text(errors="replace").strip()
        _remove(self.root)

    @property
    def _budget(self) -> int:
        return self.limits.memory_mib * MIB

    @functools.cached_property
    def _filtered(self) -> bool:
        return self.walled and seccomp.program() is not None

    def _tree(self) -> list[Any]:
        return watcher.tree(self.pid) if self.pid else []

    def _copied_bytes(self) -> int:
        """What the submission's files take in memory, in whole pages."""
        if self.files is None:
            return 0
        paths = (path for path in self.files.rglob("*") if is_sent(path, self.files))
        sizes = [path.lstat().st_size for path in paths if path.is_file()]
        return sum(-(-size // mmap.PAGESIZE) * mmap.PAGESIZE for size in sizes)

    def _memory(self) -> int:
        if self.group:
            return self.group.usage()
        return self._resident(self._tree())

    def _resident(self, tree: list[Any]) -> int:
        return watcher.memory_bytes(tree) + (self._scratch_bytes(tree) if self.walled else 0)

    def _marked(self, tree: list[Any]) -> int:
        """What the tree surely held at its highest, seen or not.

        Without walls a kernel's own files are on the disk, too, and could be mapped in any size.
        """
        rise = self._marks.rise(tree, self._mappable_bytes()) if self.walled else 0
        return self.baseline + rise

    def _mappable_bytes(self) -> int:
        """The size of the files on this machine's disk that the kernel was given behind walls."""
        return self._lasting_bytes + sum(self._given.values())

    @functools.cached_property
    def _lasting_bytes(self) -> int:
        """Of those, the ones that stay for the whole run."""
        data = [path.stat().st_size for path in self.data.rglob("*")] if self.data else []
        return sum(data) + self._copied_bytes()

    def _scratch_bytes(self, tree: list[Any]) -> int:
        """What the files in the box's scratch folders take, which are in memory.

        Seen through the eyes of the first process behind the walls; 0 when it is gone.
        """
        folders = ("/tmp", "/dev/shm", INSIDE)
        return watcher.used_bytes(tree[1].pid, folders) if len(tree) > 1 else 0

    def _path(self, folder: str) -> str:
        return f"/opt/compete/{folder}" if self.walled else str(PACKAGE / folder)

    def _options(self, connection: Path) -> str:
        files = (
            None if self.files is None else f"{INSIDE}/files" if self.walled else str(self.files)
        )
        return json.dumps(
            {
                "connection": self.inside(connection),
                "home": self.home,
                "files": files,
                "skipped": sorted(BYPRODUCTS),
                "packages": bubblewrap.site_packages(),
                "paths": [self._path("kernel"), self._path("reference")],
                "uid": self.uid,
                "own": [self.inside(self.root / "ipc")],
                "rights": self._rights(),
                "data_mib": self.limits.memory_mib,
                "disk_mib": self.limits.disk_mib,
                # counted by the user namespace, so only walls make it the box's own count
                "tasks": None if self.group or not self.walled else self._tasks,
            }
        )

    def _rights(self) -> dict[str, Any] | None:
        """The kernel's rights to files, as far as Landlock can hold them here."""
        if not landlock.abi():
            return None
        if self.walled:
            return landlock_rules.behind_walls(self.home)
        shown = [self.root / "in", self.root / "ipc", PACKAGE / "kernel", PACKAGE / "reference"]
        shown += [self.data] if self.data else []
        return landlock_rules.without_walls(self.home, shown)

    def _enter(self, command: list[str]) -> list[str]:
        if os.name != "posix":
            return command
        entry = " ".join(str(path) for path in self.group.entry) if self.group else ""
        program = ""
        if self._filtered:
            file = self.root / "seccomp.bpf"
            file.write_bytes(seccomp.program() or b"")
            program = str(file)
        return ["/bin/sh", "-c", _ENTER, "sh", entry, program, *command]


def sweep() -> None:
    """Remove the folders of graders of this user that are gone."""
    for folder in Path("/tmp").glob(f"{PREFIX}[0-9]*-*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        with contextlib.suppress(OSError):
            if folder.stat().st_uid == os.geteuid() and not psutil.pid_exists(int(owner)):
                _remove(folder)


def _is_channel(entry: os.DirEntry[str]) -> bool:
    mode = entry.stat(follow_symlinks=False)
    proper = stat.S_ISSOCK(mode.st_mode) or (stat.S_ISREG(mode.st_mode) and mode.st_size < 4096)
    return entry.name in CHANNELS and proper


def _remove(root: Path) -> None:
    """Remove a folder whose subfolders may have been closed by what ran in it; never by a link."""
    for folder, inner, _ in os.walk(root):
        for name in inner:
            path = Path(folder, name)
            if not path.is_symlink():
                with contextlib.suppress(OSError):
                    path.chmod(0o700)
    shutil.rmtree(root, ignore_errors=True)
