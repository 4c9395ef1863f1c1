"""Advise on a graded submission: profile it, change it, and run it again in the same sandbox.

Everything here runs on the inputs of the plan's rehearsal, after the submission's grade is fixed,
and doesn't affect the grade.
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
# No further change is tried after this time; trying one change takes at most seven runs.
TRYING_S = 180.0
MOST_PAIRS = 4
MORE_MEMORY, MORE_TIME = 4, 2  # times the limit, to see how much a stopped run would need
NO_FIGURES = "There are no figures for single lines"
Profiler = Callable[..., tuple[Profile, Run]]


class TrialRunner(msgspec.Struct, frozen=True):
    """Runs one submission, changed or not, under conditions that stay the same.

    ``code`` has the text of each Python file beside the notebook; ``sources`` has the text of these
    files and of the cells, by the names that a profile gives them.
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
        """Create a runner for an assembled notebook; raises ``Fault`` as ``Snapshot.code``."""
        code = snapshot.code()
        sources = profiling_run.texts(notebook, code)
        return cls(plan, snapshot, sandbox, notebook, limits, code, sources)

    def run(self, source: str = "", changed: str = "") -> Run:
        """Run the submission once, without a profiler; ``changed`` replaces a named source."""
        with self._changed(source, changed) as (notebook, files):
            return self.sandbox.run(self.request(notebook, files))

    def request(self, notebook: NotebookNode, files: Path | None) -> RunRequest:
        """Request a run without timing: of a timed probe's questions, only the first is asked."""
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
        with tempfile.TemporaryDirectory() as temporary:
            copy = Path(temporary, "files")
            copy_sent(folder, copy)
            check_unchanged(self.snapshot, copy)
            _overwrite(copy / source, text)
            yield self.notebook, copy


def grade(plan: Plan, snapshot: Snapshot, sandbox: Sandbox) -> Graded:
    """Grade one submission as ``pipeline.grade`` does, and add advice and the kinds of findings."""
    graded = pipeline.grade(plan, snapshot, sandbox)
    advice = advise(plan, graded.snapshot or snapshot, graded, sandbox)
    is_analysed = advice.profile is not None or advice.insights
    kinds = tuple(sorted({insight.name for insight in advice.insights})) if is_analysed else None
    result = msgspec.structs.replace(graded.result, findings=kinds)
    return msgspec.structs.replace(graded, result=result, advice=advice)


