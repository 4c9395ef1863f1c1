"""The main job: plan a challenge's grading, run one submission, judge it, then a whole class."""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
import hmac
import math
import mmap
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from nbformat import NotebookNode

from tinytorch_compete import enrolment, entrant, outcome
from tinytorch_compete.datasets import prepare
from tinytorch_compete.engine.local import Engine
from tinytorch_compete.errors import CompeteError, Fault, NotebookError
from tinytorch_compete.judging.exam import Exam, PublicExam
from tinytorch_compete.judging.grader import Grader
from tinytorch_compete.model import (
    MIB,
    Advice,
    Challenge,
    Evidence,
    Identity,
    Inputs,
    Limits,
    Result,
    Run,
    Timed,
    Verdict,
)
from tinytorch_compete.outcome import Trial
from tinytorch_compete.pack import Entry
from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.store import Store
from tinytorch_compete.submissions import flags, notebook, submission
from tinytorch_compete.submissions.submission import Submission

Done = TypeVar("Done")
ATTEMPTS = 3
BACK_OFF_S = 0.5
ENTRY_BYTES = 700
KERNELS_MIB = 1  # of a run's disk, for what the kernel itself writes


class Plan:
    """Everything about one grading that is the same for all submissions.

    ``secret`` is the course's; the challenge's secret seeds are derived from it, ``seeds`` of them
    or as many as the challenge says. ``final`` takes other ones, that no earlier grading used.
    ``source`` is a folder that holds the data set already. Raises ``CompeteError``.
    """

    def __init__(
        self,
        entry: Entry,
        secret: bytes,
        *,
        dataset: str | None = None,
        source: Path | None = None,
        seeds: int | None = None,
        final: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.entry, self.secret, self.final = entry, secret, final
        self.master, self.reference = entry.master(), entry.reference()
        self.points = notebook.points(self.master)
        self.grader = Grader(entry.grader_folder / "grader.py")
        choice = entry.choice(dataset)
        data = prepare(
            choice.name, train=choice.train, public=choice.public, source=source, progress=progress
        )
        names = [_exam_name(k, final) for k in range(seeds or self.challenge.seeds)]
        keys = [_seed(secret, entry.slug + name) for name in names]
        self.exams: tuple[Exam, ...] = tuple(
            Exam(data, int.from_bytes(key[:16]), choice.holdout) for key in keys
        )
        self._same = Identity(
            student="",
            challenge=entry.slug,
            challenge_sha=entry.challenge_sha(),
            grader_sha=entry.grader_sha(),
            submission_sha="",
            seed_sha=hashlib.sha256(b"".join(keys)).hexdigest(),
            dataset=f"{choice.name}:{data.digest()[:16]}",
            limits=self.limits,
            final=final,
        )

    @property
    def challenge(self) -> Challenge:
        """The facts of the challenge."""
        return self.entry.challenge

    @property
    def limits(self) -> Limits:
        """What each run may use."""
        return self.challenge.limits

    @property
    def conditions(self) -> Identity:
        """What all work is graded under, as ``ranking.conditions`` gives it."""
        return self._same

    @functools.cached_property
    def inputs(self) -> tuple[Mapping[str, Inputs | Timed], ...]:
        """What each probe is handed, for each exam; made once, the same for everybody."""
        return tuple(self.grader.inputs(exam) for exam in self.exams)

    def capped(self, memory_mib: int) -> Plan:
        """This plan under another memory cap, without divisions."""
        other = copy.copy(self)
        limits = msgspec.structs.replace(self.limits, memory_mib=memory_mib)
        challenge = msgspec.structs.replace(self.challenge, limits=limits, divisions=())
        other.entry = msgspec.structs.replace(self.entry, challenge=challenge)
        return other

    def public(self) -> Plan:
        """This plan with one run, in which the public images stand in for the hidden ones."""
        other = copy.copy(self)
        data = self.exams[0].data
        other.exams = (PublicExam(data, self.exams[0].seed, len(data.public()[1])),)
        return other

    @functools.cached_property
    def rehearsal(self) -> Plan:
        """This plan with one run of other inputs, which no grade ever depends on.

        What is shown of such a run, down to how often a line ran, tells nothing of the exams.
        """
        other = copy.copy(self)
        other.__dict__.pop("inputs", None)  # the exams' own
        seed = int.from_bytes(_seed(self.secret, self.entry.slug + "/rehearsal")[:16])
        other.exams = (Exam(self.exams[0].data, seed, self.exams[0].holdout_n),)
        return other

    def identity(self, work: Submission, files: Mapping[str, str]) -> Identity:
        """What a result of this work under this plan is about."""
        return msgspec.structs.replace(
            self._same, student=work.student, submission_sha=submission.digest(files)
        )


def _exam_name(number: int, final: bool) -> str:
    return (f"/{number}" if number else "") + ("/final" if final else "")


def _seed(secret: bytes, name: str) -> bytes:
    return hmac.new(secret, name.encode(), hashlib.sha256).digest()


class Graded(msgspec.Struct, frozen=True):
    """A result, and what feedback is made from: the first run, ``None`` if nothing could be run."""

    result: Result
    run: Run | None = None
    assembly: notebook.Assembly | None = None
    advice: Advice | None = None


Task = Callable[[Plan, Submission, Sandbox], Graded]


def grade(plan: Plan, work: Submission, sandbox: Sandbox) -> Graded:
    """Run and judge one submission with each secret seed; whatever goes wrong becomes a verdict.

    What is wrong with the submission is its own verdict and ends here. A first run that reaches no
    tier isn't repeated with other seeds. What fails on our side is tried again, ``ATTEMPTS`` times
    in all with a growing pause, and then is a ``FAULT`` without points.
    """
    graded = _grade(plan, work, sandbox)
    who = enrolment.who(work)
    result = msgspec.structs.replace(
        graded.result, submitted_at=submission.sent_at(work), handle=who.handle if who else ""
    )
    return Graded(result, graded.run, graded.assembly)


def _sizes(work: Submission) -> dict[str, int]:
    """The sizes of what a student sent; an entry that says only what one must is ours."""
    sizes = dict(work.sizes())
    who = enrolment.who(work)
    if who and who == who.shown() and sizes.get(entrant.FILE, 0) <= ENTRY_BYTES:
        sizes.pop(entrant.FILE, None)
    return sizes


def _grade(plan: Plan, work: Submission, sandbox: Sandbox) -> Graded:
    try:
        files = retried(work.files)
        _check_size(plan, work)
        assembly = retried(lambda: notebook.assemble(plan.master, notebook.read(work.notebook)))
        trials: list[Trial] = []
        for number in range(len(plan.exams)):
            attempt = functools.partial(_trial, plan, number, work, assembly.notebook, sandbox)
            trials.append(retried(attempt))
            if not trials[0].tier:
                break
        identity = plan.identity(work, files)
        seen = flags.read(_sources(assembly, work), _sizes(work))
        result = outcome.result(plan.challenge, identity, files, trials, seen)
        return Graded(result, trials[0].run, assembly)
    except NotebookError as error:
        unclear = (
            "" if os.path.exists(work.notebook) else submission.misnamed(work, plan.entry.slug)
        )
        return Graded(_unrun(plan, work, Verdict.ERROR, unclear or _private(work, str(error))))
    except Fault as error:
        return Graded(_unrun(plan, work, Verdict.FAULT, f"not graded, our fault: {error}"))


def _check_size(plan: Plan, work: Submission) -> None:
    """Raise ``NotebookError`` for files that a kernel's folder has no room for, in whole pages."""
    room_mib = plan.limits.disk_mib - KERNELS_MIB
    pages = sum(-(-size // mmap.PAGESIZE) for size in work.sizes().values())
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
    plan: Plan, number: int, work: Submission, assembled: NotebookNode, sandbox: Sandbox
) -> Trial:
    exam = plan.exams[number]
    run = sandbox.run(
        assembled,
        plan.limits,
        plan.inputs[number],
        files=work.folder,
        data=exam.data.folder,
        reference=plan.reference,
    )
    judgement = plan.grader.judge(Evidence(run.answers, run.peak_mib), exam)
    return outcome.trial(plan.challenge, plan.points, run, judgement)


def _sources(assembly: notebook.Assembly, work: Submission) -> dict[str, str]:
    """All code that the student wrote, by the name of its cell or file."""
    cells = [cell for cell in assembly.notebook.cells if notebook.is_solution(cell)]
    answers = {f"cell {notebook.grade_id(cell)}": cell.source for cell in cells}
    return {**answers, **work.code()}


def _private(work: Submission, message: str) -> str:
    """A message for the student: without the folder in which the grader keeps the work."""
    folder = work.notebook.parent
    return message.replace(f"{folder}/", "").replace(f"{folder}: ", "")


def _unrun(plan: Plan, work: Submission, verdict: Verdict, message: str) -> Result:
    files: Mapping[str, str] = {}
    with contextlib.suppress(CompeteError, OSError):  # whatever is wrong has its message already
        files = work.files()
    worth = math.fsum(plan.points.values())
    return outcome.unrun(plan.identity(work, files), files, verdict, message, worth)


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
