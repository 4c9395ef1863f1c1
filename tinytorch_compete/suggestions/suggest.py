"""Advice on a graded submission: profiled, changed, and run again in the same sandbox.

All of it runs with the inputs of the plan's rehearsal, after the submission's grade is fixed, and
changes nothing of the grade.
"""

from __future__ import annotations

import contextlib
import copy
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import psutil
from nbformat import NotebookNode

from tinytorch_compete import insights
from tinytorch_compete.errors import EvidenceError, Fault
from tinytorch_compete.grading import pipeline
from tinytorch_compete.grading.pipeline import Graded
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.insights import Measurement, RunContext, worth_showing
from tinytorch_compete.model import (
    MIB,
    Advice,
    Autopsy,
    FixTrial,
    Insight,
    Limits,
    Profile,
    Run,
    Verdict,
)
from tinytorch_compete.profiling import bottlenecks
from tinytorch_compete.profiling import run as profiling_run
from tinytorch_compete.sandbox.contract import RunRequest, Sandbox
from tinytorch_compete.submissions.notebook import grade_id
from tinytorch_compete.submissions.snapshot import Snapshot, check_unchanged
from tinytorch_compete.suggestions import selection
from tinytorch_compete.util.files import copy_sent

MOST_TRIED = 6
# No further change is begun after this long; one that has begun takes seven runs at most.
TRYING_S = 180.0
MOST_PAIRS = 4
MORE_MEMORY, MORE_TIME = 4, 2  # times the limit, to see what a run that it stopped would need
Profiler = Callable[..., tuple[Profile, Run]]


class TrialRunner(msgspec.Struct, frozen=True):
    """One submission under conditions that stay the same from run to run.

    ``code`` has the text of each Python file beside the notebook, ``sources`` that and the cells',
    by the names that a profile gives them.
    """

    plan: Plan
    snapshot: Snapshot
    sandbox: Sandbox
    notebook: NotebookNode
    limits: Limits
    code: Mapping[str, str]
    sources: Mapping[str, str]

    @classmethod
    def of(
        cls,
        plan: Plan,
        snapshot: Snapshot,
        sandbox: Sandbox,
        notebook: NotebookNode,
        limits: Limits,
    ) -> TrialRunner:
        """The runner for an assembled notebook; raises ``Fault`` for files that can't be read."""
        code = snapshot.code()
        sources = profiling_run.texts(notebook, code)
        return cls(plan, snapshot, sandbox, notebook, limits, code, sources)

    def run(self, source: str = "", changed: str = "") -> Run:
        """Run it once, without a profiler; with ``source`` changed if one is named."""
        with self._changed(source, changed) as (notebook, files):
            return self.sandbox.run(self.request(notebook, files))

    def request(self, notebook: NotebookNode, files: Path | None) -> RunRequest:
        """A run in which nothing is timed: of a timed probe's questions the first is asked."""
        request = self.plan.request(0, notebook, files)
        return msgspec.structs.replace(
            request, limits=self.limits, inputs=profiling_run.once(request.inputs)
        )

    @contextlib.contextmanager
    def _changed(self, source: str, text: str) -> Iterator[tuple[NotebookNode, Path | None]]:
        folder = self.snapshot.work.folder
        if source.startswith("cell:") or not source:
            yield _with_cell(self.notebook, source.removeprefix("cell:"), text), folder
            return
        assert folder is not None
        with tempfile.TemporaryDirectory() as place:
            copied = Path(place, "files")
            copy_sent(folder, copied)
            check_unchanged(self.snapshot, copied)
            _overwrite(copied / source, text)
            yield self.notebook, copied


def grade(plan: Plan, snapshot: Snapshot, sandbox: Sandbox) -> Graded:
    """Grade one submission as ``pipeline.grade`` does, and add advice and its kinds to it."""
    graded = pipeline.grade(plan, snapshot, sandbox)
    advice = advise(plan, graded.snapshot or snapshot, graded, sandbox)
    looked = advice.profile is not None or advice.insights
    kinds = tuple(sorted({insight.name for insight in advice.insights})) if looked else None
    result = msgspec.structs.replace(graded.result, findings=kinds)
    return msgspec.structs.replace(graded, result=result, advice=advice)