def advise(
    plan: Plan,
    snapshot: Snapshot,
    graded: Graded,
    sandbox: Sandbox,
    profiler: Profiler = profiling_run.run,
) -> Advice:
    """Return the advice on one graded submission; a failure on our side becomes a note in it.

    A submission that was stopped by its memory or time limit gets a higher one, so that it can be
    profiled. At most ``MOST_TRIED`` changes are tried, each alone, and none is started more than
    ``TRYING_S`` after the first. Changes that don't help, or change the answers, are left out.
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
        return Advice(note=f"No profile and no suggestions this time, which is our fault: {error}")


def _advice(runner: TrialRunner, graded: Graded, profiler: Profiler) -> Advice:
    verdict = graded.result.verdict
    profile, note = _profile(runner, profiler, verdict)
    context = RunContext(_outputs(graded.run), runner.limits.threads)
    findings = insights.find(profile or runner.sources, context)
    candidates = selection.candidates(findings, runner.sources, MOST_TRIED)
    is_over_memory = verdict == Verdict.OVER_MEMORY
    before = runner.run() if is_over_memory or (profile and candidates) else None
    tried = _tried(runner, before, candidates) if before and _ended(before) else {}
    updated = (tried.get(finding, finding) for finding in findings)
    shown = selection.ordered((insight for insight in updated if insight is not None), verdict)
    autopsy = _autopsy(runner, graded, before, shown) if is_over_memory and before else None
    reasons = (bottlenecks.here(profile) if profile else None) or ()
    return Advice(profile, shown, autopsy, note, reasons)


def _room(limits: Limits, verdict: Verdict) -> Limits:
    """The limits for an analysis: with more of what stopped the run, up to half the free memory."""
    if verdict == Verdict.OVER_MEMORY:
        half_free_mib = psutil.virtual_memory().available // MIB // 2
        room_mib = max(limits.memory_mib, min(MORE_MEMORY * limits.memory_mib, half_free_mib))
        return msgspec.structs.replace(limits, memory_mib=room_mib)
    if verdict == Verdict.OVER_TIME:
        return msgspec.structs.replace(limits, wall_s=MORE_TIME * limits.wall_s)
    return limits


def _profile(
    runner: TrialRunner, profiler: Profiler, verdict: Verdict
) -> tuple[Profile | None, str]:
    """The profile, or ``None`` and the reason why there is none."""
    limits = runner.limits
    if verdict == Verdict.OVER_TIME:  # the profiler's own allowance for time is larger
        limits = msgspec.structs.replace(limits, wall_s=limits.wall_s / profiling_run.SLOWER)
    request = runner.plan.request(0, runner.notebook, runner.snapshot.work.folder)
    request = msgspec.structs.replace(request, limits=limits)
    cap_mib = runner.plan.limits.memory_mib if verdict == Verdict.OVER_MEMORY else 0
    try:
        return profiler(runner.sandbox, request, runner.code, cap_mib)[0], ""
    except EvidenceError as error:
        return None, f"{NO_FIGURES}: {error}"


def _tried(
    runner: TrialRunner, before: Run, candidates: list[tuple[Insight, str]]
) -> dict[Insight, Insight | None]:
    """Map each insight that was tried to itself with its trial, or to ``None`` if it didn't help.

    An insight about learning, and not about cost, stays as it was: a trial proves nothing about it.
    """
    outcomes: dict[Insight, Insight | None] = {}
    end = time.monotonic() + TRYING_S
    for insight, changed in candidates:
        if time.monotonic() < end:
            trial = _trial(runner, before, insight.source, changed)
            diff = insights.diff(runner.sources[insight.source], changed, insight.source)
            if worth_showing(trial):
                outcomes[insight] = msgspec.structs.replace(insight, diff=diff, trial=trial)
            elif insight.name not in insights.ABOUT_LEARNING:
                outcomes[insight] = None
    return outcomes


def _trial(runner: TrialRunner, before: Run, source: str, changed: str) -> FixTrial:
    """Compare one pair of runs and, if it shows a gain, another in the opposite order.

    If the other cost rises, that may be noise: the trial then goes on, for up to ``MOST_PAIRS``.
    """
    trial = _compared(before, runner.run(source, changed))
    for pair in range(1, MOST_PAIRS):
        has_gain = trial.same and (insights.saves_memory(trial) or insights.saves_time(trial))
        if not has_gain or (pair > 1 and worth_showing(trial)):
            break
        after = runner.run(source, changed)
        trial = selection.lowest(trial, _compared(runner.run(), after))
    return trial


def _compared(before: Run, after: Run) -> FixTrial:
    costs = [Measurement(run.cpu_s, run.peak_mib) for run in (before, after)]
    trial = insights.trial(costs[0], costs[1], _answers(before), _answers(after))
    return msgspec.structs.replace(trial, same=trial.same and before.verdict == after.verdict)


def _autopsy(
    runner: TrialRunner, graded: Graded, before: Run, shown: tuple[Insight, ...]
) -> Autopsy:
    cap_mib, room_mib = graded.result.identity.limits.memory_mib, runner.limits.memory_mib
    more = before.verdict == Verdict.OVER_MEMORY
    need_mib = 0.0 if room_mib == cap_mib else room_mib if more else before.peak_mib
    fits = next((i for i in selection.smallest_first(shown) if _fits(runner, before, i)), None)
    helped = sum(insight.trial is not None for insight in shown)
    return Autopsy(_reached(graded.run), cap_mib, need_mib, more, helped, fits)


def _fits(runner: TrialRunner, before: Run, insight: Insight) -> bool:
    """Whether the changed code gives the same answers under the memory cap of its grading."""
    if insight.trial is None or insight.trial.peak_mib_after > runner.plan.limits.memory_mib:
        return False
    capped = msgspec.structs.replace(runner, limits=runner.plan.limits)
    changed = insights.rewrite(runner.sources[insight.source], insight)
    return changed is not None and _compared(before, capped.run(insight.source, changed)).same


def _reached(run: Run | None) -> str:
    """The id of the first cell that ran out of memory."""
    stopped = (cell for cell in run.cells if cell.status == Verdict.OVER_MEMORY) if run else ()
    return next((cell.grade_id for cell in stopped), "")


def _ended(run: Run) -> bool:
    """Whether a run wasn't stopped and has answers to compare with those of another."""
    return run.verdict not in (Verdict.OVER_MEMORY, Verdict.OVER_TIME) and bool(_answers(run))


def _answers(run: Run) -> dict[str, Any]:
    return {
        f"{name}/{key}": array
        for name, answer in run.answers.items()
        for key, array in answer.arrays.items()
    }


def _outputs(run: Run | None) -> Mapping[str, str]:
    """The printed text of each cell."""
    cells = run.notebook.cells if run else ()
    outputs = {f"cell:{grade_id(cell)}": cell.get("outputs", ()) for cell in cells}
    return {
        name: "".join(str(output.get("text", "")) for output in cell_outputs)
        for name, cell_outputs in outputs.items()
    }


def _overwrite(path: Path, text: str) -> None:
    """Replace a file in a copy, where it may be as read-only as the student's own."""
    path.parent.chmod(0o700)
    path.unlink()
    path.write_text(text, encoding="utf-8")


def _with_cell(notebook: NotebookNode, name: str, text: str) -> NotebookNode:
    """A copy with another text in the named cell; the notebook itself if no cell is named."""
    if not name:
        return notebook
    changed = copy.deepcopy(notebook)
    for cell in changed.cells:
        if grade_id(cell) == name:
            cell.source = text
    return changed
