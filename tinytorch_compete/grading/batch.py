"""Grade a class: what waits, each submission once, rows and feedback as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tinytorch_compete.errors import CompeteError
from tinytorch_compete.grading.engine import Engine
from tinytorch_compete.grading.pipeline import Graded, grade
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import (
    Identity,
    Result,
)
from tinytorch_compete.results.store import Store
from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.submissions.submission import Submission

Task = Callable[[Plan, Submission, Sandbox], Graded]


def waiting(plan: Plan, works: Sequence[Submission], store: Store) -> list[Submission]:
    """The submissions that have no grade under this plan yet."""
    graded = store.graded()
    return [work for work in works if not _is_graded(plan, work, graded)]


def _is_graded(plan: Plan, work: Submission, graded: set[Identity]) -> bool:
    try:
        return plan.identity(work, work.files()) in graded
    except CompeteError:  # it can't be told yet; grading it will say why
        return False


def grade_class(
    plan: Plan,
    works: Sequence[Submission],
    sandbox: Sandbox,
    engine: Engine,
    store: Store,
    publish: Callable[[Graded], None],
    task: Task = grade,
) -> Iterator[Result]:
    """Grade submissions and yield each result when its feedback and its row are on the disk.

    ``task`` grades one: ``grade`` alone, or with advice on top (``advising.grade``).

    ``publish`` writes the feedback, which comes first: a batch that dies in between grades that
    submission again and loses nothing. When the iteration is abandoned, runs in progress are ended
    and leave no row.
    """
    _ = plan.inputs  # made here, once, and not by several workers at the same time
    try:
        for graded in engine.map(lambda work: task(plan, work, sandbox), works):
            publish(graded)
            store.append(graded.result)
            yield graded.result
    except BaseException:
        sandbox.stop()
        raise
