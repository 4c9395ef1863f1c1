"""Write what students get back into the results folder."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec
import nbformat
from nbformat import NotebookNode

from tinytorch_compete.errors import StoreError
from tinytorch_compete.feedback import class_position, notebook, record
from tinytorch_compete.grading.pipeline import Graded
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import ChallengeSpec, Result
from tinytorch_compete.participants import roster, roster_file
from tinytorch_compete.participants.roster import Roster
from tinytorch_compete.results.folder import ResultsFolder
from tinytorch_compete.util import files

SENT = "This is its result, which a teammate sent."


def feedback_of(
    plan: Plan, graded: Graded, executed: NotebookNode | None, known: Roster
) -> NotebookNode:
    """The feedback for one graded submission; ``executed`` is what of its notebook is shown.

    ``known`` says what the student is called on the board.
    """
    result = graded.result
    slug, student = result.identity.challenge, result.identity.student
    surplus = graded.assembly.surplus if graded.assembly else 0
    handle = roster.shown_name(known, slug, student, plan.secret, result.handle)
    note = roster.note(known, student)
    return notebook.make(plan.spec, result, executed, surplus, handle, graded.advice, note)


def write_feedback(plan: Plan, graded: Graded, folder: ResultsFolder) -> None:
    """Write a student's feedback notebook into a results folder; raises ``StoreError``."""
    identity = graded.result.identity
    known = roster_file.read(folder, identity.challenge)
    made = feedback_of(plan, graded, graded.run.notebook if graded.run else None, known)
    write_notebook(folder.feedback(identity), made)


def write_notebook(path: Path, made: NotebookNode, mode: int = 0o644) -> None:
    """Write a notebook whole or not at all; raises ``StoreError``."""
    files.write_text(path, nbformat.writes(made) + "\n", mode=mode)


def place_in_class(
    spec: ChallengeSpec, result: Result, latest: Sequence[Result], path: Path, allowed: bool
) -> None:
    """Say in a feedback notebook where its result stands among ``latest``, or take that out of it.

    A file that tells of another result, such as of a fault since, loses what it said of the class;
    one of the other grading, public or final, stays as it is. Raises ``StoreError``.
    """
    told = record.read(path)
    if told is None or told.final != result.identity.final:
        return
    if not (allowed or notebook.CLASS_TITLE in path.read_text("utf-8")):
        return
    same = told.graded_at == result.graded_at
    section = class_position.section(spec, result, latest) if allowed and same else ""
    made = nbformat.read(path, 4)
    if notebook.with_class(made, section):
        write_notebook(path, made, path.stat().st_mode & 0o777)


def write_team_feedback(
    plan: Plan,
    latest: Sequence[Result],
    known: Roster,
    folder: ResultsFolder,
    near: Collection[str] | None = None,
) -> None:
    """Write ``SLUG-team.ipynb`` for each student for whom a teammate's result counts.

    It says what the team earned and shows nothing of the teammate's notebook. For everybody else
    there is none afterwards. Only the students in ``near`` are looked at, or all. Raises
    ``StoreError``.
    """
    own = {result.identity.student: result.identity for result in latest}
    counted = {result.identity.student: result for result in roster.counted(known, latest)}
    students = {*known.entered, *counted}
    for student in sorted(students if near is None else students.intersection(near)):
        path = folder.feedback(msgspec.structs.replace(plan.conditions, student=student))
        path = path.with_name(f"{path.stem}-team.ipynb")
        result = counted.get(student)
        if result is None or result.identity == own.get(student):
            _remove(path)
        else:
            write_notebook(path, team_feedback(plan, result, known))


def team_feedback(plan: Plan, result: Result, known: Roster) -> NotebookNode:
    """What a student is told of a teammate's result that counts: the summary alone."""
    slug, student = result.identity.challenge, result.identity.student
    handle = roster.shown_name(known, slug, student, plan.secret)
    return notebook.make(
        plan.spec, result, None, handle=handle, note=f"{roster.note(known, student)} {SENT}"
    )


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: can't be removed ({error.strerror}).") from None
