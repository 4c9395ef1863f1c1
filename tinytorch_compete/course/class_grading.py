"""Grade a class, by the same route for the CLI, the demo, ``nbgrader autograde`` and formgrader.

Only this module knows the order of the steps: registrations, dates and quota, the batch with its
feedback and gradebook entries, the points of teams, and each result's place in the class.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence

import msgspec

from tinytorch_compete.course.gradebook_contract import Gradebook, NoGradebook
from tinytorch_compete.errors import CompeteError
from tinytorch_compete.feedback import class_position, writer
from tinytorch_compete.grading import batch, eligibility, pipeline
from tinytorch_compete.grading.engine import LocalEngine, workers_for
from tinytorch_compete.grading.pipeline import Graded
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import Result
from tinytorch_compete.participants import roster_file
from tinytorch_compete.participants.roster import Roster, sharing
from tinytorch_compete.results.conditions import conditions
from tinytorch_compete.results.folder import ResultsFolder
from tinytorch_compete.results.store import Store
from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.submissions import submission
from tinytorch_compete.submissions.snapshot import Snapshot, load
from tinytorch_compete.suggestions import suggest


class Observer:
    """Receives the events of a class's grading; a front end shows those that its users need."""

    def refused(self, student: str, reason: str) -> None:
        """Report a submission that isn't graded because of a date or the quota."""

    def undated(self, students: Sequence[str]) -> None:
        """Report submissions without the time of sending that dates or quota require."""

    def misnamed(self, student: str, sentence: str) -> None:
        """Report a submission whose notebook isn't named after the challenge."""

    def begin(self, total: int, skipped: int) -> None:
        """Start a batch of ``total`` submissions; ``skipped`` others have a grade already."""

    def graded(self, result: Result) -> None:
        """Report a result that is stored."""

    def end(self) -> None:
        """End the batch, whether it was finished or interrupted."""


class ClassGrading(msgspec.Struct, frozen=True, kw_only=True):
    """The settings under which a class is graded.

    With ``suggestions`` each submission is profiled and fixes are tried; with ``class_figures``
    feedback says where a result stands in the class. ``workers`` is the number of submissions that
    run at once; ``None`` means as many as the machine can take.
    """

    plan: Plan
    folder: ResultsFolder
    sandbox: Sandbox
    gradebook: Gradebook = NoGradebook()
    observer: Observer = Observer()
    suggestions: bool = True
    class_figures: bool = False
    workers: int | None = None


def grade(
    session: ClassGrading,
    snapshots: Sequence[Snapshot],
    *,
    again: bool = False,
    only: Collection[str] | None = None,
) -> list[Result]:
    """Grade the submissions without a grade, publish the grades, and return this call's results.

    ``snapshots`` are all submissions of the class. With ``only``, just these students' submissions
    are graded, and feedback and points are brought up to date for them and their teams; then the
    ``snapshots`` may be covers, and those of the teams concerned are read here. With ``again``,
    submissions that have a grade are graded once more. Raises ``CompeteError``.
    """
    plan, folder = session.plan, session.folder
    check_nothing_staged(plan, folder)
    session.gradebook.check(plan)
    before = roster_file.read(folder, plan.challenge.slug)
    roster = roster_file.update(folder, plan.challenge, snapshots)
    students = None if only is None else _teams_of(only, before, roster)
    if students is not None:
        snapshots = [load(one.work) for one in snapshots if one.student in students]
    with contextlib.closing(folder.store()) as store:
        admitted = admit(session, snapshots, store, roster, only)
        results = run(session, admitted, store, again=again)
        publish(session, store, roster, students)
    return results


def _teams_of(students: Collection[str], *rosters: Roster) -> set[str]:
    """Return the students and all who are, by any of the rosters, their teammates."""
    return {name for roster in rosters for student in students for name in roster.side(student)}


def check_nothing_staged(plan: Plan, folder: ResultsFolder) -> None:
    """Raise ``CompeteError`` if grades under this very plan are staged.

    Grading would publish the same grades one by one, before anybody has reviewed them.
    """
    staged = folder.staged(plan.challenge.slug, plan.final)
    if not staged.is_graded:
        return
    with contextlib.closing(staged.store()) as store:
        staged_conditions = {conditions(identity) for identity in store.graded()}
    if plan.conditions in staged_conditions:
        raise CompeteError(
            f"{staged.root}: grades under this challenge and grader are staged there. Publish them "
            "with tito compete grade --promote, add to them with --shadow, or delete that folder "
            "to discard them."
        )


