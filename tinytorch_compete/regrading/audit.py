"""Grade old work once more: does a result come out again?

What must come out the same, and what may differ, from grading each of the 16 samples of
``efficient-training`` twice on one busy machine: all verdicts, metrics and points were equal, peaks
moved by up to 5 MiB, times by up to a factor of six.

- The verdict, and the answers to every probe: a submission that trains from the seed it is handed
  gives the same labels each time (one core, one BLAS, one order of work), so its metrics are
  *equal*. Where they aren't, the submission draws from a seed of its own, or trains until a clock
  says stop, or the machine's BLAS adds up in another order.
- A share of n images may therefore differ by the half-width of its 95 % interval, which is what n
  images can tell apart anyhow; a ratio of times by the width of its interval. That is named, and is
  no failure; any other metric must be equal.
- Points follow the metrics along a ladder. They must be equal if the metrics are; else they may
  differ by as much as the metrics may on the steepest ladder.
- Neither peak memory nor time is compared. A peak near the edge of a division may fall on its other
  side, and the points of that division with it.

A verdict that changes is always a difference, also for a run that ended close to a limit: whoever
reads it sees both figures.
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

Z_95 = 1.96  # standard normal quantile: 95 % lie within
STEEPEST = 2.0  # points per share of the steepest rung of the ladders in graders/
PEAK_NOISE_MIB = 8.0
POINTS_ROUNDING = 0.011


class RerunComparison(msgspec.Struct, frozen=True):
    """How one result came out again: ``differences`` that matter, and ``noise`` that doesn't."""

    result: Result
    differences: tuple[str, ...] = ()
    noise: tuple[str, ...] = ()


def candidates(results: Sequence[Result]) -> list[Result]:
    """The results that can be graded again: no faults, none that was withdrawn."""
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
    """Grade each result's submission below ``root`` again and compare; nothing is stored.

    ``secret`` is the course's, ``source`` a folder that holds the data set already; which data set
    it was is in the result. Raises ``CompeteError``.
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
        yield _again(plans[key], result, root, sandbox)


def _again(plan: Plan, old: Result, root: Path, sandbox: Sandbox) -> RerunComparison:
    works = {work.student: work for work in submission.find(root, old.identity.challenge)}
    work = works.get(old.identity.student)
    if work is None:
        return RerunComparison(old, (f"no submission in {root}",))
    snapshot = load(work)  # of broken files none; grading says so again
    identity = plan.identity(work.student, snapshot.sha)
    if different := changed(old.identity, identity):
        return RerunComparison(old, (f"graded under another {', '.join(different)}",))
    new = pipeline.grade(plan, snapshot, sandbox).result
    return compare(plan.challenge.spec, old, new, plan.exams[0].holdout_n * old.runs)


def changed(old: Identity, new: Identity) -> list[str]:
    """What isn't as it was when the result was made, in words."""
    names = {"challenge_sha": "challenge", "grader_sha": "grader", "submission_sha": "submission"}
    names |= {"seed_sha": "set of seeds", "dataset": "data set", "limits": "limit"}
    return [word for name, word in names.items() if getattr(old, name) != getattr(new, name)]


def compare(spec: ChallengeSpec, old: Result, new: Result, n: int) -> RerunComparison:
    """What differs between a result and its repetition on ``n`` holdout images; see above."""
    if new.verdict != old.verdict:
        return RerunComparison(
            old, (f"verdict {old.verdict}, again {new.verdict} ({new.message})",)
        )
    differences, noise, slack = [], [], 0.0
    for name in dict.fromkeys([*old.metrics, *new.metrics]):
        before, after = (r.metrics.get(name, math.nan) for r in (old, new))
        allowed = tolerance(spec, old, name, n)
        if before == after:
            continue
        text = f"{name} {before:.4f}, again {after:.4f}"
        if abs(before - after) <= allowed:
            noise.append(f"{text} (within {allowed:.4f})")
            slack = max(slack, STEEPEST * allowed * old.max_points)
        else:
            differences.append(text)
    if old.division != new.division and abs(old.peak_mib - new.peak_mib) <= PEAK_NOISE_MIB:
        noise.append(f"division {old.division}, again {new.division} (the peak is near its edge)")
        slack = math.inf
    points = f"points {old.points}, again {new.points}"
    if old.points is None or new.points is None:
        differences += [points] if old.points != new.points else []
    elif old.points != new.points:
        held = abs(old.points - new.points) <= slack + POINTS_ROUNDING
        (noise if held and slack else differences).append(points)
    return RerunComparison(old, tuple(differences), tuple(noise))


def tolerance(spec: ChallengeSpec, result: Result, name: str, n: int) -> float:
    """How far a metric may move: a share of ``n`` images, or a ratio of times; 0 for any other.

    A share may move by its 95 % interval's half-width (normal approximation, Wald), with half an
    image's step as its least; a ratio by its own interval's width, since both figures are noisy.
    """
    found = figures.estimate_of(spec, result, name)
    metric = figures.declared(spec, name)
    if found is None:
        return 0.0
    if metric.unit.startswith("share") and 0 <= found.value <= 1:
        return max(Z_95 * math.sqrt(found.value * (1 - found.value) / n), 0.5 / n)
    if metric.scale == "log" and found.low is not None and found.high is not None:
        return found.high - found.low
    return 0.0
