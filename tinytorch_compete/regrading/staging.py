"""A shadow: a second set of grades beside the published ones, until it takes their place.

It is a folder of results of its own, ``SHADOW/SLUG`` below the published one, and is graded under
the same secret. Nothing published changes before ``promote``.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.course.staged_copies import Copies
from tinytorch_compete.errors import CompeteError, StoreError
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import Identity, Result, Verdict
from tinytorch_compete.regrading import audit
from tinytorch_compete.results import conditions, store
from tinytorch_compete.results import folder as published
from tinytorch_compete.results.store import Store
from tinytorch_compete.submissions import submission
from tinytorch_compete.submissions.submission import Submission

if TYPE_CHECKING:
    from tinytorch_compete.course.gradebook import CourseGradebook

SHADOW = "shadow"
NAMED = 5


def folder(root: Path, slug: str, final: bool) -> Path:
    """Where the shadow of a challenge stands below a folder of published results."""
    return root / SHADOW / published.name(slug, final)


def begin(place: Path) -> Store:
    """The results in a shadow's folder, made if it isn't there; raises ``StoreError``."""
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{place}: can't be made ({error.strerror}).") from None
    return Store(place / published.DATABASE)


def stored(root: Path, slug: str, final: bool) -> Store:
    """The results in a shadow; raises ``StoreError`` if there is none."""
    place = folder(root, slug, final)
    if not (place / published.DATABASE).is_file():
        raise StoreError(
            f"{place}: no shadow there. Grade one beside what is published: "
            f"tito compete grade {slug} FOLDER --shadow"
        )
    return Store(place / published.DATABASE)


def check_absent(plan: Plan, root: Path) -> None:
    """Raise ``CompeteError`` if a shadow holds grades under this very plan.

    Grading in the open would publish them one by one, past whoever is to look at them first.
    """
    place = folder(root, plan.challenge.slug, plan.final)
    if not (place / published.DATABASE).is_file():
        return
    graded = Store(place / published.DATABASE).graded()
    if any(conditions.conditions(identity) == plan.conditions for identity in graded):
        raise CompeteError(
            f"{place}: a shadow under this challenge and grader waits there. To publish it say "
            "--promote, to go on with it --shadow; to drop it delete that folder."
        )


def check_whole(plan: Plan, found: Sequence[Submission], root: Path, kept: Store) -> None:
    """Raise ``CompeteError`` if a shadow has grades of students who have no submission here.

    Promoting would publish a part of the class and drop the rest. What was withdrawn is dropped.
    """
    slug, final = plan.challenge.slug, plan.final
    held = current(plan.challenge, stored(root, slug, final), final)
    here = {work.student for work in found}
    stay = {name for name, result in standing(kept, slug, final).items() if result.withdrawal}
    if gone := sorted(held.keys() - here - stay):
        raise CompeteError(
            f"graded in the shadow, and without a submission here: {named(gone)}. Nothing was "
            f"published. Name the folder that was graded, or delete {folder(root, slug, final)} "
            "and grade what is left anew with --shadow."
        )


def standing(kept: Store, slug: str, final: bool) -> dict[str, Result]:
    """Each student's published result, withdrawn ones included; faults are none."""
    return {
        result.identity.student: result
        for result in kept.latest(slug, final=final)
        if result.verdict != Verdict.FAULT
    }


def eligible(works: Sequence[Submission], before: Mapping[str, Result]) -> list[Submission]:
    """The submissions without those whose published result was withdrawn: that stays so.

    Another submission of the same student is eligible.
    """
    return [work for work in works if not _is_withdrawn(work, before)]


def current(challenge: Challenge, kept: Store, final: bool) -> dict[str, Result]:
    """Each student's newest grade in a shadow under a challenge and grader as they are now."""
    shas = challenge.challenge_sha(), challenge.grader_sha()
    return {
        result.identity.student: result
        for result in kept.latest(challenge.slug, final=final)
        if result.verdict != Verdict.FAULT
        and (result.identity.challenge_sha, result.identity.grader_sha) == shas
    }


def named(students: Sequence[str]) -> str:
    """The students' names, the first few of many."""
    more = f" and {len(students) - NAMED} more" if len(students) > NAMED else ""
    return ", ".join(students[:NAMED]) + more