def admit(
    session: ClassGrading,
    snapshots: Sequence[Snapshot],
    store: Store,
    roster: Roster,
    only: Collection[str] | None = None,
) -> list[Snapshot]:
    """Return the submissions that the challenge's dates and quota admit; report the others.

    Teammates share a quota, so ``snapshots`` are all submissions of the teams concerned. With
    ``only``, just these students' submissions are reported and returned.
    """
    plan, observer = session.plan, session.observer
    slug = plan.challenge.slug
    requested = {one.student for one in snapshots if only is None or one.student in only}
    admission = eligibility.admit(plan.spec.dates, snapshots, store.history(slug), roster)
    for refused, reason in admission.refused:
        if refused.student in requested:
            observer.refused(refused.student, reason)
    if undated := [student for student in admission.undated if student in requested]:
        observer.undated(undated)
    admitted = [one for one in admission.admitted if one.student in requested]
    for snapshot in admitted:
        if sentence := submission.misnamed(snapshot.work, slug):
            observer.misnamed(snapshot.student, sentence)
    return admitted


def run(
    session: ClassGrading, snapshots: Sequence[Snapshot], store: Store, *, again: bool
) -> list[Result]:
    """Grade submissions into the results folder and the gradebook; return this call's results.

    An interruption ends the runs in progress, which leave no row; results stored by then stay.
    """
    plan, observer = session.plan, session.observer
    todo = snapshots if again else _waiting(session, snapshots, store)

    def record(graded: Graded) -> None:
        writer.write_feedback(plan, graded, session.folder)
        session.gradebook.record(plan, graded)

    task = suggest.grade if session.suggestions else pipeline.grade
    engine = LocalEngine(session.workers or workers_for(plan.limits))
    results: list[Result] = []
    observer.begin(len(todo), len(snapshots) - len(todo))
    try:
        for result in batch.grade_class(plan, todo, session.sandbox, engine, store, record, task):
            results.append(result)
            observer.graded(result)
    finally:
        observer.end()
    return results


def publish(
    session: ClassGrading, store: Store, roster: Roster, students: Collection[str] | None = None
) -> None:
    """Update whatever depends on others' results: the points of teams, and places in the class.

    Only the feedback of these ``students`` is updated; ``None`` means all.
    """
    plan, folder = session.plan, session.folder
    latest = store.latest(plan.challenge.slug, final=plan.final)
    session.gradebook.level(plan, latest, roster, students)
    others = sharing(roster, plan.challenge.slug, latest)
    for result in latest:
        if students is None or result.identity.student in students:
            _place_in_class(session, result, others)
    writer.write_team_feedback(plan, latest, roster, folder, students)


def class_section(
    session: ClassGrading, result: Result, latest: Sequence[Result], roster: Roster
) -> str:
    """Describe in Markdown where a result stands in the class; empty if feedback may not say it.

    ``latest`` has each student's newest result.
    """
    if not session.class_figures:
        return ""
    others = sharing(roster, session.plan.challenge.slug, latest)
    return class_position.section(session.plan.spec, result, others)


def _place_in_class(session: ClassGrading, result: Result, others: Sequence[Result]) -> None:
    """Write into a student's feedback where the result stands among the others' newest."""
    identity = result.identity
    copy = session.gradebook.graded_copy(identity.student, identity.challenge)
    for path in (session.folder.feedback(identity), *([copy] if copy else [])):
        writer.place_in_class(session.plan.spec, result, others, path, session.class_figures)


def _waiting(
    session: ClassGrading, snapshots: Sequence[Snapshot], store: Store
) -> Sequence[Snapshot]:
    """Return the submissions without a grade, or whose grade isn't in the gradebook yet."""
    slug = session.plan.challenge.slug
    ungraded = {one.student for one in batch.waiting(session.plan, snapshots, store)}
    return [
        snapshot
        for snapshot in snapshots
        if snapshot.student in ungraded or not session.gradebook.has(snapshot.student, slug)
    ]
