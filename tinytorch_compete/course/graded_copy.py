"""The graded copy of a submission: what nbgrader reads points from, and makes its pages of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode, v4

from tinytorch_compete.challenges.release import student_version
from tinytorch_compete.errors import Fault
from tinytorch_compete.feedback import record, writer
from tinytorch_compete.grading.pipeline import Graded
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import Result
from tinytorch_compete.participants.roster import Roster
from tinytorch_compete.submissions import notebook

# nbgrader's pages leave no room between the cells of a table. Where a page takes no style sheet
# from a notebook it brings its own.
STYLE = (
    "<style>.rendered_html table { margin-bottom: 1em; } "
    ".rendered_html th, .rendered_html td { padding: .1em 1em .1em 0; }</style>"
)


def graded_notebook(plan: Plan, graded: Graded, known: Roster) -> NotebookNode:
    """The feedback notebook, with each grading cell's points as that cell's one result.

    nbgrader reads a cell's points from its first ``execute_result``; here that is written by us,
    long after the kernel is gone, and every other output was made harmless. Work that couldn't be
    run is shown as the released notebook. ``known`` says what the student is called on the board.
    Raises ``Fault`` for a result without points.
    """
    if graded.result.points is None:
        raise Fault(graded.result.message)
    executed = graded.run.notebook if graded.run else student_version(plan.master)
    return _with_points(plan, graded.result, writer.feedback_of(plan, graded, executed, known))


def earlier_copy(plan: Plan, result: Result, feedback: Path, known: Roster) -> NotebookNode:
    """The graded copy of a stored result, made of the feedback notebook that was written for it.

    Where that is about another result by now, the released notebook stands for the student's.
    """
    told = record.read(feedback)
    if told is not None and told.graded_at == result.graded_at:
        made = nbformat.read(feedback, 4)
        if any(notebook.grade_id(cell) in plan.points for cell in made.cells):
            return _with_points(plan, result, made)
    return graded_notebook(plan, Graded(result), known)


def _with_points(plan: Plan, result: Result, made: NotebookNode) -> NotebookNode:
    """A feedback notebook with each grading cell's points as that cell's one output."""
    made.cells[0].source += f"\n\n{STYLE}"
    earned = {cell.grade_id: cell for cell in result.cells}
    for cell in made.cells:
        name = notebook.grade_id(cell)
        if name in plan.points:
            found = earned.get(name)
            score(cell, found.points if found else 0.0, plan.points[name])
    return made


def add_checksums(made: NotebookNode, checksums: Mapping[str, str]) -> NotebookNode:
    """Write nbgrader's checksums of the released cells into a graded copy, and return it.

    By them nbgrader knows an answer that was never begun.
    """
    for cell in made.cells:
        if (name := notebook.grade_id(cell)) in checksums:
            cell.metadata["nbgrader"]["checksum"] = checksums[name]
    return made


def score(cell: NotebookNode, points: float, most: float) -> None:
    """Make the points a grading cell's one output; rounding never lifts them above the most."""
    shown = repr(min(points, most))
    assert math.isfinite(float(shown)) and float(shown) >= 0
    cell.outputs = [v4.new_output("execute_result", {"text/plain": shown}, execution_count=1)]
    cell.execution_count = 1
