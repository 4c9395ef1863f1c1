"""Commands of ``grade`` for a staged regrade: ``--shadow`` fills it, ``--promote`` publishes it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from tinytorch_compete.cli.console import print_results, say
from tinytorch_compete.cli.options import options, stored
from tinytorch_compete.course import class_grading
from tinytorch_compete.course.class_grading import ClassGrading
from tinytorch_compete.course.gradebook_contract import NoGradebook
from tinytorch_compete.course.staged_copies import StagedCopies
from tinytorch_compete.errors import StoreError
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import Result, Verdict
from tinytorch_compete.participants import roster_file
from tinytorch_compete.regrading import staging
from tinytorch_compete.results.conditions import conditions
from tinytorch_compete.results.folder import ResultsFolder
from tinytorch_compete.results.store import Store
from tinytorch_compete.submissions.snapshot import Snapshot

if TYPE_CHECKING:
    from tinytorch_compete.course.gradebook import CourseGradebook


def grade(
    session: ClassGrading,
    snapshots: Sequence[Snapshot],
    gradebook: CourseGradebook | None,
    *,
    again: bool,
) -> list[Result]:
    """Grade a class beside its published grades, and say how to compare them."""
    plan, folder = session.plan, session.folder
    slug, final = plan.challenge.slug, plan.final
    # Registrations sent since the published grading don't affect staged grades.
    roster = roster_file.read(folder, slug)
    staged = folder.staged(slug, final)
    staged_session = msgspec.structs.replace(
        session, folder=staged, gradebook=StagedCopies(staged) if gradebook else NoGradebook()
    )
    with contextlib.closing(folder.store()) as published:
        admitted = class_grading.admit(session, snapshots, published, roster)
        eligible = staging.eligible(admitted, staging.standing(published, slug, final))
    with contextlib.closing(staging.begin(staged)) as store:
        roster_file.write(staged, slug, roster)
        results = class_grading.run(staged_session, eligible, store, again=again)
    if faults := [result for result in results if result.verdict == Verdict.FAULT]:
        print_results(plan.spec, faults)
    say(f"Nothing was published; the staged grades are in {staged}")
    say(f"Compare them with the published ones: tito compete diff {options(slug, folder, final)}")
    return results


def promote(
    session: ClassGrading, snapshots: Sequence[Snapshot], gradebook: CourseGradebook | None
) -> None:
    """Publish staged grades, and say what is left to do."""
    plan, folder = session.plan, session.folder
    slug, final = plan.challenge.slug, plan.final
    roster = roster_file.read(folder, slug)
    with contextlib.closing(folder.store()) as store:
        admitted = class_grading.admit(session, snapshots, store, roster)
        staging.check_whole(plan, snapshots, folder, store)
        eligible = staging.eligible(admitted, staging.standing(store, slug, final))
        count = staging.promote(plan, eligible, folder, store, gradebook)
        say(f"{count} grades are published; the old ones stay in the history.")
        _say_others(plan, store)
        say(f"The table: tito compete results {options(slug, folder, final)}")
        say(f"Update the leaderboard: tito compete leaderboard {options(slug, folder, final)}")
        class_grading.publish(session, store, roster)


def _say_others(plan: Plan, store: Store) -> None:
    """Name the students whose published result is still from before the promotion."""
    published = staging.standing(store, plan.challenge.slug, plan.final).values()
    others = [r for r in published if conditions(r.identity) != plan.conditions]
    if others:
        names = staging.named([result.identity.student for result in others])
        say(f"{len(others)} not among them, unchanged and off the leaderboard: {names}")


def check_published(folder: ResultsFolder) -> None:
    """Raise ``StoreError`` if there are no published grades to compare staged ones with."""
    stored(folder).close()
    if not folder.secret_path.is_file():
        raise StoreError(
            f"{folder.secret_path}: not found; only grades under the same secret can be compared."
        )
