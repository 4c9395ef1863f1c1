"""Fictitious results of one challenge, with samples, and its facts."""

from __future__ import annotations

import datetime as dt

import msgspec

from support.results import result as stored
from tinytorch_compete.challenges import packs
from tinytorch_compete.judging import tiers
from tinytorch_compete.model import Result, Verdict

CHALLENGE = packs.find()["efficient-training"].spec
SECRET = b"secret"
NEAR = (-0.01, 0.01, 0.0, 0.005, -0.005)  # by how much five seeds differ
MONDAY = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)


def scored(
    student: str,
    accuracy: float,
    peak_mib: float,
    verdict: Verdict = Verdict.OK,
    *,
    noise: tuple[float, ...] = NEAR,
    at: dt.datetime = MONDAY,
) -> Result:
    """A result of five runs; ``noise`` is added to the accuracy and to the peak."""
    tier = tiers.tier(CHALLENGE, accuracy)
    return msgspec.structs.replace(
        stored(student, verdict),
        metrics={"accuracy": accuracy},
        peak_mib=peak_mib,
        tier=tier,
        division=tiers.division(CHALLENGE, peak_mib) if tier else "",
        samples={
            "accuracy": tuple(accuracy + x for x in noise),
            "peak_mib": tuple(peak_mib + x for x in noise),
        },
        graded_at=at,
    )
