"""What the runs of one submission add up to: points, figures, a verdict and a tier."""

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


def trial(
    spec: ChallengeSpec, points: Mapping[str, float], run: Run, judgement: Judgement
) -> ScoredRun:
    """Put a judge's word on a run into points; raises ``Fault`` for a word that makes no sense."""
    cells = tuple(_cell_result(name, worth, run, judgement) for name, worth in points.items())
    figures = {**judgement.metrics, "peak_mib": run.peak_mib, "wall_s": run.wall_s}
    first = figures.get(spec.rank[0])
    tier = "" if first is None else tiers.tier(spec, first)
    clocks = (flag for answer in run.answers.values() for flag in answer.flags)
    flags = (*run.flags, *figure_flags(spec, tier, run), *clocks)
    return ScoredRun(run, cells, figures, tier, flags)


def result(
    spec: ChallengeSpec,
    identity: Identity,
    files: Mapping[str, str],
    trials: Sequence[ScoredRun],
    seen: Sequence[str],
) -> Result:
    """One result from a submission's runs, each with another secret seed.

    Points and figures are means over the runs, the peak is the highest, the verdict is the first
    that isn't ``OK``. A tier is reached only if each run reached one: a run can't better the mean
    by failing. ``seen`` are flags that the submission's source raised; each flag is kept once.
    """
    samples = _samples(trials)
    figures = {name: _mean(spec, name, values) for name, values in samples.items()}
    cells = _mean_cells(trials)
    verdict, message = _verdict(trials)
    tier = tiers.tier(spec, figures[spec.rank[0]]) if all(t.tier for t in trials) else ""
    peak_mib = max(trial.run.peak_mib for trial in trials)
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
        wall_s=math.fsum(trial.run.wall_s for trial in trials),
        cpu_s=math.fsum(trial.run.cpu_s for trial in trials),
        peak_mib=peak_mib,
        baseline_mib=trials[0].run.baseline_mib,
        layers=trials[0].run.layers,
        versions=versions(),
        files=files,
        graded_at=_now(),
        runs=len(trials),
        samples=samples,
        noise=_worst(trials),
        flags=tuple(dict.fromkeys([*_flags(trials), *spread_flags(spec, samples), *seen])),
        machine=machine(),
    )


def _flags(trials: Sequence[ScoredRun]) -> list[str]:
    return [flag for trial in trials for flag in trial.flags]


def _samples(trials: Sequence[ScoredRun]) -> dict[str, tuple[float, ...]]:
    """Each figure's values, one for each run that gave it."""
    found: dict[str, list[float]] = defaultdict(list)
    for trial in trials:
        for name, value in trial.figures.items():
            found[name].append(value)
    return {name: tuple(values) for name, values in found.items()}


def _mean(spec: ChallengeSpec, name: str, values: Sequence[float]) -> float:
    return stats.estimate(values, declared(spec, name).scale).value


def _mean_cells(trials: Sequence[ScoredRun]) -> tuple[CellResult, ...]:
    """Each cell's mean points, with the words of the run that earned the fewest, named so."""
    found = []
    for cells in zip(*(trial.cells for trial in trials), strict=True):
        worst = min(cells, key=lambda cell: cell.points)
        points = round(math.fsum(cell.points for cell in cells) / len(cells), 2)
        alike = all(cell.points == worst.points for cell in cells)
        said = worst.message if alike else f"the weakest of {len(cells)} runs: {worst.message}"
        found.append(msgspec.structs.replace(worst, points=points, message=said))
    return tuple(found)


def _verdict(trials: Sequence[ScoredRun]) -> tuple[Verdict, str]:
    """The first run's verdict that isn't ``OK``, and which run it was if not the first."""
    for number, trial in enumerate(trials, 1):
        verdict, message = trial.run.verdict, trial.run.message
        if verdict == Verdict.OK and not trial.tier:
            verdict = Verdict.WRONG
            message = _weakest(trial).message
        if verdict != Verdict.OK:
            where = f"run {number} of {len(trials)}: " if number > 1 else ""
            return verdict, where + message
    return Verdict.OK, ""


def _weakest(trial: ScoredRun) -> CellResult:
    """The cell that lost the most of its points."""
    return max(
        trial.cells, key=lambda cell: (cell.max_points - cell.points) / (cell.max_points or 1)
    )


def _worst(trials: Sequence[ScoredRun]) -> dict[str, float]:
    """Of each sign of noise the worst that any run saw."""
    names = dict.fromkeys(name for trial in trials for name in trial.run.noise)
    return {name: max(trial.run.noise.get(name, 0.0) for trial in trials) for name in names}


def unrun(
    identity: Identity, files: Mapping[str, str], verdict: Verdict, message: str, max_points: float
) -> Result:
    """The result of a submission that could not be run, for its own fault or for ours."""
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


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


# More than this share above its cores' whole time is no rounding.
BUSY = 1.25
# Runs of one submission that differ by more are no noise; on a busy machine one of the samples,
# which trains until its time is over, came to 21 points.
APART_RATIO, APART_SHARE = 2.0, 0.3


def figure_flags(spec: ChallengeSpec, tier: str, run: Run) -> tuple[str, ...]:
    """What there is to look at in a run's figures, a sentence each."""
    found = []
    least = {level.name: level.least_cpu_s for level in spec.tiers}.get(tier, 0.0)
    if run.cpu_s < least:
        found.append(
            f"Reached {tier} with {run.cpu_s:.1f} s of CPU; a training that does takes at least "
            f"{least:g} s. Was the model brought along?"
        )
    threads = spec.limits.threads
    if run.wall_s > 1 and run.cpu_s > BUSY * threads * run.wall_s:
        cores = run.cpu_s / run.wall_s
        found.append(f"Kept {cores:.1f} cores busy, where {threads} is the challenge's width.")
    return tuple(found)


def spread_flags(spec: ChallengeSpec, samples: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
    """What there is to look at between a submission's runs: one far off the others.

    A run that is bad on purpose widens the interval, and so ties its submission with better ones.
    """
    found = []
    for metric in (spec.metric(name) for name in spec.rank):
        values = samples.get(metric.name, ())
        if len(values) < 2:
            continue
        low, high = min(values), max(values)
        if metric.scale == "log" and high > APART_RATIO * low > 0:
            found.append(f"Its runs differ by a factor of {high / low:.1f} in {metric.name}.")
        elif metric.unit.startswith("share") and high - low > APART_SHARE:
            found.append(f"Its runs differ by {(high - low) * 100:.0f} points in {metric.name}.")
    return tuple(found)
