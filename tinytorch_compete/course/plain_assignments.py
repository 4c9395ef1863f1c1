"""Ordinary nbgrader assignments, without probes: run in the sandbox, scored by nbgrader's rule.

Their tests run in the student's own kernel, so what they print is the student's word, as it is with
nbgrader itself: the sandbox protects the course, not the score. Only a challenge's points are safe.
"""

from __future__ import annotations

import copy
from pathlib import Path

from nbformat import NotebookNode, v4

from tinytorch_compete.errors import Fault
from tinytorch_compete.model import CellRun, Limits, Verdict
from tinytorch_compete.sandbox.contract import RunRequest, Sandbox

DISK_MIB = 256
INTERRUPTED_S = 10  # for a cell to end in after its own time, at the most
# What nbgrader says to notebooks that it grades, without a name that a test could lean on.
FIRST = '__import__("os").environ["NBGRADER_EXECUTION"] = "autograde"'


def execute(
    notebook: NotebookNode, files: Path, memory_mib: int, cell_s: float, sandbox: Sandbox
) -> NotebookNode:
    """The notebook with the outputs of a run, in which no cell that failed is without an error.

    nbgrader gives full points for a cell without output, so a cell that was never reached, at which
    the kernel ended, or that took over ``cell_s`` seconds gets an error of ours. Such a cell is
    interrupted as nbgrader would; one that goes on all the same ends the run. Tags are left out:
    with one of them a test cell would not be run. Raises ``Fault`` if the sandbox breaks, or for a
    notebook of another language than Python.
    """
    language = notebook.metadata.get("kernelspec", {}).get("language", "python")
    if language != "python":
        raise Fault(f"the notebook is written in {language!r}; the sandbox runs Python alone.")
    plain = copy.deepcopy(notebook)
    for cell in plain.cells:
        cell.metadata.pop("tags", None)
    plain.cells.insert(0, v4.new_code_cell(FIRST))
    most_s = len(_executed(plain)) * (cell_s + INTERRUPTED_S)
    limits = Limits(memory_mib, most_s, disk_mib=DISK_MIB)
    run = sandbox.run(RunRequest(plain, limits, files=files, cell_s=cell_s))
    made: NotebookNode = run.notebook
    for cell, facts in zip(_executed(made), run.cells, strict=True):
        if facts.status != Verdict.OK:
            _mark(cell, facts)
    del made.cells[0]
    return made


def _executed(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells that a sandbox runs."""
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def _mark(cell: NotebookNode, facts: CellRun) -> None:
    """Give a cell that failed an error that says why, unless the kernel said so itself."""
    told = any(output.output_type == "error" for output in cell.outputs)
    if not told or facts.status == Verdict.OVER_TIME:
        name, message = str(facts.status or "not run"), facts.message or "failed"
        lines = [f"{name}: {message}"]
        cell.outputs.append(v4.new_output("error", ename=name, evalue=message, traceback=lines))
