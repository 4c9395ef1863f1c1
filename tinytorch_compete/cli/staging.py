"""What ``grade`` does with a shadow: fill it, or publish it."""

from __future__ import annotations

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
from tinytorch_compete.model import Result, Verdict
from tinytorch_compete.participants import roster_file
from tinytorch_compete.regrading import staging
from tinytorch_compete.results import conditions
from tinytorch_compete.results.folder import ResultsFolder
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
    """Grade a class beside what is published, and say where to look at it."""
    plan, folder = session.plan, session.folder
    slug, final = plan.challenge.slug, plan.final
    # What students registered since is of no grade that is published here.
    roster = roster_file.read(folder, slug)
    published, staged = folder.store(), folder.staged(slug, final)
    admitted = class_grading.admit(session, snapshots, published, roster)
    wanted = staging.eligible(admitted, staging.standing(published, slug, final))
    beside = msgspec.structs.replace(
        session, folder=staged, gradebook=StagedCopies(staged) if gradebook else NoGradebook()
    )
    store = staging.begin(staged)
    roster_file.write(staged, slug, roster)
    new = class_grading.run(beside, wanted, store, again=again)
    if faults := [result for result in new if result.verdict == Verdict.FAULT]:
        print_results(plan.spec, faults)
    say(f"Nothing was published; the shadow is in {staged}")
    say(f"Who moves, and why: tito compete diff {options(slug, folder, final)}")
    return new


def promote(
    session: ClassGrading, snapshots: Sequence[Snapshot], gradebook: CourseGradebook | None
) -> None:
    """Publish a shadow's grades, and say what is left to do."""
    plan, folder = session.plan, session.folder
    slug, final = plan.challenge.slug, plan.final
    roster, store = roster_file.read(folder, slug), folder.store()
    admitted = class_grading.admit(session, snapshots, store, roster)
    staging.check_whole(plan, snapshots, folder, store)
    wanted = staging.eligible(admitted, staging.standing(store, slug, final))
    count = staging.promote(plan, wanted, folder, store, gradebook)
    stay = staging.standing(store, slug, final).values()
    others = [r for r in stay if conditions.conditions(r.identity) != plan.conditions]
    say(f"{count} grades are published; the old ones stay in the history.")
    if others:
        names = staging.named([result.identity.student for result in others])
        say(f"{len(others)} not among them, left as it was and off the board: {names}")
    say(f"The table: tito compete results {options(slug, folder, final)}")
    say(f"Write the leaderboard again: tito compete leaderboard {options(slug, folder, final)}")
    class_grading.publish(session, store, roster)


def check_published(folder: ResultsFolder) -> None:
    """Raise ``StoreError`` if there is nothing published that a shadow could stand beside."""
    stored(folder).close()
    if not folder.secret_path.is_file():
        raise StoreError(
            f"{folder.secret_path}: not there; grades can be compared under the same secret alone."
        )
