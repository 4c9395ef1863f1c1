"""The main job: plan a challenge's grading, run one submission, judge it, then a whole class."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import hashlib
import hmac
import importlib.metadata
import math
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from tinytorch_compete import metrics, notebook, review, submission
from tinytorch_compete.data import prepare
from tinytorch_compete.engine.local import Engine
from tinytorch_compete.errors import CompeteError, Fault, NotebookError
from tinytorch_compete.exam import Exam
from tinytorch_compete.model import (
    CellResult,
    Evidence,
    Identity,
    Inputs,
    Judgement,
    Limits,
    Result,
    Run,
    Verdict,
)
from tinytorch_compete.pack import Entry, Grader
from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.store import Store
from tinytorch_compete.submission import Submission

ATTEMPTS = 3
BACK_OFF_S = 0.5
RECORDED = ("tinytorch-compete", "numpy", "ipykernel", "nbclient")


class Plan:
    """Everything about one grading that is the same for all submissions.

    ``secret`` is the course's; the challenge's seed is derived from it. ``source`` is a folder that
    holds the data set already. Raises ``CompeteError``.
    """

    def __init__(
        self,
        entry: Entry,
        secret: bytes,
        *,
        dataset: str | None = None,
        source: Path | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.entry, self.secret = entry, secret
        self.master = entry.master()
        self.points = notebook.points(self.master)
        self.grader = Grader(entry.grader_folder / "grader.py")
        choice = entry.choice(dataset)
        data = prepare(
            choice.name, train=choice.train, public=choice.public, source=source, progress=progress
        )
        seed = hmac.new(secret, entry.slug.encode(), hashlib.sha256).digest()
        self.exam = Exam(data, int.from_bytes(seed[:16]), choice.holdout)
        self._facts = {
            "challenge": entry.slug,
            "challenge_sha": entry.challenge_sha(),
            "grader_sha": entry.grader_sha(),
            "seed_sha": hashlib.sha256(seed).hexdigest(),
            "dataset": f"{choice.name}:{data.digest()[:16]}",
        }

    @property
    def limits(self) -> Limits:
        """What each run may use."""
        return self.entry.challenge.limits

    @functools.cached_property
    def inputs(self) -> Mapping[str, Inputs]:
        """What each probe is handed; made once, the same for everybody."""
        return self.grader.inputs(self.exam)

    def identity(self, work: Submission, files: Mapping[str, str]) -> Identity:
        """What a result of this work under this plan is about."""
        return Identity(
            student=work.student,
            submission_sha=submission.digest(files),
            limits=self.limits,
            **self._facts,
        )


class Graded(msgspec.Struct, frozen=True):
    """A result, and what feedback is made from; ``run`` is ``None`` if nothing could be run."""

    result: Result
    run: Run | None = None
    assembly: notebook.Assembly | None = None


def grade(plan: Plan, work: Submission, sandbox: Sandbox) -> Graded:
    """Run and judge one submission; whatever goes wrong becomes a verdict.

    What is wrong with the submission is its own verdict and ends here. What fails on our side is
    tried again, ``ATTEMPTS`` times in all with a growing pause, and then is a ``FAULT`` without
    points.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _grade_once(plan, work, sandbox)
        except NotebookError as error:
            return Graded(_unrun(plan, work, Verdict.ERROR, str(error), points=0.0))
        except Exception as error:  # the one place where our own faults are caught and recorded
            fault = (
                f"{type(error).__name__}: {error}" if not isinstance(error, Fault) else str(error)
            )
            if attempt < ATTEMPTS:
                time.sleep(BACK_OFF_S * 2 ** (attempt - 1))
    return Graded(_unrun(plan, work, Verdict.FAULT, f"not graded, our fault: {fault}", points=None))


def _grade_once(plan: Plan, work: Submission, sandbox: Sandbox) -> Graded:
    files = work.files()
    assembly = notebook.assemble(plan.master, notebook.read(work.notebook))
    run = sandbox.run(
        assembly.notebook, plan.limits, plan.inputs, files=work.folder, data=plan.exam.data.folder
    )
    evidence = Evidence(run.answers, run.peak_mib)
    judgement = plan.grader.judge(evidence, plan.exam)
    result = _result(plan, plan.identity(work, files), files, run, judgement)
    seen = (
        *run.flags,
        *review.figures(plan.entry.challenge, result.tier, run),
        *review.read(_sources(assembly, work), work.sizes()),
    )
    return Graded(msgspec.structs.replace(result, flags=seen), run, assembly)


