"""A user for each kernel, who owns nothing else; only root can assign one."""

from __future__ import annotations

import functools
import itertools
import os
import subprocess
import sys
from pathlib import Path

from tinytorch_compete.sandbox.isolation.bubblewrap import PACKAGE

FIRST, MANY = 200_000, 10_000
LAUNCHER = PACKAGE / "kernel" / "launch.py"
# Opens the files that a kernel needs: the launcher, and those of a data set if one is named.
TRIAL = """
import os, sys
open(sys.argv[1])
for entry in os.scandir(sys.argv[2]) if sys.argv[2:] else ():
    if entry.is_file():
        open(entry.path)
"""
_numbers = itertools.count(101 * os.getpid())  # graders that run together start far apart


def take(walled: bool, data: Path | None) -> int | None:
    """The id of a user for the next kernel, or ``None`` where it must be the grader's own.

    Without walls other users may be unable to read this interpreter or the data, where these are in
    somebody's home.
    """
    if os.name != "posix" or os.geteuid() != 0 or not (walled or _others_can_run(data)):
        return None
    return FIRST + next(_numbers) % MANY


@functools.cache
def _others_can_run(data: Path | None) -> bool:
    """Whether an unprivileged user can run this interpreter and read what a kernel needs."""
    needed = [str(LAUNCHER), *([str(data)] if data else [])]
    try:
        trial = subprocess.run(
            [sys.executable, "-I", "-c", TRIAL, *needed],
            user=FIRST,
            group=FIRST,
            extra_groups=[],
            capture_output=True,
            cwd="/",
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return trial.returncode == 0