def advise(
    plan: Plan,
    snapshot: Snapshot,
    graded: Graded,
    sandbox: Sandbox,
    profiler: Profiler = profiling_run.run,
) -> Advice:
    """The advice on one graded submission; what fails on our side is one line of it.

    A submission that memory or time stopped gets more of that, so that there is something to see.
    At most ``MOST_TRIED`` changes are tried, each alone, and none is begun more than ``TRYING_S``
    after the first. What didn't help, or changed the answers, is left out.
    """
    if graded.assembly is None:
        return Advice(note="Nothing could be run, so nothing was measured.")
    notebook = graded.assembly.notebook

    def attempt() -> Advice:
        limits = _room(plan.limits, graded.result.verdict)
        runner = TrialRunner.of(plan.rehearsal, snapshot, sandbox, notebook, limits)
        return _advice(runner, graded, profiler)

    try:
        return pipeline.retried(attempt, attempts=1)
    except Fault as error:
        return Advice(note=f"No profile and no suggestions this time, by our fault: {error}")


def _advice(runner: TrialRunner, graded: Graded, profiler: Profiler) -> Advice:
    verdict = graded.result.verdict
    profile, note = _profile(runner, profiler, verdict)
    found = insights.find(
        profile or runner.sources, RunContext(_outputs(graded.run), runner.limits.threads)
    )
    candidates = selection.candidates(found, runner.sources, MOST_TRIED)
    over = verdict == Verdict.OVER_MEMORY
    before = runner.run() if over or (profile and candidates) else None
    tried = _tried(runner, before, candidates) if before and _ended(before) else {}
    left = (i for i in (tried.get(i, i) for i in found) if i is not None)
    kept = selection.ordered(left, verdict)
    autopsy = _autopsy(runner, graded, before, kept) if over and before else None
    explained = (bottlenecks.here(profile) if profile else None) or ()
    return Advice(profile, kept, autopsy, note, explained)


def _room(limits: Limits, verdict: Verdict) -> Limits:
    """What a submission gets to be looked at: more of what stopped it, and half of what is free."""
    if verdict == Verdict.OVER_MEMORY:
        free_mib = psutil.virtual_memory().available // MIB // 2
        most = max(limits.memory_mib, min(MORE_MEMORY * limits.memory_mib, free_mib))
        return msgspec.structs.replace(limits, memory_mib=most)
    if verdict == Verdict.OVER_TIME:
        return msgspec.structs.replace(limits, wall_s=MORE_TIME * limits.wall_s)
    return limits


def _profile(
    runner: TrialRunner, profiler: Profiler, verdict: Verdict
) -> tuple[Profile | None, str]:
    """The profile, or why there is none."""
    limits = runner.limits
    if verdict == Verdict.OVER_TIME:  # profiling has its own surcharge, which is larger
        limits = msgspec.structs.replace(limits, wall_s=limits.wall_s / profiling_run.SLOWER)
    request = runner.plan.request(0, runner.notebook, runner.snapshot.work.folder)
    request = msgspec.structs.replace(request, limits=limits)
    cap_mib = runner.plan.limits.memory_mib if verdict == Verdict.OVER_MEMORY else 0
    try:
        return profiler(runner.sandbox, request, runner.code, cap_mib)[0], ""
    except EvidenceError as error:
        return None, f"No line has figures: {error}"


def _tried(
    runner: TrialRunner, before: Run, candidates: list[tuple[Insight, str]]
) -> dict[Insight, Insight | None]:
    """Each suggestion that was tried, with its trial, or ``None`` if it is not worth showing.

    What is about learning, and not about cost, stays as it was: no run of now can speak for it.
    """
    found: dict[Insight, Insight | None] = {}
    end = time.monotonic() + TRYING_S
    for insight, changed in candidates:
        if time.monotonic() < end:
            trial = _trial(runner, before, insight.source, changed)
            diff = insights.diff(runner.sources[insight.source], changed, insight.source)
            if worth_showing(trial):
                found[insight] = msgspec.structs.replace(insight, diff=diff, trial=trial)
            elif insight.name not in insights.ABOUT_LEARNING:
                found[insight] = None
    return found


