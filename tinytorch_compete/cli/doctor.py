"""Check the machine: what it can isolate and profile, and what to install for more."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from typing import Annotated

import typer

from tinytorch_compete.cli.console import console, table
from tinytorch_compete.cli.roofline import show
from tinytorch_compete.grading.engine import workers_for
from tinytorch_compete.model import Limits
from tinytorch_compete.rendering.column import Column
from tinytorch_compete.sandbox.isolation import capabilities


def doctor(
    roofline: Annotated[
        bool,
        typer.Option("--roofline", help="Measure the speed of one core, once; takes some seconds."),
    ] = False,
) -> None:
    """See this machine's capacity, and which isolation holds on it."""
    if roofline:
        show()
        return
    rows = [
        ["python", f"{platform.python_version()} ({sys.executable})"],
        ["system", f"{platform.system()} {platform.release()}, {os.cpu_count()} cores"],
        ["tito", _which_tito()],
        ["at once", f"{workers_for(Limits(memory_mib=1024, wall_s=1))} submissions of 1024 MiB"],
    ]
    console.print(table("This machine", [Column(), Column()], rows))
    layers = [
        ["✓" if layer.works else "✗", layer.name, layer.promise if layer.works else layer.remedy]
        for layer in capabilities.survey()
    ]
    columns = [Column(), Column("layer"), Column("what it promises, or how to get it")]
    console.print(table("\nIsolation", columns, layers))
    profilers = [
        ["✓" if is_installed else "✗", name, purpose if is_installed else f"pip install {package}"]
        for name, package, purpose, is_installed in _profilers()
    ]
    columns = [Column(), Column("package"), Column("what it is for")]
    console.print(table("\nProfilers", columns, profilers))
    if weak := capabilities.weaknesses():
        console.print("\n[bold red]Weak isolation.[/] " + " ".join(weak), highlight=False)
    else:
        console.print("\nAll hard limits hold here.")


def _which_tito() -> str:
    path = shutil.which("tito")
    if path is None:
        return f"not on the PATH; this environment's is in {os.path.dirname(sys.executable)}"
    ours = os.path.dirname(os.path.realpath(path)) == os.path.dirname(os.path.realpath(sys.argv[0]))
    upstream = "" if importlib.util.find_spec("tito") is None else "; upstream's tito is importable"
    return f"{path} ({'this one' if ours else 'another program; use tito-compete'}{upstream})"


def _profilers() -> list[tuple[str, str, str, bool]]:
    packages = [
        ("memray", "memray", "memory by line, exact (no build for Windows)"),
        ("memory_profiler", "memory_profiler", "memory by line without memray, coarser"),
    ]
    return [(*entry, importlib.util.find_spec(entry[0]) is not None) for entry in packages]
