"""A folder of results: the database, the course's secret, and what students get back."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tinytorch_compete import feedback, files, ranking
from tinytorch_compete.grading import Graded, Plan

FOLDER, DATABASE, SECRET, FEEDBACK = "graded", "results.sqlite", "secret", "feedback"


def feedback_of(plan: Plan, graded: Graded, executed: NotebookNode | None) -> NotebookNode:
    """The feedback for one graded submission; ``executed`` is what of its notebook is shown."""
    identity = graded.result.identity
    surplus = graded.assembly.surplus if graded.assembly else 0
    handle = ranking.handle(identity.student, plan.secret, graded.result.handle)
    return feedback.make(plan.challenge, graded.result, executed, surplus, handle, graded.advice)


def write_feedback(plan: Plan, graded: Graded, folder: Path) -> None:
    """Write a student's feedback notebook below a folder of results; raises ``StoreError``."""
    identity = graded.result.identity
    made = feedback_of(plan, graded, graded.run.notebook if graded.run else None)
    name = f"{identity.challenge}-final" if identity.final else identity.challenge
    path = folder / FEEDBACK / identity.student / f"{name}.ipynb"
    files.write_text(path, nbformat.writes(made) + "\n")
