"""The files that a kernel may read and write, as arguments of ``kernel/landlock.py``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tinytorch_compete.sandbox.isolation.bubblewrap import ETC, PACKAGE, SYSTEM, interpreter

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/shm")


def behind_walls(home: str) -> dict[str, Any]:
    """Let the kernel read everything that bubblewrap shows, and write only to scratch folders.

    TCP stays allowed: it ends in the box, and the prints of forked children arrive by it.
    """
    writable = [home, "/tmp", "/dev", "/proc"]
    return {"readable": ["/"], "listed": [], "writable": writable, "tcp": True}


def without_walls(home: str, shown: Iterable[Path]) -> dict[str, Any]:
    """Let it read the system, this interpreter without this package, and ``shown``; no TCP."""
    system = [Path(path) for path in (*SYSTEM, "/proc", *(f"/etc/{name}" for name in ETC))]
    readable, listed = [str(path) for path in shown], []
    for folder in (*system, *interpreter()):
        paths, above = _without_package(folder.resolve())
        readable += paths
        listed += above
    return {
        "readable": readable,
        "listed": listed,
        "writable": [home, *DEVICES],
        "tcp": False,
    }


def _without_package(folder: Path) -> tuple[list[str], list[str]]:
    """The readable and the listed paths of a folder that leave this package out."""
    if folder == PACKAGE:
        return [], []
    if not PACKAGE.is_relative_to(folder):
        return [str(folder)], []
    readable, listed = [], [str(folder)]
    for path in folder.iterdir():
        paths, above = _without_package(path)
        readable += paths
        listed += above
    return readable, listed
