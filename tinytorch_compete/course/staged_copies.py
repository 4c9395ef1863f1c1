"""Graded copies of a staged regrade, which the gradebook gets when that is promoted."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tinytorch_compete.course.gradebook_contract import NoGradebook
from tinytorch_compete.grading.pipeline import Graded
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.participants import roster_file
from tinytorch_compete.results.folder import ResultsFolder
from tinytorch_compete.util import files

COPIES = "autograded"


class StagedCopies(NoGradebook):
    """The graded copies beside staged results, until a course's gradebook gets them."""

    def __init__(self, staged: ResultsFolder) -> None:
        self.staged, self.folder = staged, staged.root / COPIES

    def has(self, student: str, slug: str) -> bool:
        """Return whether a student has a graded copy."""
        return self._path(student, slug).exists()

    def record(self, plan: Plan, graded: Graded) -> None:
        """Write the graded copy of a submission; a fault of ours has none."""
        # nbgrader takes two seconds to import.
        from tinytorch_compete.course.graded_copy import graded_notebook

        if graded.result.points is not None:
            roster = roster_file.read(self.staged, plan.challenge.slug)
            text = nbformat.writes(graded_notebook(plan, graded, roster))
            path = self._path(graded.result.identity.student, plan.challenge.slug)
            files.write_text(path, text + "\n")

    def read(self, student: str, slug: str) -> NotebookNode:
        """Read a student's graded copy."""
        return nbformat.read(self._path(student, slug), 4)

    def drop(self, student: str, slug: str) -> None:
        """Delete a copy that the gradebook has taken."""
        self._path(student, slug).unlink()

    def _path(self, student: str, slug: str) -> Path:
        return self.folder / student / f"{slug}.ipynb"
