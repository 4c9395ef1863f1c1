"""Record what a result was graded with: package versions and the machine."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import platform
from collections.abc import Mapping

import psutil

RECORDED = ("tinytorch-compete", "numpy", "ipykernel", "nbclient")


@functools.cache
def versions() -> Mapping[str, str]:
    """Return the versions that a result depends on, by package."""
    packages = {name: importlib.metadata.version(name) for name in RECORDED}
    return {"python": platform.python_version(), **packages}


@functools.cache
def machine() -> str:
    """Describe the processor, the number of cores and the system in one line."""
    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    return f"{_processor()}, {cores} cores, {platform.system()} {platform.machine()}"


def _processor() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        names = (line.partition(":")[2].strip() for line in file if line.startswith("model name"))
        return next(names, platform.machine())
    return platform.processor() or platform.machine()
