"""Regrade submissions and check that results reproduce.

The rules follow from grading each of the 16 samples of ``efficient-training`` twice on one busy
machine: all verdicts, metrics and points were equal, peaks differed by up to 5 MiB, and times by up
to a factor of six.

- The verdict and the answers to every probe reproduce. A submission that trains from the seed it is
  handed gives the same labels each time (one core, one BLAS, one order of work), so its metrics are
  *equal*. If they aren't, the submission draws from a seed of its own, or trains until a clock says
  stop, or the machine's BLAS adds in another order.
- A share of n images may therefore differ by the half-width of its 95 % confidence interval, since
  n images can't resolve less; a ratio of times by the width of its interval. Such a difference is
  reported and is no failure. Any other metric must be equal.
- Points follow the metrics along a ladder. They must be equal if the metrics are; otherwise they
  may differ by as much as the metrics may on the steepest ladder.
- Neither peak memory nor time is compared. A peak near the edge of a division may fall on the other
  side, and the points of that division with it.

Another verdict is always a difference, even for a run that ended close to a limit: the report has
both figures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from tinytorch_compete.challenges import packs
from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.grading import pipeline
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import ChallengeSpec, Identity, Result, Verdict
from tinytorch_compete.results import figures
from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.submissions import submission
from tinytorch_compete.submissions.snapshot import load

Z_95 = 1.96  # quantile of the standard normal distribution: 95 % lie within
STEEPEST = 2.0  # points per share of the steepest rung of the ladders in graders/
PEAK_NOISE_MIB = 8.0
POINTS_ROUNDING = 0.011


class RerunComparison(msgspec.Struct, frozen=True):
    """A result compared with its rerun: ``differences`` that matter, and ``noise`` that doesn't."""

    result: Result
    differences: tuple[str, ...] = ()
    noise: tuple[str, ...] = ()


def candidates(results: Sequence[Result]) -> list[Result]:
    """Return the results that can be regraded: neither faults nor withdrawn results."""
    return [r for r in results if r.verdict != Verdict.FAULT and r.withdrawal is None]


def rerun(
    challenges: Mapping[str, Challenge],
    secret: bytes,
    results: Sequence[Result],
    root: Path,
    sandbox: Sandbox,
    *,
    source: Path | None = None,
) -> Iterator[RerunComparison]:
    """Regrade each result's submission below ``root`` and compare; store nothing.

    ``secret`` is the course's, ``source`` a folder that has the data set already; the result says
    which data set was used. Raises ``CompeteError``.
    """
    plans: dict[tuple[str, str, bool], Plan] = {}
    for result in results:
        slug = result.identity.challenge
        dataset = result.identity.dataset.partition(":")[0]
        key = (slug, dataset, result.identity.final)
        if key not in plans:
            plans[key] = Plan.of(
                packs.resolve(challenges, slug),
                secret,
                dataset=dataset,
                source=source,
                final=key[2],
            )
        yield _rerun(plans[key], result, root, sandbox)


def _rerun(plan: Plan, old: Result, root: Path, sandbox: Sandbox) -> RerunComparison:
    works = {work.student: work for work in submission.find(root, old.identity.challenge)}
    work = works.get(old.identity.student)
    if work is None:
        return RerunComparison(old, (f"no submission in {root}",))
    snapshot = load(work)  # has no files if they can't be read; grading reports that again
    identity = plan.identity(work.student, snapshot.sha)
    if different := changed(old.identity, identity):
        return RerunComparison(old, (f"graded under another {', '.join(different)}",))
    new = pipeline.grade(plan, snapshot, sandbox).result
    return compare(plan.challenge.spec, old, new, plan.exams[0].holdout_n * old.runs)


def changed(old: Identity, new: Identity) -> list[str]:
    """Name the conditions of grading that differ between two identities."""
    names = {"challenge_sha": "challenge", "grader_sha": "grader", "submission_sha": "submission"}
    names |= {"seed_sha": "set of seeds", "dataset": "data set", "limits": "limit"}
    return [word for name, word in names.items() if getattr(old, name) != getattr(new, name)]


def compare(spec: ChallengeSpec, old: Result, new: Result, n: int) -> RerunComparison:
    """Compare a result with its rerun on ``n`` holdout images, by the rules above."""
    if new.verdict != old.verdict:
        return RerunComparison(
            old, (f"verdict {old.verdict}, again {new.verdict} ({new.message})",)
        )
    differences, noise, slack = _compare_metrics(spec, old, new, n)
    if old.division != new.division and abs(old.peak_mib - new.peak_mib) <= PEAK_NOISE_MIB:
        noise.append(f"division {old.division}, again {new.division} (the peak is near its edge)")
        slack = math.inf
    if old.points != new.points:
        text = f"points {old.points}, again {new.points}"
        (noise if _is_within(old.points, new.points, slack) else differences).append(text)
    return RerunComparison(old, tuple(differences), tuple(noise))


def _compare_metrics(
    spec: ChallengeSpec, old: Result, new: Result, n: int
) -> tuple[list[str], list[str], float]:
    """Return the metrics that differ, those within noise, and the points that noise allows."""
    differences, noise, slack = [], [], 0.0
    for name in dict.fromkeys([*old.metrics, *new.metrics]):
        before, after = (r.metrics.get(name, math.nan) for r in (old, new))
        if before == after:
            continue
        text = f"{name} {before:.4f}, again {after:.4f}"
        allowed = tolerance(spec, old, name, n)
        if abs(before - after) <= allowed:
            noise.append(f"{text} (within {allowed:.4f})")
            slack = max(slack, STEEPEST * allowed * old.max_points)
        else:
            differences.append(text)
    return differences, noise, slack


def _is_within(old: float | None, new: float | None, slack: float) -> bool:
    """Return whether noise explains other points; never without noise in a figure."""
    if old is None or new is None or not slack:
        return False
    return abs(old - new) <= slack + POINTS_ROUNDING


def tolerance(spec: ChallengeSpec, result: Result, name: str, n: int) -> float:
    """Return by how much a metric may differ; 0 unless it is a share of ``n`` images or a ratio.

    A share may differ by the half-width of its 95 % confidence interval (normal approximation,
    Wald) and at least by half an image; a ratio of times by the width of its own interval, since
    both figures are noisy.
    """
    estimate = figures.estimate_of(spec, result, name)
    metric = figures.declared(spec, name)
    if estimate is None:
        return 0.0
    if metric.unit.startswith("share") and 0 <= estimate.value <= 1:
        return max(Z_95 * math.sqrt(estimate.value * (1 - estimate.value) / n), 0.5 / n)
    if metric.scale == "log" and estimate.low is not None and estimate.high is not None:
        return estimate.high - estimate.low
    return 0.0
