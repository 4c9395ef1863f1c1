"""A shadow: a second set of grades beside the published ones, until it takes their place.

It is a folder of results of its own, ``SHADOW/SLUG`` below the published one, and is graded under
the same secret. Nothing published changes before ``promote``.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.course.staged_copies import StagedCopies
from tinytorch_compete.errors import CompeteError, StoreError
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import Identity, Result, Verdict
from tinytorch_compete.regrading import audit
from tinytorch_compete.results import conditions, store
from tinytorch_compete.results.folder import ResultsFolder
from tinytorch_compete.results.store import Store
from tinytorch_compete.submissions.snapshot import Snapshot

if TYPE_CHECKING:
    from tinytorch_compete.course.gradebook import CourseGradebook

NAMED = 5


def begin(staged: ResultsFolder) -> Store:
    """The staged results, in a folder that is made if it isn't there; raises ``StoreError``."""
    try:
        staged.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{staged.root}: can't be made ({error.strerror}).") from None
    return staged.store()


def stored(folder: ResultsFolder, slug: str, final: bool) -> Store:
    """The results that are staged; raises ``StoreError`` if there are none."""
    staged = folder.staged(slug, final)
    if not staged.is_graded:
        raise StoreError(
            f"{staged.root}: no shadow there. Grade one beside what is published: "
            f"tito compete grade {slug} FOLDER --shadow"
        )
    return staged.store()


def check_whole(
    plan: Plan, snapshots: Sequence[Snapshot], folder: ResultsFolder, kept: Store
) -> None:
    """Raise ``CompeteError`` if a shadow has grades of students who have no submission here.

    Promoting would publish a part of the class and drop the rest. What was withdrawn is dropped.
    """
    slug, final = plan.challenge.slug, plan.final
    held = current(plan.challenge, stored(folder, slug, final), final)
    here = {one.student for one in snapshots}
    stay = {name for name, result in standing(kept, slug, final).items() if result.withdrawal}
    if gone := sorted(held.keys() - here - stay):
        raise CompeteError(
            f"graded in the shadow, and without a submission here: {named(gone)}. Nothing was "
            f"published. Name the folder that was graded, or delete {folder.staged(slug, final)} "
            "and grade what is left anew with --shadow."
        )


def standing(kept: Store, slug: str, final: bool) -> dict[str, Result]:
    """Each student's published result, withdrawn ones included; faults are none."""
    return {
        result.identity.student: result
        for result in kept.latest(slug, final=final)
        if result.verdict != Verdict.FAULT
    }


def eligible(snapshots: Sequence[Snapshot], before: Mapping[str, Result]) -> list[Snapshot]:
    """The submissions without those whose published result was withdrawn: that stays so.

    Another submission of the same student is eligible.
    """
    return [one for one in snapshots if not _is_withdrawn(one, before)]


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
    snapshots: Sequence[Snapshot],
    folder: ResultsFolder,
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
    slug, staged = plan.challenge.slug, folder.staged(plan.challenge.slug, plan.final)
    held = stored(folder, slug, plan.final)
    copies = StagedCopies(staged)
    if copies.folder.exists() and gradebook is None:
        raise CompeteError(f"{staged.root}: made for a course's gradebook; say --course here, too.")
    chosen = _chosen(plan, snapshots, held)
    published_before = {store.key(result) for result in kept.history(slug)}
    new = {r.identity.student for r in chosen if store.key(r) not in published_before}
    if gradebook:
        made = copies.folder.exists()
        lost = [
            one
            for one in snapshots
            if not copies.has(one.student, slug) and (one.student in new or not made)
        ]
        _check_none(lost, "no graded copy for the gradebook", slug)
        gradebook.check(plan)
    kept.adopt(chosen)
    newest = standing(kept, slug, plan.final)
    for result in chosen:
        now = newest[result.identity.student]
        if store.key(now) == store.key(result) and now.withdrawal is None:
            _publish(plan, result.identity, folder, gradebook)
    held.close()
    _remove(staged)
    return len(chosen)


def _publish(
    plan: Plan, identity: Identity, folder: ResultsFolder, gradebook: CourseGradebook | None
) -> None:
    """Move a student's grade and feedback out of the shadow, if they are there still."""
    slug, staged = identity.challenge, folder.staged(identity.challenge, plan.final)
    copies = StagedCopies(staged)
    if gradebook and copies.has(identity.student, slug):
        gradebook.take(plan, identity.student, copies.read(identity.student, slug))
        copies.drop(identity.student, slug)
    source, target = staged.feedback(identity), folder.feedback(identity)
    if source.exists():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
        except OSError as error:
            raise StoreError(
                f"{target}: can't be written ({error.strerror}). The grades are switched; mend "
                "this and run the same command again for the rest of the feedback."
            ) from None


def _chosen(plan: Plan, snapshots: Sequence[Snapshot], held: Store) -> list[Result]:
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
    wanted = {one.student: plan.identity(one.student, one.sha) for one in snapshots}
    missing = [one for one in snapshots if wanted[one.student] not in found]
    _check_none(missing, "no grade in the shadow yet", slug)
    return [found[identity] for identity in wanted.values()]


def _check_none(snapshots: Sequence[Snapshot], what: str, slug: str) -> None:
    """Raise ``CompeteError`` that names the submissions, if there are any, and says what to do."""
    if snapshots:
        names = named([one.student for one in snapshots])
        raise CompeteError(
            f"{what}: {names}. Nothing was published. Go on with the shadow by the same command "
            f"with --shadow, and look at it by: tito compete diff {slug}"
        )


def _is_withdrawn(snapshot: Snapshot, before: Mapping[str, Result]) -> bool:
    result = before.get(snapshot.student)
    if result is None or result.withdrawal is None:
        return False
    return snapshot.sha == result.identity.submission_sha


def _remove(staged: ResultsFolder) -> None:
    """Take a shadow away; one without its database is none, so that goes first."""
    place = staged.root
    try:
        staged.database.unlink()
        shutil.rmtree(place)
        if not any(place.parent.iterdir()):
            place.parent.rmdir()
    except OSError as error:
        raise StoreError(f"{place}: can't be removed ({error.strerror}); delete it.") from None
