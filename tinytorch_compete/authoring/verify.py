"""Check that sample submissions earn the verdict, tier and points that their metadata promise."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tinytorch_compete.authoring.samples import Promise, promise, samples
from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.grading import pipeline, plan
from tinytorch_compete.model import Result, Verdict
from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.submissions.snapshot import load

# Any secret would do; a fixed one makes verifications reproducible.
SECRET = b"the secret of verifications only"


class Check(msgspec.Struct, frozen=True):
    """A sample's outcome: ``what`` lists what it earned, and its promise where that differs."""

    name: str
    verdict: Verdict
    holds: bool
    what: str


def verify(challenge: Challenge, sandbox: Sandbox) -> Iterator[Check]:
    """Grade every sample submission of a challenge and compare; raises ``CompeteError``."""
    plans: dict[str | None, plan.Plan] = {}
    for name, sample in samples(challenge).items():
        promised = promise(sample.notebook)
        if promised.dataset not in plans:
            plans[promised.dataset] = plan.Plan.of(
                challenge, SECRET, dataset=promised.dataset, seeds=1
            )
        result = pipeline.grade(plans[promised.dataset], load(sample), sandbox).result
        yield check(name, promised, result)


def check(name: str, promised: Promise, result: Result) -> Check:
    """Compare a result with a promise."""
    low, high = promised.points
    points = -1.0 if result.points is None else result.points
    differences = [
        f"{fact} promised {expected or 'none'}"
        for fact, expected, actual in (
            ("verdict", promised.verdict, result.verdict),
            ("tier", promised.tier, result.tier),
            ("division", promised.division, result.division),
        )
        if expected != actual
    ]
    differences += [] if low <= points <= high else [f"points promised {low:g} to {high:g}"]
    earned = [f"{points:g} points", result.tier, result.division, f"{result.peak_mib:.0f} MiB"]
    earned += [
        f"{result.wall_s:.1f} s",
        result.message if result.verdict == Verdict.FAULT else result.message[:80],
    ]
    what = ", ".join(part for part in [*earned, *differences] if part)
    return Check(name, result.verdict, not differences, what)
