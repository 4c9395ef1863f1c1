"""One score for all members of a team, in nbgrader's gradebook and in its graded copies."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import msgspec
import nbformat
from nbformat import NotebookNode
from nbgrader.api import Grade, Gradebook, MissingEntry

from tinytorch_compete.course.graded_copy import add_checksums, graded_notebook, score
from tinytorch_compete.errors import StoreError
from tinytorch_compete.feedback import notebook as feedback_notebook
from tinytorch_compete.feedback import record, writer
from tinytorch_compete.grading.pipeline import Graded
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import Result
from tinytorch_compete.participants import roster
from tinytorch_compete.participants.roster import Roster
from tinytorch_compete.submissions import notebook
from tinytorch_compete.submissions.submission import TIMESTAMP
from tinytorch_compete.util import files

CELL = "team"
BROUGHT = (TIMESTAMP, "submission_secret.txt")


class Places(msgspec.Struct, frozen=True):
    """Where a course keeps what is its students': the gradebook, and two files of each student."""

    db_url: str
    submitted: Callable[[str], Path]
    graded: Callable[[str], Path]


def mark(copy: NotebookNode, plan: Plan, result: Result, own: bool, known: Roster) -> NotebookNode:
    """A graded copy with the points that count: the student's ``own``, or a teammate's.

    Of a teammate's result the summary stands first; what follows is still about the student's own,
    but for its place in the class, where it doesn't count.
    """
    copy.cells = [cell for cell in copy.cells if cell.get("id") != CELL]
    earned = points(plan, result)
    for cell in copy.cells:
        if (name := notebook.grade_id(cell)) in earned:
            score(cell, earned[name], plan.points[name])
    if not own:
        feedback_notebook.with_class(copy, "")
        first = writer.team_feedback(plan, result, known).cells[0]
        first.id, first.metadata["tinytorch_compete"] = CELL, {"feedback": CELL}
        copy.cells.insert(0, first)
    return copy


def level(
    places: Places,
    plan: Plan,
    latest: Sequence[Result],
    known: Roster,
    checksums: Mapping[str, str],
    near: Collection[str] | None = None,
) -> None:
    """Give each member of a team the points that count, and back its own to who left one.

    ``near`` are students whose copies are looked at in any case: all, if left out, and then a
    member whose own work was never graded gets a row and a copy, that of the released notebook;
    both go when that student leaves.
    What the final grading gave stays, whatever is graded in public later. Raises ``StoreError``.
    """
    own = {result.identity.student: result.identity for result in latest}
    with Gradebook(places.db_url) as gradebook:
        for result in roster.counted(known, latest):
            student, one = result.identity.student, known.of(result.identity.student)
            if result.points is None or not (one.team or one.since):
                continue
            grades = _grades(gradebook, plan.challenge.slug, student)
            path = places.graded(student)
            if _is_final(path) and not plan.final:
                continue
            if path.exists() and (near is None or student in near or _differ(grades, plan, result)):
                copy = nbformat.read(path, 4)
            elif near is None and one.team and not path.exists():
                copy = add_checksums(graded_notebook(plan, Graded(result), known), checksums)
                grades = grades or _new_grades(gradebook, plan.challenge.slug, result)
            else:
                continue
            mark(copy, plan, result, result.identity == own.get(student), known)
            _keep(path, nbformat.writes(copy) + "\n", places.submitted(student))
            _set(gradebook, grades, points(plan, result))
        for student, one in known.entered.items():
            if one.since and not one.team and student not in own:
                _take_back(gradebook, plan, student, places.graded(student))


def points(plan: Plan, result: Result) -> dict[str, float]:
    """The points of each grading cell; none of those that never ran."""
    earned = {cell.grade_id: cell.points for cell in result.cells}
    return {name: min(earned.get(name, 0.0), worth) for name, worth in plan.points.items()}


def _is_final(copy: Path) -> bool:
    told = record.read(copy)
    return told is not None and told.final


def _keep(path: Path, text: str, submitted: Path) -> None:
    """Write a graded copy; a new one gets what nbgrader knows by what it was made of, and for whom.

    That is the time of sending, and the secret that feedback is released under.
    """
    new = not path.exists()
    files.write_text(path, text, mode=0o644 if new else path.stat().st_mode & 0o777)
    for name in BROUGHT if new else ():
        if os.path.isfile(submitted / name):  # False, too, where it can't be looked at
            said = (submitted / name).read_text("utf-8", errors="replace")
            files.write_text(path.parent / name, said)


def _take_back(gradebook: Gradebook, plan: Plan, student: str, path: Path) -> None:
    """Remove the row and the copy of who left a team and had its points alone."""
    told = record.read(path)
    if told is None or told.final != plan.final or _has_own(path):
        return
    with contextlib.suppress(MissingEntry):  # removed by a call that was ended here
        gradebook.remove_submission(plan.challenge.slug, student)
    try:
        for name in BROUGHT:
            path.with_name(name).unlink(missing_ok=True)
        path.unlink()
        path.parent.rmdir()
    except OSError as error:
        raise StoreError(f"{path.parent}: can't be removed ({error.strerror}).") from None


def _has_own(path: Path) -> bool:
    """Whether a graded copy is of the student's own work."""
    return all(cell.get("id") != CELL for cell in nbformat.read(path, 4).cells)


def _grades(gradebook: Gradebook, slug: str, student: str) -> list[Grade]:
    """The gradebook's grades of a student's cells; none if it has no such submission."""
    try:
        return list(gradebook.find_submission_notebook(slug, slug, student).grades)
    except MissingEntry:
        return []


def _new_grades(gradebook: Gradebook, slug: str, result: Result) -> list[Grade]:
    """The grades of a submission that is added for a member whose own was never graded."""
    student = result.identity.student
    gradebook.update_or_create_student(student)
    gradebook.update_or_create_submission(slug, student, timestamp=result.submitted_at)
    return _grades(gradebook, slug, student)


def _differ(grades: Sequence[Grade], plan: Plan, result: Result) -> bool:
    earned = points(plan, result)
    return any(earned.get(g.cell.name, g.auto_score) != g.auto_score for g in grades)


def _set(gradebook: Gradebook, grades: Sequence[Grade], earned: Mapping[str, float]) -> None:
    """Set automatic scores as nbgrader's own autograding does."""
    for grade in grades:
        now = earned.get(grade.cell.name, grade.auto_score)
        if grade.auto_score != now:
            grade.auto_score = now
            grade.needs_manual_grade = grade.manual_score is not None
    gradebook.db.commit()
