"""The folders of one box: create them, name them as the kernel does, and remove them."""

from __future__ import annotations

import contextlib
import functools
import mmap
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from tinytorch_compete.model import Inputs
from tinytorch_compete.util.files import is_sent

INSIDE = "/box"
PREFIX = "ttc-"
# The only files that may be in the folder of the kernel's channels.
CHANNELS = {"kernel.json", "inside.json", "probe.sock", *(f"k-{n}" for n in range(1, 6))}


class Folders:
    """The folders of one box, all below ``root``, until ``remove`` is called.

    ``channels`` holds the kernel's sockets and connection files, ``inputs`` what probes hand to it;
    ``work`` is the kernel's working folder; ``relay`` holds the relay's sockets, and no kernel is
    shown it. ``files`` is a folder that is copied into the working folder, ``data`` a folder that
    appears there as ``data/``, read-only. Behind walls the kernel knows all of them by other names.
    """

    def __init__(self, files: Path | None, data: Path | None, *, walled: bool) -> None:
        self.files, self.data, self.walled = files, data, walled
        # Short, because a Unix socket's path may have 107 bytes.
        base = "/tmp" if os.path.isdir("/tmp") else None
        self.root = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=base))
        self.channels, self.inputs = self.root / "ipc", self.root / "in"
        self.work, self.relay = self.root / "home", self.root / "out"
        self.log = self.root / "start.log"
        for folder in (self.channels, self.inputs, self.work):
            folder.mkdir()
            folder.chmod(0o755)  # whatever the grader's umask is
        self.relay.mkdir(mode=0o700)
        if data and not walled:
            (self.work / "data").symlink_to(data)
        self._largest_inputs: dict[str, int] = {}

    @property
    def probe_socket(self) -> Path:
        """The socket on which the grader serves probes."""
        return self.channels / "probe.sock"

    @property
    def home(self) -> str:
        """The kernel's working folder, as the kernel names it."""
        return self.inside(self.work)

    def inside(self, path: Path) -> str:
        """The path by which the kernel knows a file below ``root``."""
        return f"{INSIDE}/{path.relative_to(self.root).as_posix()}" if self.walled else str(path)

    def let_in(self, user: int) -> None:
        """Let a user, and no other one, reach the folders below ``root``."""
        os.chown(self.root, 0, user)
        self.root.chmod(0o710)

    def reclaim_channels(self) -> None:
        """Take the channels' folder back from the kernel's user, who can create nothing there then.

        The folder is on the host's disk, and the sockets are bound by now.
        """
        for path in (self.channels, *self.channels.glob("*.json")):
            os.chown(path, 0, 0)
            path.chmod(0o755)

    def release(self, probe: str, inputs: Inputs) -> dict[str, Any]:
        """Write a probe's inputs as read-only files; return the message that announces them.

        The files of the question before are removed; a kernel that has mapped them keeps them.
        """
        folder = self.inputs / probe
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        paths = {}
        for name, array in inputs.arrays.items():
            path = folder / f"{name}.npy"
            np.save(path, array, allow_pickle=False)
            path.chmod(0o444)
            paths[name] = self.inside(path)
        size = sum(path.stat().st_size for path in folder.iterdir())
        self._largest_inputs[probe] = max(size, self._largest_inputs.get(probe, 0))
        return {"arrays": paths, "values": dict(inputs.values)}

    def has_intruder(self) -> bool:
        """Whether the channels' folder holds anything but the kernel's channels."""
        try:
            with os.scandir(self.channels) as entries:
                return not all(_is_channel(entry) for entry in entries)
        except OSError:  # closed or moved away
            return True

    def copied_bytes(self) -> int:
        """The memory that the copies of the submission's files take, in whole pages."""
        if self.files is None:
            return 0
        paths = (path for path in self.files.rglob("*") if is_sent(path, self.files))
        sizes = [path.lstat().st_size for path in paths if path.is_file()]
        return sum(-(-size // mmap.PAGESIZE) * mmap.PAGESIZE for size in sizes)

    def mappable_bytes(self) -> int:
        """The size of the files on this machine's disk that the kernel was given behind walls."""
        return self._lasting_bytes + sum(self._largest_inputs.values())

    def read_log(self) -> str:
        """The output of the box's process before its kernel spoke; empty if there is no log."""
        with contextlib.suppress(FileNotFoundError):
            return self.log.read_text(errors="replace").strip()
        return ""

    def remove(self) -> None:
        """Remove all folders."""
        _remove(self.root)

    @functools.cached_property
    def _lasting_bytes(self) -> int:
        """The size of the given files that stay for the whole run."""
        data = [path.stat().st_size for path in self.data.rglob("*")] if self.data else []
        return sum(data) + self.copied_bytes()


def sweep() -> None:
    """Remove the folders that this user's graders left behind when they died."""
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
    """Remove a folder, even where code in it closed its subfolders; never follow a link."""
    for folder, inner, _ in os.walk(root):
        for name in inner:
            path = Path(folder, name)
            if not path.is_symlink():
                with contextlib.suppress(OSError):
                    path.chmod(0o700)
    shutil.rmtree(root, ignore_errors=True)
