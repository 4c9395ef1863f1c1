"""Start the student's kernel inside the box: limits first, then the kernel, then its path.

Run as ``python -I launch.py OPTIONS`` where OPTIONS is a JSON object; see ``main`` for its keys.
The interpreter's isolated mode prevents files beside the notebook (``numpy.py``,
``sitecustomize.py``) from being imported before the kernel is ready.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
import sys
from typing import Any

try:
    import resource
except ImportError:  # Windows has no rlimits; only the watcher outside sets limits there
    resource = None  # type: ignore[assignment]

MIB = 1024 * 1024


def main() -> None:
    """Start the kernel.

    Keys: ``connection`` (file), ``home`` (the working folder), ``files`` (folder to copy there, or
    null), ``skipped`` (names of folders not to copy), ``packages`` (folders of installed packages),
    ``paths`` (to import from after those), ``uid`` (the user to become, or null), ``own`` (folders
    to hand to that user), ``data_mib``, ``disk_mib``, ``tasks`` (or null), ``rights`` (arguments of
    ``landlock.restrict``, or null without Landlock).
    """
    options = json.loads(sys.argv[1])
    home = options["home"]
    if options["files"]:
        copy(options["files"], home, options["skipped"])
    if options["uid"] is not None:
        become(options["uid"], [home, *options["own"]])
    os.chdir(home)
    limit(options)
    # Before numpy and the kernel start threads, which would stay unrestricted.
    restrict(options["rights"], options["own"])
    sys.path += [path for path in options["packages"] if path not in sys.path]

    import numpy  # noqa: F401 - part of the baseline that every kernel starts with
    from ipykernel.kernelapp import IPKernelApp

    app = IPKernelApp.instance()
    app.initialize(["-f", options["connection"], "--HistoryManager.enabled=False"])
    ours("deep_stacks")["shorten"](app.shell.InteractiveTB)
    restrict(options["rights"], [])  # the sockets are bound and no more are needed
    sys.path[:0] = [home]
    sys.path += options["paths"]
    limit_data(options["data_mib"])
    app.start()


def copy(source: str, home: str, skipped: list[str]) -> None:
    """Copy the submission's files except ``data``, which the grader provides."""

    def ignored(folder: str, _: list[str]) -> list[str]:
        return [*skipped, "data"] if folder == source else skipped

    shutil.copytree(source, home, dirs_exist_ok=True, symlinks=True, ignore=ignored)


def become(uid: int, folders: list[str]) -> None:
    """Give ``folders``, but nothing mounted in them, to user ``uid`` and become it for good."""
    for folder in folders:
        device = os.stat(folder).st_dev
        for path, inner, names in os.walk(folder):
            inner[:] = [name for name in inner if os.lstat(f"{path}/{name}").st_dev == device]
            for name in [".", *names]:
                os.chown(f"{path}/{name}", uid, uid, follow_symlinks=False)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def restrict(rights: dict[str, Any] | None, sockets: list[str]) -> None:
    """Give up all other file rights; allow new Unix sockets only in the folders ``sockets``."""
    if rights is not None:
        ours("landlock")["restrict"](**rights, sockets=sockets)


def ours(module: str) -> dict[str, Any]:
    """Run a module beside this file and return its names; the folder isn't on the path yet."""
    return runpy.run_path(f"{os.path.dirname(__file__)}/{module}.py")


def limit(options: dict[str, Any]) -> None:
    """Limit file sizes, open files and core dumps, and processes where no cgroup counts them."""
    if resource is None:
        return
    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_NOFILE, 1024)
    lower(resource.RLIMIT_FSIZE, options["disk_mib"] * MIB)
    if options["tasks"] is not None:
        lower(resource.RLIMIT_NPROC, options["tasks"])


def lower(which: int, value: int) -> None:
    """Lower a limit for good; one that is lower already stays."""
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def limit_data(data_mib: int) -> None:
    """Let this process map ``data_mib`` more private memory than now, and not a page beyond.

    Beyond this soft cap an allocation raises a ``MemoryError``, which the student can read and the
    next cell survives; the cap on the whole process tree, above it, kills.
    """
    try:
        with open("/proc/self/status") as status:
            mapped = next(int(line.split()[1]) for line in status if line.startswith("VmData:"))
    except OSError:  # no /proc: RLIMIT_DATA doesn't count mappings there either
        return
    lower(resource.RLIMIT_DATA, mapped * 1024 + data_mib * MIB)


if __name__ == "__main__":
    main()
