"""Which files a kernel may read and write, for Landlock to hold; see ``box/landlock.py``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tinytorch_compete.sandbox.isolation.bubblewrap import ETC, PACKAGE, SYSTEM, interpreter

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/shm")


def behind_walls(home: str) -> dict[str, Any]:
    """All that bubblewrap shows can be read, but only scratch folders be written.

    TCP stays: it ends in the box, and the prints of forked children come by it.
    """
    writable = [home, "/tmp", "/dev", "/proc"]
    return {"readable": ["/"], "listed": [], "writable": writable, "tcp": True}


def without_walls(home: str, shown: Iterable[Path]) -> dict[str, Any]:
    """The system, this interpreter without this package, and what is ``shown``; no TCP."""
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
    """What to let read of a folder so that this package is left out, and what to let list."""
    if folder == PACKAGE:
        return [], []
    if not PACKAGE.is_relative_to(folder):
        return [str(folder)], []
    readable, listed = [], [str(folder)]
    for path in folder.iterdir():
        found = _without_package(path)
        readable += found[0]
        listed += found[1]
    return readable, listed
