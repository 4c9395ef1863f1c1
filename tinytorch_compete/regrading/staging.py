"""A staged regrade: a second set of grades beside the published ones, until it replaces them.

It has a results folder of its own, ``shadow/SLUG`` below the published one, and is graded under the
same secret. Nothing published changes before ``promote``.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping, Sequence, Set
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
    """Open the store of staged results, creating its folder if needed; raises ``StoreError``."""
    try:
        staged.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{staged.root}: can't be created ({error.strerror}).") from None
    return staged.store()


def stored(folder: ResultsFolder, slug: str, final: bool) -> Store:
    """Open the store of staged results; raises ``StoreError`` if there is none."""
    staged = folder.staged(slug, final)
    if not staged.is_graded:
        raise StoreError(
            f"{staged.root}: no staged grades. Grade beside the published ones: "
            f"tito compete grade {slug} FOLDER --shadow"
        )
    return staged.store()


def check_whole(
    plan: Plan, snapshots: Sequence[Snapshot], folder: ResultsFolder, published: Store
) -> None:
    """Raise ``CompeteError`` if students with a staged grade have no submission here.

    Promoting would publish a part of the class and discard the rest. A withdrawn result is
    discarded anyway.
    """
    slug, final = plan.challenge.slug, plan.final
    with contextlib.closing(stored(folder, slug, final)) as staged:
        graded = current(plan.challenge, staged, final).keys()
    present = {snapshot.student for snapshot in snapshots}
    withdrawn = {
        name for name, result in standing(published, slug, final).items() if result.withdrawal
    }
    if missing := sorted(graded - present - withdrawn):
        raise CompeteError(
            f"staged grades without a submission here: {named(missing)}. Nothing was published. "
            f"Name the folder that was graded, or delete {folder.staged(slug, final)} and regrade "
            "the submissions that are left with --shadow."
        )


def standing(published: Store, slug: str, final: bool) -> dict[str, Result]:
    """Return each student's published result, withdrawn ones included, without faults."""
    return {
        result.identity.student: result
        for result in published.latest(slug, final=final)
        if result.verdict != Verdict.FAULT
    }


def eligible(snapshots: Sequence[Snapshot], before: Mapping[str, Result]) -> list[Snapshot]:
    """Return the submissions except those whose published result was withdrawn.

    Another submission of the same student is eligible.
    """
    return [snapshot for snapshot in snapshots if not _is_withdrawn(snapshot, before)]


def current(challenge: Challenge, staged: Store, final: bool) -> dict[str, Result]:
    """Return each student's newest staged grade under the current challenge and grader."""
    shas = challenge.challenge_sha(), challenge.grader_sha()
    return {
        result.identity.student: result
        for result in staged.latest(challenge.slug, final=final)
        if result.verdict != Verdict.FAULT
        and (result.identity.challenge_sha, result.identity.grader_sha) == shas
    }


def named(students: Sequence[str]) -> str:
    """List the students' names, or the first few and the number of the others."""
    more = f" and {len(students) - NAMED} more" if len(students) > NAMED else ""
    return ", ".join(students[:NAMED]) + more


def promote(
    plan: Plan,
    snapshots: Sequence[Snapshot],
    folder: ResultsFolder,
    published: Store,
    gradebook: CourseGradebook | None,
) -> int:
    """Publish the staged grades of these submissions, and return their number.

    All rows are added to the published results in one transaction, and the old ones stay in the
    history. Then feedback and gradebook follow, and the staged folder is removed. A call that was
    interrupted in between can be repeated: after the transaction only new grades are ever written.
    Raises ``CompeteError``, with nothing changed, unless there is a staged grade under this plan
    for each of these submissions.
    """
    slug, staged = plan.challenge.slug, folder.staged(plan.challenge.slug, plan.final)
    copies = StagedCopies(staged)
    with contextlib.closing(stored(folder, slug, plan.final)) as staged_store:
        if copies.folder.exists() and gradebook is None:
            raise CompeteError(
                f"{staged.root}: staged for a course's gradebook; give --course here, too."
            )
        results = _staged_results(plan, snapshots, staged_store)
    if gradebook:
        stored_before = {store.key(result) for result in published.history(slug)}
        new = {r.identity.student for r in results if store.key(r) not in stored_before}
        _check_copies(snapshots, copies, new, slug)
        gradebook.check(plan)
    published.adopt(results)
    newest = standing(published, slug, plan.final)
    for result in results:
        current_result = newest[result.identity.student]
        if store.key(current_result) == store.key(result) and current_result.withdrawal is None:
            _publish(plan, result.identity, folder, gradebook)
    _remove(staged)
    return len(results)


def _check_copies(
    snapshots: Sequence[Snapshot], copies: StagedCopies, new: Set[str], slug: str
) -> None:
    """Raise ``CompeteError`` if a graded copy for the gradebook is missing.

    An interrupted call leaves no copy of a grade that it published, which isn't ``new`` then.
    """
    staged_for_course = copies.folder.exists()
    missing = [
        snapshot
        for snapshot in snapshots
        if not copies.has(snapshot.student, slug)
        and (snapshot.student in new or not staged_for_course)
    ]
    _check_none(missing, "no graded copy for the gradebook", slug)


def _publish(
    plan: Plan, identity: Identity, folder: ResultsFolder, gradebook: CourseGradebook | None
) -> None:
    """Publish a student's staged graded copy and feedback, as far as they are still there."""
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
                f"{target}: can't be written ({error.strerror}). The new grades are published; fix "
                "this and rerun the command for the rest of the feedback."
            ) from None


def _staged_results(plan: Plan, snapshots: Sequence[Snapshot], staged: Store) -> list[Result]:
    """Return the staged grade of each submission; raises ``CompeteError`` if one has none."""
    slug = plan.challenge.slug
    results = {r.identity: r for r in staged.history(slug) if r.verdict != Verdict.FAULT}
    staged_conditions = {conditions.conditions(identity) for identity in results}
    if staged_conditions and plan.conditions not in staged_conditions:
        different = ", ".join(audit.changed(staged_conditions.pop(), plan.conditions))
        raise CompeteError(
            f"{staged.place}: the staged grades are under another {different}. Regrade under the "
            f"current: tito compete grade {slug} FOLDER --shadow"
        )
    identities = {one.student: plan.identity(one.student, one.sha) for one in snapshots}
    missing = [one for one in snapshots if identities[one.student] not in results]
    _check_none(missing, "no staged grade yet", slug)
    return [results[identity] for identity in identities.values()]


def _check_none(snapshots: Sequence[Snapshot], problem: str, slug: str) -> None:
    """Raise ``CompeteError`` with the names of the students, if there are any, and a next step."""
    if snapshots:
        names = named([snapshot.student for snapshot in snapshots])
        raise CompeteError(
            f"{problem}: {names}. Nothing was published. Continue with the same command and "
            f"--shadow, then compare with: tito compete diff {slug}"
        )


def _is_withdrawn(snapshot: Snapshot, before: Mapping[str, Result]) -> bool:
    result = before.get(snapshot.student)
    if result is None or result.withdrawal is None:
        return False
    return snapshot.sha == result.identity.submission_sha


def _remove(staged: ResultsFolder) -> None:
    """Remove a staged regrade; its database goes first, since without that it doesn't count."""
    place = staged.root
    try:
        staged.database.unlink()
        shutil.rmtree(place)
        if not any(place.parent.iterdir()):
            place.parent.rmdir()
    except OSError as error:
        raise StoreError(f"{place}: can't be removed ({error.strerror}); delete it.") from None
