"""Grade a class: each waiting submission once, with its feedback and its row as it finishes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tinytorch_compete.grading.engine import Engine
from tinytorch_compete.grading.pipeline import Graded, grade
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import Result
from tinytorch_compete.results.store import Store
from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.submissions.snapshot import Snapshot

Task = Callable[[Plan, Snapshot, Sandbox], Graded]


def waiting(plan: Plan, snapshots: Sequence[Snapshot], store: Store) -> list[Snapshot]:
    """Return the submissions that have no grade under this plan yet.

    Those that couldn't be read are among them: grading them says why.
    """
    graded = store.graded()
    return [
        snapshot
        for snapshot in snapshots
        if snapshot.problem or plan.identity(snapshot.student, snapshot.sha) not in graded
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
    """Grade submissions and yield each result once its feedback and its row are on disk.

    ``task`` grades one submission: ``pipeline.grade``, or ``suggest.grade``, which adds advice.
    ``publish`` writes the feedback. It is called before the row is stored, so that a batch that
    dies in between grades that submission again and loses nothing. When the iteration is abandoned,
    runs in progress are ended and leave no row. Raises whatever the grader's ``inputs`` raises.
    """
    _ = plan.inputs  # a broken grader ends the batch here, instead of failing each submission
    try:
        for graded in engine.map(lambda snapshot: task(plan, snapshot, sandbox), snapshots):
            publish(graded)
            store.append(graded.result)
            yield graded.result
    except BaseException:
        sandbox.stop()
        raise
