"""Graded copies that wait beside what is published for a course's gradebook."""

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
    """The graded copies that wait beside staged results for a course's gradebook."""

    def __init__(self, staged: ResultsFolder) -> None:
        self.staged, self.folder = staged, staged.root / COPIES

    def has(self, student: str, slug: str) -> bool:
        """Whether a student has a graded copy."""
        return self._path(student, slug).exists()

    def record(self, plan: Plan, graded: Graded) -> None:
        """Keep the graded copy of a submission; a fault of ours has none."""
        # nbgrader takes two seconds to import.
        from tinytorch_compete.course.graded_copy import graded_notebook

        if graded.result.points is not None:
            known = roster_file.read(self.staged, plan.challenge.slug)
            text = nbformat.writes(graded_notebook(plan, graded, known))
            path = self._path(graded.result.identity.student, plan.challenge.slug)
            files.write_text(path, text + "\n")

    def read(self, student: str, slug: str) -> NotebookNode:
        """A student's graded copy."""
        return nbformat.read(self._path(student, slug), 4)

    def drop(self, student: str, slug: str) -> None:
        """Forget a copy that the gradebook has."""
        self._path(student, slug).unlink()

    def _path(self, student: str, slug: str) -> Path:
        return self.folder / student / f"{slug}.ipynb"
