"""Grade one submission: run it with each secret seed, judge each run, and score it."""

from __future__ import annotations

import functools
import math
import mmap
import os
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from nbformat import NotebookNode

from tinytorch_compete.errors import Fault, NotebookError
from tinytorch_compete.grading import scoring
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.grading.scoring import ScoredRun
from tinytorch_compete.model import MIB, Advice, Evidence, Result, Run, Verdict
from tinytorch_compete.participants import registration, roster_file
from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.submissions import flags, notebook, submission
from tinytorch_compete.submissions import snapshot as snapshots
from tinytorch_compete.submissions.snapshot import Snapshot
from tinytorch_compete.submissions.submission import Submission

Outcome = TypeVar("Outcome")
ATTEMPTS = 3
BACK_OFF_S = 0.5
MAX_PLAIN_REGISTRATION = 700  # bytes of a registration that says only what it must
KERNELS_MIB = 1  # the part of a run's disk that is left to what the kernel itself writes


class Graded(msgspec.Struct, frozen=True):
    """A result, and what feedback is made from.

    ``run`` is the first run, ``None`` if nothing could be run; ``snapshot`` is the reading of the
    submission that was graded.
    """

    result: Result
    run: Run | None = None
    assembly: notebook.Assembly | None = None
    advice: Advice | None = None
    snapshot: Snapshot | None = None


def grade(plan: Plan, snapshot: Snapshot, sandbox: Sandbox) -> Graded:
    """Run and judge one submission with each secret seed; every failure becomes a verdict.

    A broken submission gets its verdict at once. If the first run reaches no tier, the other seeds
    are skipped. A failure on our side is retried, with ``ATTEMPTS`` attempts in all and a growing
    pause between them, and is then a ``FAULT`` without points.
    """
    snapshot = _readable(snapshot)
    graded = _grade(plan, snapshot, sandbox)
    entry = roster_file.who(snapshot)
    result = msgspec.structs.replace(
        graded.result, submitted_at=snapshot.sent_at, handle=entry.handle if entry else ""
    )
    return msgspec.structs.replace(graded, result=result, snapshot=snapshot)


def _sizes(snapshot: Snapshot) -> dict[str, int]:
    """The sizes of the student's own files: without the registration, if we wrote it."""
    sizes = dict(snapshot.sizes)
    entry = roster_file.who(snapshot)
    size = sizes.get(registration.FILE, 0)
    if entry and entry == entry.shown() and size <= MAX_PLAIN_REGISTRATION:
        sizes.pop(registration.FILE, None)
    return sizes


def _grade(plan: Plan, snapshot: Snapshot, sandbox: Sandbox) -> Graded:
    try:
        if snapshot.problem:
            raise snapshot.problem
        _check_size(plan, snapshot)
        assembly = retried(lambda: notebook.assemble(plan.master, snapshot.notebook()))
        scored_runs = _scored_runs(plan, snapshot, assembly.notebook, sandbox)
        retried(functools.partial(snapshots.check_unchanged, snapshot))
        score = functools.partial(_result, plan, snapshot, assembly, scored_runs)
        return Graded(retried(score, attempts=1), scored_runs[0].run, assembly)
    except NotebookError as error:
        work, slug = snapshot.work, plan.challenge.slug
        misnamed = "" if os.path.exists(work.notebook) else submission.misnamed(work, slug)
        return Graded(_unrun(plan, snapshot, Verdict.ERROR, misnamed or _private(work, str(error))))
    except Fault as error:
        return Graded(_unrun(plan, snapshot, Verdict.FAULT, f"not graded, our fault: {error}"))


def _scored_runs(
    plan: Plan, snapshot: Snapshot, assembled: NotebookNode, sandbox: Sandbox
) -> list[ScoredRun]:
    """One run for each secret seed, or the first alone if it reaches no tier."""
    scored_runs: list[ScoredRun] = []
    for number in range(len(plan.exams)):
        attempt = functools.partial(_scored_run, plan, number, snapshot, assembled, sandbox)
        scored_runs.append(retried(attempt))
        if not scored_runs[0].tier:
            break
    return scored_runs


def _result(
    plan: Plan, snapshot: Snapshot, assembly: notebook.Assembly, scored_runs: Sequence[ScoredRun]
) -> Result:
    source_flags = flags.read(_sources(assembly, snapshot), _sizes(snapshot))
    identity = plan.identity(snapshot.student, snapshot.sha)
    return scoring.result(plan.spec, identity, snapshot.files, scored_runs, source_flags)


def _readable(snapshot: Snapshot) -> Snapshot:
    """The snapshot, or a new one if this machine failed to read the submission and now can."""
    if not isinstance(snapshot.problem, Fault):
        return snapshot

    def attempt() -> Snapshot:
        current = snapshots.load(snapshot.work)
        if isinstance(current.problem, Fault):
            raise current.problem
        return current

    try:
        return retried(attempt)
    except Fault:
        return snapshot


def _check_size(plan: Plan, snapshot: Snapshot) -> None:
    """Raise ``NotebookError`` for files that, in whole pages, don't fit into a kernel's folder."""
    room_mib = plan.limits.disk_mib - KERNELS_MIB
    pages = sum(-(-size // mmap.PAGESIZE) for size in snapshot.sizes.values())
    if pages * mmap.PAGESIZE > room_mib * MIB:
        raise NotebookError(
            f"the files don't fit in {room_mib} MiB, a run's disk limit; send the notebook and the "
            "code that it needs, and nothing else."
        )


def retried(attempt: Callable[[], Outcome], attempts: int = ATTEMPTS) -> Outcome:
    """Return what the attempt returns, retrying all failures except a ``NotebookError``.

    Raises a ``NotebookError`` at once, and ``Fault`` after ``attempts`` other failures.
    """
    for number in range(1, attempts + 1):
        try:
            return attempt()
        except NotebookError:
            raise
        except Exception as error:  # the one place where our own faults are caught and recorded
            is_fault = isinstance(error, Fault)
            message = str(error) if is_fault else f"{type(error).__name__}: {error}"
            if number < attempts:
                time.sleep(BACK_OFF_S * 2 ** (number - 1))
    raise Fault(message)


def _scored_run(
    plan: Plan, number: int, snapshot: Snapshot, assembled: NotebookNode, sandbox: Sandbox
) -> ScoredRun:
    exam = plan.exams[number]
    run = sandbox.run(plan.request(number, assembled, snapshot.work.folder))
    judgement = plan.grader.judge(Evidence(run.answers, run.peak_mib), exam)
    return scoring.scored(plan.spec, plan.points, run, judgement)


def _sources(assembly: notebook.Assembly, snapshot: Snapshot) -> dict[str, str]:
    """All of the student's code, by the name of its cell or file."""
    cells = [cell for cell in assembly.notebook.cells if notebook.is_solution(cell)]
    answers = {f"cell {notebook.grade_id(cell)}": cell.source for cell in cells}
    return {**answers, **snapshot.code()}


def _private(work: Submission, message: str) -> str:
    """A message for the student, without the path of the grader's folder."""
    folder = work.notebook.parent
    return message.replace(f"{folder}/", "").replace(f"{folder}: ", "")


def _unrun(plan: Plan, snapshot: Snapshot, verdict: Verdict, message: str) -> Result:
    worth = math.fsum(plan.points.values())
    identity = plan.identity(snapshot.student, snapshot.sha)
    return scoring.unrun(identity, snapshot.files, verdict, message, worth)