def _sources(assembly: notebook.Assembly, work: Submission) -> dict[str, str]:
    """All code that the student wrote, by the name of its cell or file."""
    cells = [cell for cell in assembly.notebook.cells if notebook.is_solution(cell)]
    answers = {f"cell {notebook.grade_id(cell)}": cell.source for cell in cells}
    return {**answers, **work.code()}


def _result(
    plan: Plan, identity: Identity, files: Mapping[str, str], run: Run, judgement: Judgement
) -> Result:
    challenge = plan.entry.challenge
    cells = tuple(_cell_result(name, worth, run, judgement) for name, worth in plan.points.items())
    figures = {**judgement.metrics, "peak_mib": run.peak_mib, "wall_s": run.wall_s}
    first = figures.get(challenge.rank[0])
    tier = "" if first is None else metrics.tier(challenge, first)
    verdict, message = run.verdict, run.message
    if verdict == Verdict.OK and not tier:
        verdict = Verdict.WRONG
        message = min(cells, key=lambda cell: cell.points / cell.max_points).message
    return Result(
        identity=identity,
        verdict=verdict,
        message=message,
        points=round(math.fsum(cell.points for cell in cells), 2),
        max_points=math.fsum(plan.points.values()),
        tier=tier,
        division=metrics.division(challenge, run.peak_mib) if tier else "",
        metrics=judgement.metrics,
        cells=cells,
        wall_s=run.wall_s,
        cpu_s=run.cpu_s,
        peak_mib=run.peak_mib,
        baseline_mib=run.baseline_mib,
        layers=run.layers,
        versions=versions(),
        files=files,
        graded_at=_now(),
    )


def _cell_result(name: str, worth: float, run: Run, judgement: Judgement) -> CellResult:
    judged = judgement.cells[name]
    if not 0 <= judged.score <= 1:
        raise Fault(f"the grader gave {name!r} a score of {judged.score}; scores are 0 to 1")
    why = "" if judged.score else _failure(name, run)
    return CellResult(name, round(judged.score * worth, 2), worth, why or judged.message)


def _failure(name: str, run: Run) -> str:
    """How a cell failed in the run; a name that an earlier failure left undefined is its fault."""
    failed = [cell for cell in run.cells if cell.message]
    own = next((cell for cell in failed if cell.grade_id == name), None)
    if own is None:
        return ""
    if own is not failed[0] and own.message.startswith("NameError"):
        return f"not possible after what failed before: {failed[0].message}"
    return own.message


def _unrun(
    plan: Plan, work: Submission, verdict: Verdict, message: str, points: float | None
) -> Result:
    """The result of a submission that could not be run, for its own fault or for ours."""
    files: Mapping[str, str] = {}
    with contextlib.suppress(CompeteError, OSError):  # whatever is wrong has its message already
        files = work.files()
    return Result(
        identity=plan.identity(work, files),
        verdict=verdict,
        message=message,
        points=points,
        max_points=math.fsum(plan.points.values()),
        tier="",
        division="",
        metrics={},
        cells=(),
        wall_s=0.0,
        cpu_s=0.0,
        peak_mib=0.0,
        baseline_mib=0.0,
        layers=(),
        versions=versions(),
        files=files,
        graded_at=_now(),
    )


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
) -> Iterator[Result]:
    """Grade submissions and yield each result when its feedback and its row are on the disk.

    ``publish`` writes the feedback, which comes first: a batch that dies in between grades that
    submission again and loses nothing. When the iteration is abandoned, runs in progress are ended
    and leave no row.
    """
    _ = plan.inputs  # made here, once, and not by several workers at the same time
    try:
        for graded in engine.map(lambda work: grade(plan, work, sandbox), works):
            publish(graded)
            store.append(graded.result)
            yield graded.result
    except BaseException:
        sandbox.stop()
        raise


@functools.cache
def versions() -> Mapping[str, str]:
    """The versions that a result depends on, by package."""
    found = {name: importlib.metadata.version(name) for name in RECORDED}
    return {"python": platform.python_version(), **found}


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
