"""What ``grade`` does with a shadow: fill it, or publish it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tinytorch_compete.cli.console import print_results, say
from tinytorch_compete.cli.options import options, stored
from tinytorch_compete.course import staged_copies
from tinytorch_compete.errors import StoreError
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import Result, Verdict
from tinytorch_compete.participants import roster_file
from tinytorch_compete.participants.roster import Roster
from tinytorch_compete.regrading import staging
from tinytorch_compete.results import conditions
from tinytorch_compete.results.folder import SECRET
from tinytorch_compete.results.store import Store
from tinytorch_compete.submissions.submission import Submission

if TYPE_CHECKING:
    from tinytorch_compete.course.gradebook import CourseGradebook


def grade(
    plan: Plan,
    works: Sequence[Submission],
    published: Store,
    root: Path,
    gradebook: CourseGradebook | None,
    batch: Callable[..., list[Result]],
    roster: Roster,
) -> list[Result]:
    """Grade a class beside what is published, and say where to look at it."""
    slug, final = plan.challenge.slug, plan.final
    place = staging.folder(root, slug, final)
    kept, copies = staging.begin(place), staged_copies.Copies(place) if gradebook else None
    roster_file.write(place, slug, roster)
    wanted = staging.eligible(works, staging.standing(published, slug, final))
    new = batch(wanted, kept, place, copies)
    if faults := [result for result in new if result.verdict == Verdict.FAULT]:
        print_results(plan.spec, faults)
    say(f"Nothing was published; the shadow is in {place}")
    say(f"Who moves, and why: tito compete diff {options(slug, root, final)}")
    return new


def promote(
    plan: Plan,
    works: Sequence[Submission],
    kept: Store,
    root: Path,
    gradebook: CourseGradebook | None,
) -> None:
    """Publish a shadow's grades, and say what is left to do."""
    slug, final = plan.challenge.slug, plan.final
    wanted = staging.eligible(works, staging.standing(kept, slug, final))
    count = staging.promote(plan, wanted, root, kept, gradebook)
    stay = staging.standing(kept, slug, final).values()
    others = [r for r in stay if conditions.conditions(r.identity) != plan.conditions]
    say(f"{count} grades are published; the old ones stay in the history.")
    if others:
        names = staging.named([result.identity.student for result in others])
        say(f"{len(others)} not among them, left as it was and off the board: {names}")
    say(f"The table: tito compete results {options(slug, root, final)}")
    say(f"Write the leaderboard again: tito compete leaderboard {options(slug, root, final)}")


def check_published(root: Path) -> None:
    """Raise ``StoreError`` if there is nothing published that a shadow could stand beside."""
    stored(root).close()
    if not (root / SECRET).is_file():
        raise StoreError(
            f"{root / SECRET}: not there; grades can be compared under the same secret alone."
        )
