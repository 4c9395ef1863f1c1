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
from tinytorch_compete.sandbox.contract import Sandbox

DISK_MIB = 256


def execute(
    notebook: NotebookNode, files: Path, memory_mib: int, cell_s: float, sandbox: Sandbox
) -> NotebookNode:
    """The notebook with the outputs of a run, in which no cell that failed is without an error.

    nbgrader gives full points for a cell without output, so a cell that was never reached, or at
    which the kernel ended, gets an error of ours. Tags are left out: with one of them a test cell
    would not be run. ``cell_s`` is the time for one cell; all of them share its sum. Raises
    ``Fault`` if the sandbox breaks, or for a notebook of another language than Python.
    """
    language = notebook.metadata.get("kernelspec", {}).get("language", "python")
    if language != "python":
        raise Fault(f"the notebook is written in {language!r}; the sandbox runs Python alone.")
    plain = copy.deepcopy(notebook)
    for cell in plain.cells:
        cell.metadata.pop("tags", None)
    cells = _executed(plain)
    limits = Limits(memory_mib, max(1, len(cells)) * cell_s, disk_mib=DISK_MIB)
    run = sandbox.run(plain, limits, {}, files=files)
    made: NotebookNode = run.notebook
    for cell, facts in zip(_executed(made), run.cells, strict=True):
        _mark(cell, facts)
    return made


def _executed(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells that a sandbox runs."""
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def _mark(cell: NotebookNode, facts: CellRun) -> None:
    """Give a cell that didn't end well an error, if its outputs have none."""
    if facts.status == Verdict.OK or any(o.output_type == "error" for o in cell.outputs):
        return
    name = str(facts.status or "not run")
    lines = [f"{name}: {facts.message}"]
    cell.outputs.append(v4.new_output("error", ename=name, evalue=facts.message, traceback=lines))
