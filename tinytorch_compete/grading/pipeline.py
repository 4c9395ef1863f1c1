"""The main job: plan a challenge's grading, run one submission, judge it, then a whole class."""

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
from tinytorch_compete.model import (
    MIB,
    Advice,
    Evidence,
    Result,
    Run,
    Verdict,
)
from tinytorch_compete.participants import registration, roster_file
from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.submissions import flags, notebook, submission
from tinytorch_compete.submissions import snapshot as snapshots
from tinytorch_compete.submissions.snapshot import Snapshot
from tinytorch_compete.submissions.submission import Submission

Done = TypeVar("Done")
ATTEMPTS = 3
BACK_OFF_S = 0.5
ENTRY_BYTES = 700
KERNELS_MIB = 1  # of a run's disk, for what the kernel itself writes


class Graded(msgspec.Struct, frozen=True):
    """A result, and what feedback is made from: the first run, ``None`` if nothing could be run.

    ``snapshot`` is the reading of the submission that was graded.
    """

    result: Result
    run: Run | None = None
    assembly: notebook.Assembly | None = None
    advice: Advice | None = None
    snapshot: Snapshot | None = None


def grade(plan: Plan, snapshot: Snapshot, sandbox: Sandbox) -> Graded:
    """Run and judge one submission with each secret seed; whatever goes wrong becomes a verdict.

    What is wrong with the submission is its own verdict and ends here. A first run that reaches no
    tier isn't repeated with other seeds. What fails on our side is tried again, ``ATTEMPTS`` times
    in all with a growing pause, and then is a ``FAULT`` without points.
    """
    snapshot = _readable(snapshot)
    graded = _grade(plan, snapshot, sandbox)
    who = roster_file.who(snapshot)
    result = msgspec.structs.replace(
        graded.result, submitted_at=snapshot.sent_at, handle=who.handle if who else ""
    )
    return msgspec.structs.replace(graded, result=result, snapshot=snapshot)


def _sizes(snapshot: Snapshot) -> dict[str, int]:
    """The sizes of what a student sent; an entry that says only what one must is ours."""
    sizes = dict(snapshot.sizes)
    who = roster_file.who(snapshot)
    if who and who == who.shown() and sizes.get(registration.FILE, 0) <= ENTRY_BYTES:
        sizes.pop(registration.FILE, None)
    return sizes


def _grade(plan: Plan, snapshot: Snapshot, sandbox: Sandbox) -> Graded:
    try:
        if snapshot.problem:
            raise snapshot.problem
        _check_size(plan, snapshot)
        assembly = retried(lambda: notebook.assemble(plan.master, snapshot.notebook()))
        trials: list[ScoredRun] = []
        for number in range(len(plan.exams)):
            attempt = functools.partial(_trial, plan, number, snapshot, assembly.notebook, sandbox)
            trials.append(retried(attempt))
            if not trials[0].tier:
                break
        retried(functools.partial(snapshots.check_unchanged, snapshot))
        scored = functools.partial(_result, plan, snapshot, assembly, trials)
        return Graded(retried(scored, attempts=1), trials[0].run, assembly)
    except NotebookError as error:
        work, slug = snapshot.work, plan.challenge.slug
        unclear = "" if os.path.exists(work.notebook) else submission.misnamed(work, slug)
        return Graded(_unrun(plan, snapshot, Verdict.ERROR, unclear or _private(work, str(error))))
    except Fault as error:
        return Graded(_unrun(plan, snapshot, Verdict.FAULT, f"not graded, our fault: {error}"))


def _result(
    plan: Plan, snapshot: Snapshot, assembly: notebook.Assembly, trials: Sequence[ScoredRun]
) -> Result:
    flagged = flags.read(_sources(assembly, snapshot), _sizes(snapshot))
    identity = plan.identity(snapshot.student, snapshot.sha)
    return scoring.result(plan.spec, identity, snapshot.files, trials, flagged)


def _readable(snapshot: Snapshot) -> Snapshot:
    """The snapshot, read again if this machine was at fault; as it is if that doesn't help."""
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
    """Raise ``NotebookError`` for files that a kernel's folder has no room for, in whole pages."""
    room_mib = plan.limits.disk_mib - KERNELS_MIB
    pages = sum(-(-size // mmap.PAGESIZE) for size in snapshot.sizes.values())
    if pages * mmap.PAGESIZE > room_mib * MIB:
        raise NotebookError(
            f"more files than fit in {room_mib} MiB, the disk of a run; send the notebook and the "
            "code that it needs, and nothing else."
        )


def retried(attempt: Callable[[], Done], attempts: int = ATTEMPTS) -> Done:
    """What the attempt returns; raises its ``NotebookError`` at once, and ``Fault`` after the last
    of ``attempts`` failures of any other kind."""
    for number in range(1, attempts + 1):
        try:
            return attempt()
        except NotebookError:
            raise
        except Exception as error:  # the one place where our own faults are caught and recorded
            said = str(error) if isinstance(error, Fault) else f"{type(error).__name__}: {error}"
            if number < attempts:
                time.sleep(BACK_OFF_S * 2 ** (number - 1))
    raise Fault(said)


def _trial(
    plan: Plan, number: int, snapshot: Snapshot, assembled: NotebookNode, sandbox: Sandbox
) -> ScoredRun:
    exam = plan.exams[number]
    run = sandbox.run(plan.request(number, assembled, snapshot.work.folder))
    judgement = plan.grader.judge(Evidence(run.answers, run.peak_mib), exam)
    return scoring.trial(plan.spec, plan.points, run, judgement)


def _sources(assembly: notebook.Assembly, snapshot: Snapshot) -> dict[str, str]:
    """All code that the student wrote, by the name of its cell or file."""
    cells = [cell for cell in assembly.notebook.cells if notebook.is_solution(cell)]
    answers = {f"cell {notebook.grade_id(cell)}": cell.source for cell in cells}
    return {**answers, **snapshot.code()}


def _private(work: Submission, message: str) -> str:
    """A message for the student: without the folder in which the grader keeps the work."""
    folder = work.notebook.parent
    return message.replace(f"{folder}/", "").replace(f"{folder}: ", "")


def _unrun(plan: Plan, snapshot: Snapshot, verdict: Verdict, message: str) -> Result:
    worth = math.fsum(plan.points.values())
    identity = plan.identity(snapshot.student, snapshot.sha)
    return scoring.unrun(identity, snapshot.files, verdict, message, worth)
