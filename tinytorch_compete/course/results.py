"""A folder of results: the database, the course's secret, and what students get back."""

from __future__ import annotations

from pathlib import Path

import nbformat

from tinytorch_compete import feedback, files, ranking
from tinytorch_compete.grading import Graded, Plan
from tinytorch_compete.model import Identity

FOLDER, DATABASE, SECRET, FEEDBACK = "graded", "results.sqlite", "secret", "feedback"


def write_feedback(plan: Plan, graded: Graded, folder: Path) -> None:
    """Write a student's feedback notebook below a folder of results; raises ``StoreError``."""
    identity = graded.result.identity
    executed = graded.run.notebook if graded.run else None
    surplus = graded.assembly.surplus if graded.assembly else 0
    handle = ranking.handle(identity.student, plan.secret, graded.result.handle)
    made = feedback.make(plan.challenge, graded.result, executed, surplus, handle, graded.advice)
    files.write_text(feedback_path(folder, identity), nbformat.writes(made) + "\n")


def feedback_path(folder: Path, identity: Identity) -> Path:
    """Where the feedback on a piece of work stands below a folder of results."""
    file = f"{name(identity.challenge, identity.final)}.ipynb"
    return folder / FEEDBACK / identity.student / file


def name(slug: str, final: bool) -> str:
    """What the files of a challenge are called; those of its final grading stand beside them."""
    return f"{slug}-final" if final else slug
