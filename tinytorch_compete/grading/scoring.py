"""Score a submission from its judged runs: points, figures, a verdict and a tier."""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from tinytorch_compete.errors import Fault
from tinytorch_compete.grading.provenance import machine, versions
from tinytorch_compete.judging import tiers
from tinytorch_compete.model import (
    CellResult,
    ChallengeSpec,
    Identity,
    Judgement,
    Result,
    Run,
    Verdict,
)
from tinytorch_compete.results.figures import declared
from tinytorch_compete.util import stats, text


class ScoredRun(msgspec.Struct, frozen=True):
    """One run of a submission with one secret seed, judged; ``tier`` is empty below the first."""

    run: Run
    cells: tuple[CellResult, ...]
    figures: Mapping[str, float]
    tier: str
    flags: tuple[str, ...]


def scored(
    spec: ChallengeSpec, points: Mapping[str, float], run: Run, judgement: Judgement
) -> ScoredRun:
    """Turn a run's judgement into points; raises ``Fault`` for a score outside 0 to 1.

    ``points`` maps each grading cell to its maximal points.
    """
    cells = tuple(_cell_result(name, most, run, judgement) for name, most in points.items())
    figures = {**judgement.metrics, "peak_mib": run.peak_mib, "wall_s": run.wall_s}
    first = figures.get(spec.rank[0])
    tier = "" if first is None else tiers.tier(spec, first)
    answer_flags = (flag for answer in run.answers.values() for flag in answer.flags)
    flags = (*run.flags, *figure_flags(spec, tier, run), *answer_flags)
    return ScoredRun(run, cells, figures, tier, flags)


def result(
    spec: ChallengeSpec,
    identity: Identity,
    files: Mapping[str, str],
    scored_runs: Sequence[ScoredRun],
    source_flags: Sequence[str],
) -> Result:
    """Combine a submission's runs, each with another secret seed, into one result.

    Points and figures are means over the runs, the peak is the highest, and the verdict is the
    first that isn't ``OK``. A tier is reached only if every run reached one, so that a run can't
    improve the mean by failing. ``source_flags`` are the flags of the submission's source; each
    flag is listed once.
    """
    samples = _samples(scored_runs)
    figures = {name: _mean(spec, name, values) for name, values in samples.items()}
    cells = _mean_cells(scored_runs)
    verdict, message = _verdict(scored_runs)
    has_tier = all(scored_run.tier for scored_run in scored_runs)
    tier = tiers.tier(spec, figures[spec.rank[0]]) if has_tier else ""
    runs = [scored_run.run for scored_run in scored_runs]
    peak_mib = max(run.peak_mib for run in runs)
    flags = [*_flags(scored_runs), *spread_flags(spec, samples), *source_flags]
    return Result(
        identity=identity,
        verdict=verdict,
        message=message,
        points=round(math.fsum(cell.points for cell in cells), 2),
        max_points=math.fsum(cell.max_points for cell in cells),
        tier=tier,
        division=tiers.division(spec, peak_mib) if tier else "",
        metrics={n: v for n, v in figures.items() if n not in ("peak_mib", "wall_s")},
        cells=cells,
        wall_s=math.fsum(run.wall_s for run in runs),
        cpu_s=math.fsum(run.cpu_s for run in runs),
        peak_mib=peak_mib,
        baseline_mib=runs[0].baseline_mib,
        layers=runs[0].layers,
        versions=versions(),
        files=files,
        graded_at=_now(),
        runs=len(runs),
        samples=samples,
        noise=_noise(runs),
        flags=tuple(dict.fromkeys(flags)),
        machine=machine(),
    )


def _flags(scored_runs: Sequence[ScoredRun]) -> list[str]:
    return [flag for scored_run in scored_runs for flag in scored_run.flags]


def _samples(scored_runs: Sequence[ScoredRun]) -> dict[str, tuple[float, ...]]:
    """Each figure's values, one from each run that has it."""
    samples: dict[str, list[float]] = defaultdict(list)
    for scored_run in scored_runs:
        for name, value in scored_run.figures.items():
            samples[name].append(value)
    return {name: tuple(values) for name, values in samples.items()}


def _mean(spec: ChallengeSpec, name: str, values: Sequence[float]) -> float:
    return stats.estimate(values, declared(spec, name).scale).value


def _mean_cells(scored_runs: Sequence[ScoredRun]) -> tuple[CellResult, ...]:
    """Each cell's mean points, with the message of the run that earned the fewest."""
    return tuple(
        _mean_cell(cells)
        for cells in zip(*(scored_run.cells for scored_run in scored_runs), strict=True)
    )