def promote(
    plan: Plan,
    works: Sequence[Submission],
    root: Path,
    kept: Store,
    gradebook: CourseGradebook | None,
) -> int:
    """Publish a shadow's grades; returns how many students' these are.

    All rows are added to the published results in one transaction, and the old ones stay in their
    history. Feedback and gradebook follow, and the shadow goes. What was ended in between goes on
    when this is called again: after the transaction nothing but the new grades is ever written.
    Raises ``CompeteError``, with nothing changed, unless the shadow has a grade under this plan for
    each of these submissions.
    """
    slug, place = plan.challenge.slug, folder(root, plan.challenge.slug, plan.final)
    held = stored(root, slug, plan.final)
    copies = Copies(place)
    if copies.folder.exists() and gradebook is None:
        raise CompeteError(f"{place}: made for a course's gradebook; say --course here, too.")
    chosen = _chosen(plan, works, held)
    published_before = {store.key(result) for result in kept.history(slug)}
    new = {r.identity.student for r in chosen if store.key(r) not in published_before}
    if gradebook:
        made = copies.folder.exists()
        lost = [w for w in works if not copies.has(w, slug) and (w.student in new or not made)]
        _check_none(lost, "no graded copy for the gradebook", slug)
        gradebook.check(plan)
    kept.adopt(chosen)
    newest = standing(kept, slug, plan.final)
    for result in chosen:
        now = newest[result.identity.student]
        if store.key(now) == store.key(result) and now.withdrawal is None:
            _publish(plan, result.identity, root, place, gradebook)
    held.close()
    _remove(place)
    return len(chosen)


def _publish(
    plan: Plan, identity: Identity, root: Path, place: Path, gradebook: CourseGradebook | None
) -> None:
    """Move a student's grade and feedback out of the shadow, if they are there still."""
    copies, slug = Copies(place), identity.challenge
    if gradebook and copies.has(Submission(identity.student, Path()), slug):
        gradebook.take(plan, identity.student, copies.read(identity.student, slug))
        copies.drop(identity.student, slug)
    source = published.feedback_path(place, identity)
    target = published.feedback_path(root, identity)
    if source.exists():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
        except OSError as error:
            raise StoreError(
                f"{target}: can't be written ({error.strerror}). The grades are switched; mend "
                "this and run the same command again for the rest of the feedback."
            ) from None


def _chosen(plan: Plan, works: Sequence[Submission], held: Store) -> list[Result]:
    """The shadow's grade of each submission; raises ``CompeteError`` if one has none."""
    slug = plan.challenge.slug
    found = {r.identity: r for r in held.history(slug) if r.verdict != Verdict.FAULT}
    under = {conditions.conditions(identity) for identity in found}
    if under and plan.conditions not in under:
        different = ", ".join(audit.changed(under.pop(), plan.conditions))
        raise CompeteError(
            f"{held.place}: the shadow was graded under another {different}. Grade it under "
            f"today's: tito compete grade {slug} FOLDER --shadow"
        )
    wanted = {work.student: _identity(plan, work) for work in works}
    missing = [work for work in works if wanted[work.student] not in found]
    _check_none(missing, "no grade in the shadow yet", slug)
    return [found[identity] for identity in wanted.values()]


def _identity(plan: Plan, work: Submission) -> Identity:
    try:
        return plan.identity(work, work.files())
    except CompeteError:  # its files are what is wrong with it, and what its result says
        return plan.identity(work, {})


def _check_none(works: Sequence[Submission], what: str, slug: str) -> None:
    """Raise ``CompeteError`` that names the submissions, if there are any, and says what to do."""
    if works:
        names = named([work.student for work in works])
        raise CompeteError(
            f"{what}: {names}. Nothing was published. Go on with the shadow by the same command "
            f"with --shadow, and look at it by: tito compete diff {slug}"
        )


def _is_withdrawn(work: Submission, before: Mapping[str, Result]) -> bool:
    result = before.get(work.student)
    if result is None or result.withdrawal is None:
        return False
    with contextlib.suppress(CompeteError):  # broken work; its identity has no files
        return submission.digest(work.files()) == result.identity.submission_sha
    return result.identity.submission_sha == submission.digest({})


def _remove(place: Path) -> None:
    """Take a shadow away; one without its database is none, so that goes first."""
    try:
        (place / published.DATABASE).unlink()
        shutil.rmtree(place)
        if not any(place.parent.iterdir()):
            place.parent.rmdir()
    except OSError as error:
        raise StoreError(f"{place}: can't be removed ({error.strerror}); delete it.") from None
