"""A folder of results: the database, the course's secret, and what students get back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tinytorch_compete import distribution, feedback, files, ranking, returned
from tinytorch_compete.grading import Graded, Plan
from tinytorch_compete.model import Challenge, Identity, Result

FOLDER, DATABASE, SECRET, FEEDBACK = "graded", "results.sqlite", "secret", "feedback"


def write_feedback(plan: Plan, graded: Graded, folder: Path) -> None:
    """Write a student's feedback notebook below a folder of results; raises ``StoreError``."""
    identity = graded.result.identity
    executed = graded.run.notebook if graded.run else None
    surplus = graded.assembly.surplus if graded.assembly else 0
    handle = ranking.handle(identity.student, plan.secret, graded.result.handle)
    made = feedback.make(plan.challenge, graded.result, executed, surplus, handle, graded.advice)
    write_notebook(feedback_path(folder, identity), made)


def write_notebook(path: Path, made: NotebookNode, mode: int = 0o644) -> None:
    """Write a notebook whole or not at all; raises ``StoreError``."""
    files.write_text(path, nbformat.writes(made) + "\n", mode=mode)


def feedback_path(folder: Path, identity: Identity) -> Path:
    """Where the feedback on a piece of work stands below a folder of results."""
    file = f"{name(identity.challenge, identity.final)}.ipynb"
    return folder / FEEDBACK / identity.student / file


def name(slug: str, final: bool) -> str:
    """What the files of a challenge are called; those of its final grading stand beside them."""
    return f"{slug}-final" if final else slug


def place_in_class(
    challenge: Challenge, result: Result, latest: Sequence[Result], path: Path, allowed: bool
) -> None:
    """Say in a feedback notebook where its result stands among ``latest``, or take that out of it.

    A file that tells of another result, such as of a fault since, loses what it said of the class;
    one of the other grading, public or final, stays as it is. Raises ``StoreError``.
    """
    told = returned.read(path)
    if told is None or told.final != result.identity.final:
        return
    if not (allowed or feedback.CLASS_TITLE in path.read_text("utf-8")):
        return
    same = told.graded_at == result.graded_at
    section = distribution.section(challenge, result, latest) if allowed and same else ""
    made = nbformat.read(path, 4)
    if feedback.with_class(made, section):
        write_notebook(path, made, path.stat().st_mode & 0o777)
