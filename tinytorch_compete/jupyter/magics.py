"""Magics for Jupyter, after ``%load_ext tinytorch_compete``.

``%compete`` does in a notebook what ``tito compete`` does in a terminal. ``%%compete_profile`` as a
cell's first line shows what its lines cost; ``%compete_scaling f 100 200 400 800`` shows how ``f``
scales.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from IPython.display import HTML, display

from tinytorch_compete.errors import DataError
from tinytorch_compete.jupyter.student import Student, complete
from tinytorch_compete.kernel.compete_profiling.profiler import Profiler
from tinytorch_compete.model import Profile
from tinytorch_compete.profiling import bottlenecks, scaling
from tinytorch_compete.profiling.html import fragment
from tinytorch_compete.profiling.operations import watched
from tinytorch_compete.profiling.report import parse

THIS = "this one"


def load_ipython_extension(shell: Any) -> None:
    """Register the magics with a running kernel."""

    def compete_profile(_: str, cell: str) -> None:
        """Run a cell and show what its lines cost, including the code that they call."""
        profile = profile_cell(shell, cell)
        display(HTML(fragment(profile, bottlenecks.here(profile))))

    def compete_scaling(line: str) -> scaling.Scaling:
        """Call a function with sizes, as in ``%compete_scaling f 100 200 400``; see ``scaling``."""
        return scaling.fit(*_function_and_sizes(shell, line))

    shell.register_magic_function(compete_profile, "cell")
    shell.register_magic_function(compete_scaling, "line")
    shell.register_magic_function(Student().compete, "line")
    shell.set_hook("complete_command", complete, str_key="%compete")


def _function_and_sizes(shell: Any, line: str) -> tuple[Any, list[int]]:
    """Parse a line: an expression for a function, then the sizes to call it with."""
    words = line.split()
    sizes = list(itertools.takewhile(str.isdecimal, reversed(words)))
    function = shell.ev(" ".join(words[: -len(sizes) or None])) if len(words) > len(sizes) else None
    if not callable(function):
        raise DataError("%compete_scaling: give a function and sizes, as in: f 100 200 400 800")
    return function, [int(size) for size in sizes]


def profile_cell(shell: Any, cell: str) -> Profile:
    """Run a cell in this kernel, without a sandbox, and return its profile.

    The profile includes functions from earlier cells and from modules below the working folder.
    Raises ``RuntimeError`` if the kernel is being profiled already.
    """
    earlier = _earlier(shell)
    texts = {f"cell:{THIS}": cell} | _texts(shell, earlier)
    profiler = Profiler(os.getcwd(), names=earlier, watch=watched(texts))
    profiler.start()
    try:
        profiler.begin_cell(THIS)
        shell.run_cell(cell)
        profiler.end_cell()
    finally:
        profiler.stop()
    report = profiler.report()
    for name in report["sources"]:
        if not name.startswith("cell:"):
            texts[name] = Path(name).read_text(encoding="utf-8", errors="replace")
    return parse(json.dumps(report).encode(), texts, [f"cell:{THIS}"])


def _earlier(shell: Any) -> dict[str, str]:
    """Map the file name that an earlier cell's code bears to the cell's name."""
    numbers: Mapping[str, int] = getattr(shell.compile, "_filename_map", {})
    return {file: f"cell:[{number}]" for file, number in numbers.items()}


def _texts(shell: Any, earlier: Mapping[str, str]) -> dict[str, str]:
    inputs = shell.user_ns.get("In", [])
    cells = {f"cell:[{number}]": text for number, text in enumerate(inputs)}
    return {name: cells[name] for name in earlier.values() if name in cells}
