"""Grade a class: what waits, each submission once, rows and feedback as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tinytorch_compete.grading.engine import Engine
from tinytorch_compete.grading.pipeline import Graded, grade
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import (
    Result,
)
from tinytorch_compete.results.store import Store
from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.submissions.snapshot import Snapshot

Task = Callable[[Plan, Snapshot, Sandbox], Graded]


def waiting(plan: Plan, snapshots: Sequence[Snapshot], store: Store) -> list[Snapshot]:
    """The submissions that have no grade under this plan yet.

    One that couldn't be read is among them: grading it will say why.
    """
    graded = store.graded()
    return [
        one for one in snapshots if one.problem or plan.identity(one.student, one.sha) not in graded
    ]


def grade_class(
    plan: Plan,
    snapshots: Sequence[Snapshot],
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
        for graded in engine.map(lambda one: task(plan, one, sandbox), snapshots):
            publish(graded)
            store.append(graded.result)
            yield graded.result
    except BaseException:
        sandbox.stop()
        raise
