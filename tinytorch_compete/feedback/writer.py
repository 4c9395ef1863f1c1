"""Write students' feedback into the results folder."""

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

SENT = "This is the result of your team, submitted by a teammate."


def feedback_of(
    plan: Plan, graded: Graded, executed: NotebookNode | None, entries: Roster
) -> NotebookNode:
    """Make the feedback for one graded submission, with ``executed`` as the notebook it shows.

    ``entries`` decides the student's name on the leaderboard.
    """
    result = graded.result
    slug, student = result.identity.challenge, result.identity.student
    surplus = graded.assembly.surplus if graded.assembly else 0
    handle = roster.shown_name(entries, slug, student, plan.secret, result.handle)
    note = roster.note(entries, student)
    return notebook.make(plan.spec, result, executed, surplus, handle, graded.advice, note)


def write_feedback(plan: Plan, graded: Graded, folder: ResultsFolder) -> None:
    """Write a student's feedback notebook into a results folder; raises ``StoreError``."""
    identity = graded.result.identity
    entries = roster_file.read(folder, identity.challenge)
    executed = graded.run.notebook if graded.run else None
    feedback = feedback_of(plan, graded, executed, entries)
    write_notebook(folder.feedback(identity), feedback)


def write_notebook(path: Path, feedback: NotebookNode, mode: int = 0o644) -> None:
    """Write a notebook whole or not at all; raises ``StoreError``."""
    files.write_text(path, nbformat.writes(feedback) + "\n", mode=mode)


def place_in_class(
    spec: ChallengeSpec, result: Result, latest: Sequence[Result], path: Path, allowed: bool
) -> None:
    """Show in a feedback notebook where its result stands among ``latest``, or remove that.

    A file about another result, such as a later fault, loses its section on the class; a file of
    the other grading, public or final, stays as it is. Raises ``StoreError``.
    """
    recorded = record.read(path)
    if recorded is None or recorded.final != result.identity.final:
        return
    if not (allowed or notebook.CLASS_TITLE in path.read_text("utf-8")):
        return
    is_same = recorded.graded_at == result.graded_at
    section = class_position.section(spec, result, latest) if allowed and is_same else ""
    feedback = nbformat.read(path, 4)
    if notebook.with_class(feedback, section):
        write_notebook(path, feedback, path.stat().st_mode & 0o777)


def write_team_feedback(
    plan: Plan,
    latest: Sequence[Result],
    entries: Roster,
    folder: ResultsFolder,
    near: Collection[str] | None = None,
) -> None:
    """Write ``SLUG-team.ipynb`` for each student for whom a teammate's result counts.

    It has the team's points and shows nothing of the teammate's notebook. For all other students
    such a file is removed. Only the students in ``near`` are considered, or all. Raises
    ``StoreError``.
    """
    own = {result.identity.student: result.identity for result in latest}
    counted = {result.identity.student: result for result in roster.counted(entries, latest)}
    students = {*entries.entered, *counted}
    for student in sorted(students if near is None else students.intersection(near)):
        path = folder.feedback(msgspec.structs.replace(plan.conditions, student=student))
        path = path.with_name(f"{path.stem}-team.ipynb")
        result = counted.get(student)
        if result is None or result.identity == own.get(student):
            _remove(path)
        else:
            write_notebook(path, team_feedback(plan, result, entries))


def team_feedback(plan: Plan, result: Result, entries: Roster) -> NotebookNode:
    """Make a student's feedback on a teammate's result that counts: the summary alone."""
    slug, student = result.identity.challenge, result.identity.student
    handle = roster.shown_name(entries, slug, student, plan.secret)
    note = f"{roster.note(entries, student)} {SENT}"
    return notebook.make(plan.spec, result, None, handle=handle, note=note)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: can't be removed ({error.strerror}).") from None
