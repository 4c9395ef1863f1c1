"""A folder of results: the database, the course's secret, and what students get back."""

from __future__ import annotations

from pathlib import Path

import nbformat

from tinytorch_compete import feedback, files, ranking
from tinytorch_compete.grading import Graded, Plan

FOLDER, DATABASE, SECRET, FEEDBACK = "graded", "results.sqlite", "secret", "feedback"


def write_feedback(plan: Plan, graded: Graded, folder: Path) -> None:
    """Write a student's feedback notebook below a folder of results; raises ``StoreError``."""
    identity = graded.result.identity
    executed = graded.run.notebook if graded.run else None
    surplus = graded.assembly.surplus if graded.assembly else 0
    handle = ranking.handle(identity.student, plan.secret, graded.result.handle)
    made = feedback.make(plan.challenge, graded.result, executed, surplus, handle, graded.advice)
    name = f"{identity.challenge}-final" if identity.final else identity.challenge
    path = folder / FEEDBACK / identity.student / f"{name}.ipynb"
    files.write_text(path, nbformat.writes(made) + "\n")