def _mean_cell(cells: Sequence[CellResult]) -> CellResult:
    worst = min(cells, key=lambda cell: cell.points)
    points = round(math.fsum(cell.points for cell in cells) / len(cells), 2)
    is_same = all(cell.points == worst.points for cell in cells)
    message = worst.message if is_same else f"the weakest of {len(cells)} runs: {worst.message}"
    return msgspec.structs.replace(worst, points=points, message=message)


def _verdict(scored_runs: Sequence[ScoredRun]) -> tuple[Verdict, str]:
    """The first verdict that isn't ``OK``, with the number of its run if it isn't the first."""
    for number, scored_run in enumerate(scored_runs, 1):
        verdict, message = scored_run.run.verdict, scored_run.run.message
        if verdict == Verdict.OK and not scored_run.tier:
            verdict = Verdict.WRONG
            message = _weakest(scored_run).message
        if verdict != Verdict.OK:
            where = f"run {number} of {len(scored_runs)}: " if number > 1 else ""
            return verdict, where + message
    return Verdict.OK, ""


def _weakest(scored_run: ScoredRun) -> CellResult:
    """The cell that lost the largest share of its points."""
    return max(
        scored_run.cells, key=lambda cell: (cell.max_points - cell.points) / (cell.max_points or 1)
    )


def _noise(runs: Sequence[Run]) -> dict[str, float]:
    """The worst value of each sign of noise in any run."""
    names = dict.fromkeys(name for run in runs for name in run.noise)
    return {name: max(run.noise.get(name, 0.0) for run in runs) for name in names}


def unrun(
    identity: Identity, files: Mapping[str, str], verdict: Verdict, message: str, max_points: float
) -> Result:
    """Return the result of a submission that couldn't be run, be it by its own fault or by ours."""
    return Result(
        identity=identity,
        verdict=verdict,
        message=text.clean(message),
        points=None if verdict == Verdict.FAULT else 0.0,
        max_points=max_points,
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
        machine=machine(),
    )


def _cell_result(name: str, max_points: float, run: Run, judgement: Judgement) -> CellResult:
    judged = judgement.cells[name]
    if not 0 <= judged.score <= 1:
        raise Fault(f"the grader gave {name!r} a score of {judged.score}; scores are 0 to 1")
    failure = "" if judged.score else _failure(name, run)
    points = round(judged.score * max_points, 2)
    return CellResult(name, points, max_points, failure or judged.message)


def _failure(name: str, run: Run) -> str:
    """How a cell failed in the run; a ``NameError`` is blamed on the first failure before it."""
    failed = [cell for cell in run.cells if cell.message]
    own = next((cell for cell in failed if cell.grade_id == name), None)
    if own is None:
        return ""
    if own is not failed[0] and own.message.startswith("NameError"):
        return f"not possible after an earlier failure: {failed[0].message}"
    return own.message


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


# CPU time above this multiple of what the cores can give is no rounding error.
BUSY = 1.25
# Runs of one submission that differ by more than this don't do so by noise. On a busy machine a
# sample that trains until its time is over differed by 21 percentage points.
APART_RATIO, APART_SHARE = 2.0, 0.3


def figure_flags(spec: ChallengeSpec, tier: str, run: Run) -> tuple[str, ...]:
    """Return one sentence for each reason to review a run's figures."""
    flags = []
    least_cpu_s = {level.name: level.least_cpu_s for level in spec.tiers}.get(tier, 0.0)
    if run.cpu_s < least_cpu_s:
        flags.append(
            f"Reached {tier} with {run.cpu_s:.1f} s of CPU time; training to that tier takes at "
            f"least {least_cpu_s:g} s. Was the model trained in advance?"
        )
    threads = spec.limits.threads
    if run.wall_s > 1 and run.cpu_s > BUSY * threads * run.wall_s:
        cores = run.cpu_s / run.wall_s
        flags.append(f"Kept {cores:.1f} cores busy; the challenge allows {threads}.")
    return tuple(flags)


def spread_flags(spec: ChallengeSpec, samples: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
    """Return one sentence for each metric in which a submission's runs lie far apart.

    A run that is bad on purpose widens the confidence interval, and so ties its submission with
    better ones.
    """
    flags = []
    for metric in (spec.metric(name) for name in spec.rank):
        values = samples.get(metric.name, ())
        if len(values) < 2:
            continue
        low, high = min(values), max(values)
        if metric.scale == "log" and high > APART_RATIO * low > 0:
            flags.append(f"Its runs differ by a factor of {high / low:.1f} in {metric.name}.")
        elif metric.unit.startswith("share") and high - low > APART_SHARE:
            percent = (high - low) * 100
            flags.append(f"Its runs differ by {percent:.0f} percentage points in {metric.name}.")
    return tuple(flags)
