"""Run ordinary nbgrader assignments, which have no probes, in the sandbox.

nbgrader scores them by its own rule. Their tests run in the student's own kernel, so their output
can be forged, as it can with nbgrader itself: the sandbox protects the course, not the score. Only
the points of a challenge are safe.
"""

from __future__ import annotations

import copy
from pathlib import Path

from nbformat import NotebookNode, v4

from tinytorch_compete.errors import Fault
from tinytorch_compete.model import CellRun, Limits, Verdict
from tinytorch_compete.sandbox.contract import RunRequest, Sandbox

DISK_MIB = 256
INTERRUPTED_S = 10  # the longest that an interrupted cell may take to end
# Tells the notebook that it is being graded, as nbgrader does, without defining a name that a test
# could come to depend on.
FIRST = '__import__("os").environ["NBGRADER_EXECUTION"] = "autograde"'


def execute(
    notebook: NotebookNode, files: Path, memory_mib: int, cell_s: float, sandbox: Sandbox
) -> NotebookNode:
    """Run a notebook and return it with its outputs; every cell that failed has an error.

    nbgrader gives full points for a cell without output, so a cell gets an error of ours if it was
    never reached, if the kernel ended in it, or if it took over ``cell_s`` seconds. A cell over its
    time is interrupted, as by nbgrader; if it continues all the same, the run ends. Tags are
    removed, since some keep a test cell from running. Raises ``Fault`` if the sandbox breaks, or
    for a notebook in another language than Python.
    """
    language = notebook.metadata.get("kernelspec", {}).get("language", "python")
    if language != "python":
        raise Fault(f"the notebook is written in {language!r}; the sandbox runs only Python.")
    plain = copy.deepcopy(notebook)
    for cell in plain.cells:
        cell.metadata.pop("tags", None)
    plain.cells.insert(0, v4.new_code_cell(FIRST))
    wall_s = len(_code_cells(plain)) * (cell_s + INTERRUPTED_S)
    limits = Limits(memory_mib, wall_s, disk_mib=DISK_MIB)
    run = sandbox.run(RunRequest(plain, limits, files=files, cell_s=cell_s))
    executed: NotebookNode = run.notebook
    for cell, facts in zip(_code_cells(executed), run.cells, strict=True):
        if facts.status != Verdict.OK:
            _mark(cell, facts)
    del executed.cells[0]
    return executed


def _code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the cells that a sandbox runs."""
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def _mark(cell: NotebookNode, facts: CellRun) -> None:
    """Add an error that says why a cell failed, unless the kernel reported one itself."""
    has_error = any(output.output_type == "error" for output in cell.outputs)
    if not has_error or facts.status == Verdict.OVER_TIME:
        name, message = str(facts.status or "not run"), facts.message or "failed"
        lines = [f"{name}: {message}"]
        cell.outputs.append(v4.new_output("error", ename=name, evalue=message, traceback=lines))
