"""A fictitious class whose results have samples, for leaderboards."""

from __future__ import annotations

import datetime as dt
import math

import msgspec
import numpy as np

from support.results import result as stored
from tinytorch_compete.challenges import packs
from tinytorch_compete.judging import tiers
from tinytorch_compete.model import Result
from tinytorch_compete.participants.roster import Participant, Roster

SLUG = "fast-convolution"
CHALLENGE = packs.find()[SLUG].spec
SECRET = b"secret"
MONDAY = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)
NAMES = "lovelace hopper turing noether curie franklin ramanujan erdos goeppert meitner".split()
SHARING = Roster(entered={name: Participant("", progress=True) for name in NAMES})
LEVELS = (0.1, 0.6, 0.61, 1.4, 1.41, 1.42, 2.2, 2.21, 3.0, 3.01)


def attempt(
    student: str, speedup: float, day: int = 0, *, final: bool = False, spread: float = 0.05
) -> Result:
    """A result of five runs around a speedup, graded so many days after a Monday."""
    rng = np.random.default_rng(sum(student.encode()) + day)
    samples = {
        "speedup": tuple(speedup * math.exp(x) for x in rng.normal(0, 0.02, 5).tolist()),
        "instructions": tuple(
            500 / speedup * math.exp(x) for x in rng.normal(0, 0.001, 5).tolist()
        ),
        "peak_mib": tuple(100 + x for x in rng.normal(0, 1, 5).tolist()),
    }
    base = stored(student)
    return msgspec.structs.replace(
        base,
        identity=msgspec.structs.replace(base.identity, challenge=SLUG, final=final),
        metrics={"speedup": speedup, "instructions": 500 / speedup},
        tier=tiers.tier(CHALLENGE, speedup),
        division="",
        samples=samples,
        runs=5,
        graded_at=MONDAY + dt.timedelta(days=day),
        noise={"reference_spread": spread, "load": 1.5},
        machine="a processor, 2 cores",
    )


def history(n: int = len(NAMES)) -> list[Result]:
    """Two attempts of each of the first ``n`` students, a week apart, the second one better."""
    levels = list(zip(NAMES, LEVELS, strict=True))[:n]
    first = [attempt(name, level / 1.5) for name, level in levels]
    return first + [attempt(name, level, 7) for name, level in levels]
