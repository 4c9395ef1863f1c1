"""One score for all members of a team, in nbgrader's gradebook and in its graded copies."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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
from tinytorch_compete.participants.roster import Roster, counted
from tinytorch_compete.submissions import notebook
from tinytorch_compete.submissions.submission import TIMESTAMP
from tinytorch_compete.util import files

CELL = "team"
BROUGHT = (TIMESTAMP, "submission_secret.txt")


class Places(msgspec.Struct, frozen=True):
    """Where a course keeps its gradebook, and each student's submission and graded copy."""

    db_url: str
    submitted: Callable[[str], Path]
    graded: Callable[[str], Path]


def mark(copy: NotebookNode, plan: Plan, result: Result, own: bool, roster: Roster) -> NotebookNode:
    """Write the points that count into a graded copy: the student's ``own``, or a teammate's.

    A teammate's result is summarised in the first cell. The rest of the copy is still about the
    student's own result, without its place in the class, where it doesn't count.
    """
    copy.cells = [cell for cell in copy.cells if cell.get("id") != CELL]
    earned = points(plan, result)
    for cell in copy.cells:
        if (name := notebook.grade_id(cell)) in earned:
            score(cell, earned[name], plan.points[name])
    if not own:
        feedback_notebook.with_class(copy, "")
        summary = writer.team_feedback(plan, result, roster).cells[0]
        summary.id, summary.metadata["tinytorch_compete"] = CELL, {"feedback": CELL}
        copy.cells.insert(0, summary)
    return copy


def level(
    places: Places,
    plan: Plan,
    latest: Sequence[Result],
    roster: Roster,
    checksums: Mapping[str, str],
    students: Collection[str] | None = None,
) -> None:
    """Give each member of a team the points that count, and who left a team their own again.

    The copies of ``students`` are always updated. ``None`` means all; then a member whose own work
    was never graded also gets a row and a copy, that of the released notebook, and both are removed
    when that student leaves. Points from the final grading stay, whatever is graded in public
    later. Raises ``StoreError``.
    """
    own = {result.identity.student: result.identity for result in latest}
    with Gradebook(places.db_url) as gradebook:
        for result in _of_teams(latest, roster):
            student = result.identity.student
            grades = _grades(gradebook, plan.challenge.slug, student)
            path = places.graded(student)
            if _is_final(path) and not plan.final:
                continue
            is_asked = students is None or student in students
            if path.exists() and (is_asked or _differ(grades, plan, result)):
                copy = nbformat.read(path, 4)
            elif students is None and roster.of(student).team and not path.exists():
                copy = add_checksums(graded_notebook(plan, Graded(result), roster), checksums)
                grades = grades or _new_grades(gradebook, plan.challenge.slug, result)
            else:
                continue
            mark(copy, plan, result, result.identity == own.get(student), roster)
            _write_copy(path, nbformat.writes(copy) + "\n", places.submitted(student))
            _set(gradebook, grades, points(plan, result))
        for student, participant in roster.entered.items():
            if participant.since and not participant.team and student not in own:
                _take_back(gradebook, plan, student, places.graded(student))


def _of_teams(latest: Sequence[Result], roster: Roster) -> Iterator[Result]:
    """Yield the result that counts for each student who is or was in a team; faults don't."""
    for result in counted(roster, latest):
        participant = roster.of(result.identity.student)
        if result.points is not None and (participant.team or participant.since):
            yield result


def points(plan: Plan, result: Result) -> dict[str, float]:
    """Return the points of each grading cell; 0 for a cell that never ran."""
    earned = {cell.grade_id: cell.points for cell in result.cells}
    return {name: min(earned.get(name, 0.0), most) for name, most in plan.points.items()}


def _is_final(copy: Path) -> bool:
    written = record.read(copy)
    return written is not None and written.final


def _write_copy(path: Path, text: str, submitted: Path) -> None:
    """Write a graded copy; beside a new one, also the files that nbgrader expects there.

    These are the time of sending, and the secret that feedback is released under.
    """
    new = not path.exists()
    files.write_text(path, text, mode=0o644 if new else path.stat().st_mode & 0o777)
    for name in BROUGHT if new else ():
        if os.path.isfile(submitted / name):  # also False for a folder that can't be read
            content = (submitted / name).read_text("utf-8", errors="replace")
            files.write_text(path.parent / name, content)


def _take_back(gradebook: Gradebook, plan: Plan, student: str, path: Path) -> None:
    """Remove the row and the copy of a student who left a team and had only its points."""
    written = record.read(path)
    if written is None or written.final != plan.final or _has_own(path):
        return
    with contextlib.suppress(MissingEntry):  # an earlier call removed the row and was interrupted
        gradebook.remove_submission(plan.challenge.slug, student)
    try:
        for name in BROUGHT:
            path.with_name(name).unlink(missing_ok=True)
        path.unlink()
        path.parent.rmdir()
    except OSError as error:
        raise StoreError(f"{path.parent}: can't be removed ({error.strerror}).") from None


def _has_own(path: Path) -> bool:
    """Return whether a graded copy shows the student's own work."""
    return all(cell.get("id") != CELL for cell in nbformat.read(path, 4).cells)


def _grades(gradebook: Gradebook, slug: str, student: str) -> list[Grade]:
    """Return the gradebook's grades of a student's cells; none without such a submission."""
    try:
        return list(gradebook.find_submission_notebook(slug, slug, student).grades)
    except MissingEntry:
        return []


def _new_grades(gradebook: Gradebook, slug: str, result: Result) -> list[Grade]:
    """Add a submission for a member whose own was never graded, and return its grades."""
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
        new_score = earned.get(grade.cell.name, grade.auto_score)
        if grade.auto_score != new_score:
            grade.auto_score = new_score
            grade.needs_manual_grade = grade.manual_score is not None
    gradebook.db.commit()
