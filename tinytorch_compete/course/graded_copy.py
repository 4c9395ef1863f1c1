"""The graded copy of a submission, from which nbgrader reads points and renders its pages."""

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

# nbgrader's pages leave no space between the cells of a table. Pages that ignore a notebook's style
# sheet have one of their own.
STYLE = (
    "<style>.rendered_html table { margin-bottom: 1em; } "
    ".rendered_html th, .rendered_html td { padding: .1em 1em .1em 0; }</style>"
)


def graded_notebook(plan: Plan, graded: Graded, roster: Roster) -> NotebookNode:
    """Return the feedback notebook, with each grading cell's points as that cell's only result.

    nbgrader reads a cell's points from its first ``execute_result``; we write that output long
    after the kernel has ended, and every other output was made harmless. For work that couldn't be
    run, the released notebook is shown. ``roster`` has the student's name on the board. Raises
    ``Fault`` for a result without points.
    """
    if graded.result.points is None:
        raise Fault(graded.result.message)
    executed = graded.run.notebook if graded.run else student_version(plan.master)
    return _with_points(plan, graded.result, writer.feedback_of(plan, graded, executed, roster))


def earlier_copy(plan: Plan, result: Result, feedback: Path, roster: Roster) -> NotebookNode:
    """Return the graded copy of a stored result, from the feedback notebook written for it.

    If that notebook is about another result by now, the released notebook replaces it.
    """
    written = record.read(feedback)
    if written is not None and written.graded_at == result.graded_at:
        copy = nbformat.read(feedback, 4)
        if any(notebook.grade_id(cell) in plan.points for cell in copy.cells):
            return _with_points(plan, result, copy)
    return graded_notebook(plan, Graded(result), roster)


def _with_points(plan: Plan, result: Result, copy: NotebookNode) -> NotebookNode:
    """Write each grading cell's points into a feedback notebook, as that cell's only output."""
    copy.cells[0].source += f"\n\n{STYLE}"
    earned = {cell.grade_id: cell.points for cell in result.cells}
    for cell in copy.cells:
        name = notebook.grade_id(cell)
        if name in plan.points:
            score(cell, earned.get(name, 0.0), plan.points[name])
    return copy


def add_checksums(copy: NotebookNode, checksums: Mapping[str, str]) -> NotebookNode:
    """Write nbgrader's checksums of the released cells into a graded copy, and return it.

    They let nbgrader recognise an answer that the student never began.
    """
    for cell in copy.cells:
        if (name := notebook.grade_id(cell)) in checksums:
            cell.metadata["nbgrader"]["checksum"] = checksums[name]
    return copy


def score(cell: NotebookNode, points: float, max_points: float) -> None:
    """Make the points a grading cell's only output; rounding never lifts them above the maximum."""
    shown = repr(min(points, max_points))
    assert math.isfinite(float(shown)) and float(shown) >= 0
    cell.outputs = [v4.new_output("execute_result", {"text/plain": shown}, execution_count=1)]
    cell.execution_count = 1
