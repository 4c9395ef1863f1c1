"""The command, options, rights and environment with which a kernel is started in its box."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from tinytorch_compete.kernel import landlock
from tinytorch_compete.model import Limits
from tinytorch_compete.sandbox.isolation import bubblewrap, landlock_rules
from tinytorch_compete.sandbox.isolation.bubblewrap import PACKAGE
from tinytorch_compete.sandbox.isolation.folders import INSIDE, Folders
from tinytorch_compete.util.files import BYPRODUCTS

FILTER_FD = 9
# Join the groups, open the filter as ``FILTER_FD``, and become the box.
_ENTER = f"""
for file in $1; do echo $$ > "$file" || exit 125; done
[ -z "$2" ] || exec {FILTER_FD}< "$2"
shift 2
exec "$@"
"""


class LaunchCommand:
    """Builds the command line of one box's process.

    The process joins a control group by the files ``entry``. ``max_tasks`` is the limit that the
    kernel's process sets on processes and threads itself, ``None`` where something else holds it.
    ``uid`` is the user that the kernel becomes, ``None`` for the grader's own. ``syscall_filter``
    is a seccomp program, which only bubblewrap can load.
    """

    def __init__(
        self,
        folders: Folders,
        limits: Limits,
        *,
        entry: list[Path],
        max_tasks: int | None,
        uid: int | None,
        syscall_filter: bytes | None,
    ) -> None:
        self._folders, self._limits = folders, limits
        self._entry, self._max_tasks, self._uid = entry, max_tasks, uid
        self._filter = syscall_filter

    def build(self, connection_file: Path) -> list[str]:
        """The command that starts the kernel, given its connection file."""
        connection = self._connection_inside(connection_file)
        launcher = f"{self._package('kernel')}/launch.py"
        launch = [sys.executable, "-I", launcher, self._options(connection)]
        return self._enter([*self._walls(), *launch] if self._folders.walled else launch)

    def environment(self) -> dict[str, str]:
        """The kernel's whole environment; it takes nothing from the grader's but BLAS settings."""
        folders, threads = self._folders, str(self._limits.threads)
        chosen = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": folders.home,
            "TMPDIR": "/tmp" if folders.walled else folders.home,
            "LANG": "C.UTF-8",
            # A name that no submission can know: its own start-up files could end the kernel.
            "IPYTHONDIR": f"{folders.home}/.ipython-{folders.root.name.rpartition('-')[2]}",
            "MPLCONFIGDIR": f"{folders.home}/.matplotlib",
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            "COMPETE_PROBE": folders.inside(folders.probe_socket),
        }
        for library in ("OPENBLAS", "OMP", "MKL", "NUMEXPR", "VECLIB_MAXIMUM"):
            chosen[f"{library}_NUM_THREADS"] = threads
        machine = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "LD_LIBRARY_PATH", "SYSTEMROOT")
        return chosen | {name: os.environ[name] for name in machine if name in os.environ}

    def _connection_inside(self, connection_file: Path) -> Path:
        """Copy the connection file, with the paths that the kernel sees."""
        connection = json.loads(connection_file.read_text())
        if connection["transport"] == "ipc":
            connection["ip"] = self._folders.inside(Path(connection["ip"]))
        copy = self._folders.channels / "inside.json"
        copy.write_text(json.dumps(connection))
        copy.chmod(0o600)
        return copy

    def _walls(self) -> list[str]:
        """The command line of bubblewrap, up to the program to run."""
        folders = self._folders
        binds = {PACKAGE / name: self._package(name) for name in ("kernel", "reference")}
        binds[folders.inputs] = folders.inside(folders.inputs)
        binds |= {folders.files: f"{INSIDE}/files"} if folders.files else {}
        binds |= {folders.data: f"{folders.home}/data"} if folders.data else {}
        return bubblewrap.arguments(
            binds,
            {folders.channels: folders.inside(folders.channels)},
            folders.home,
            self._limits.disk_mib,
            self.environment(),
            FILTER_FD if self._filter else None,
        )

    def _package(self, folder: str) -> str:
        """One of this package's folders, as the kernel names it."""
        return f"/opt/compete/{folder}" if self._folders.walled else str(PACKAGE / folder)

    def _options(self, connection: Path) -> str:
        """The options of ``kernel/launch.py``, as JSON."""
        folders = self._folders
        files = f"{INSIDE}/files" if folders.walled else str(folders.files)
        return json.dumps(
            {
                "connection": folders.inside(connection),
                "home": folders.home,
                "files": files if folders.files else None,
                "skipped": sorted(BYPRODUCTS),
                "packages": bubblewrap.site_packages(),
                "paths": [self._package("kernel"), self._package("reference")],
                "uid": self._uid,
                "own": [folders.inside(folders.channels)],
                "rights": self._rights(),
                "data_mib": self._limits.memory_mib,
                "disk_mib": self._limits.disk_mib,
                "tasks": self._max_tasks,
            }
        )

    def _rights(self) -> dict[str, Any] | None:
        """The kernel's rights to files, as far as Landlock can hold them here."""
        folders = self._folders
        if not landlock.abi():
            return None
        if folders.walled:
            return landlock_rules.behind_walls(folders.home)
        shown = [folders.inputs, folders.channels, PACKAGE / "kernel", PACKAGE / "reference"]
        shown += [folders.data] if folders.data else []
        return landlock_rules.without_walls(folders.home, shown)

    def _enter(self, command: list[str]) -> list[str]:
        """The command, started by a shell that joins the group and opens the filter first."""
        if os.name != "posix":
            return command
        entry, program = " ".join(map(str, self._entry)), ""
        if self._filter:
            file = self._folders.root / "seccomp.bpf"
            file.write_bytes(self._filter)
            program = str(file)
        return ["/bin/sh", "-c", _ENTER, "sh", entry, program, *command]