def _trial(runner: TrialRunner, before: Run, source: str, changed: str) -> FixTrial:
    """One pair of runs and, where it promises a gain, another in the opposite order.

    A rise beside the gain may be noise as well: the trial then goes on for ``MOST_PAIRS``.
    """
    trial = _compared(before, runner.run(source, changed))
    for pair in range(1, MOST_PAIRS):
        gained = trial.same and (insights.saves_memory(trial) or insights.saves_time(trial))
        if not gained or (pair > 1 and worth_showing(trial)):
            break
        after = runner.run(source, changed)
        trial = selection.lowest(trial, _compared(runner.run(), after))
    return trial


def _compared(before: Run, after: Run) -> FixTrial:
    one, other = (Measurement(run.cpu_s, run.peak_mib) for run in (before, after))
    trial = insights.trial(one, other, _answers(before), _answers(after))
    return msgspec.structs.replace(trial, same=trial.same and before.verdict == after.verdict)


def _autopsy(
    runner: TrialRunner, graded: Graded, before: Run, found: tuple[Insight, ...]
) -> Autopsy:
    cap_mib, room_mib = graded.result.identity.limits.memory_mib, runner.limits.memory_mib
    more = before.verdict == Verdict.OVER_MEMORY
    need_mib = 0.0 if room_mib == cap_mib else room_mib if more else before.peak_mib
    fits = next((i for i in selection.smallest_first(found) if _fits(runner, before, i)), None)
    helped = sum(insight.trial is not None for insight in found)
    return Autopsy(_reached(graded.run), cap_mib, need_mib, more, helped, fits)


def _fits(runner: TrialRunner, before: Run, insight: Insight) -> bool:
    """Whether a change brings the code to the same answers under the cap of its grading."""
    if insight.trial is None or insight.trial.peak_mib_after > runner.plan.limits.memory_mib:
        return False
    capped = msgspec.structs.replace(runner, limits=runner.plan.limits)
    changed = insights.rewrite(runner.sources[insight.source], insight)
    return changed is not None and _compared(before, capped.run(insight.source, changed)).same


def _reached(run: Run | None) -> str:
    """The id of the cell that ran out of memory first."""
    stopped = (cell for cell in run.cells if cell.status == Verdict.OVER_MEMORY) if run else ()
    return next((cell.grade_id for cell in stopped), "")


def _ended(run: Run) -> bool:
    """Whether a run came to its own end and has answers that another can be compared with."""
    return run.verdict not in (Verdict.OVER_MEMORY, Verdict.OVER_TIME) and bool(_answers(run))


def _answers(run: Run) -> dict[str, Any]:
    return {
        f"{name}/{key}": array
        for name, answer in run.answers.items()
        for key, array in answer.arrays.items()
    }


def _outputs(run: Run | None) -> Mapping[str, str]:
    """What each cell printed."""
    cells = run.notebook.cells if run else ()
    streams = {f"cell:{grade_id(cell)}": cell.get("outputs", ()) for cell in cells}
    return {name: "".join(str(o.get("text", "")) for o in said) for name, said in streams.items()}


def _overwrite(path: Path, text: str) -> None:
    """Replace a file of a copy, which may be as read-only as the student's."""
    path.parent.chmod(0o700)
    path.unlink()
    path.write_text(text, encoding="utf-8")


def _with_cell(notebook: NotebookNode, name: str, text: str) -> NotebookNode:
    """A copy with another text in the cell of that name; the notebook itself for no name."""
    if not name:
        return notebook
    changed = copy.deepcopy(notebook)
    for cell in changed.cells:
        if grade_id(cell) == name:
            cell.source = text
    return changed
