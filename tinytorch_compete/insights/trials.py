"""Decide whether a trial of a change is worth showing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from tinytorch_compete.model import FixTrial

# On a busy machine, two runs of the same code differ by about this much (the minimum of five CPU
# times varies by 5 %), and the peak of the process tree by a MiB or two.
NOISE_SECONDS = 0.10
NOISE_SHARE = 0.03
NOISE_MIB = 2.0
LEAST_SECONDS = 0.05  # the cost of a notebook's cell messages varies by this much
# float32 has seven digits; long sums in another order keep about four of them. Those are digits of
# the terms, so for sums near zero the absolute tolerance grows with the array's largest value.
RELATIVE, ABSOLUTE = 1e-3, 1e-5
# Class numbers may differ where two scores are equal except for rounding.
SAME_LABELS = 0.99


class Measurement(msgspec.Struct, frozen=True):
    """One run's cost as the grader measured it: seconds, and peak MiB above the idle kernel."""

    seconds: float
    peak_mib: float


def trial(
    before: Measurement,
    after: Measurement,
    answers_before: Mapping[str, Any],
    answers_after: Mapping[str, Any],
) -> FixTrial:
    """Compare two runs; ``answers_*`` map names to the arrays that each run returned."""
    same = answers_before.keys() == answers_after.keys() and all(
        equal(answers_before[name], answers_after[name]) for name in answers_before
    )
    return FixTrial(before.seconds, after.seconds, before.peak_mib, after.peak_mib, same)


def equal(one: Any, other: Any) -> bool:
    """Whether two arrays agree within tolerance; class numbers must agree in 99 of 100 places."""
    a, b = np.asarray(one), np.asarray(other)
    if a.shape != b.shape or a.dtype.kind not in "biuf" or b.dtype.kind not in "biuf":
        return False
    if a.dtype.kind == "f" or b.dtype.kind == "f":
        largest = float(np.max(np.abs(a), initial=1.0, where=np.isfinite(a)))
        return bool(np.allclose(a, b, RELATIVE, ABSOLUTE * largest, equal_nan=True))
    return a.size == 0 or float(np.mean(a == b)) >= SAME_LABELS


def worth_showing(tried: FixTrial) -> bool:
    """Whether answers stayed the same, one cost fell by more than noise, and none rose by more."""
    reverse = FixTrial(
        tried.seconds_after,
        tried.seconds_before,
        tried.peak_mib_after,
        tried.peak_mib_before,
        tried.same,
    )
    gains = saves_memory(tried) or saves_time(tried)
    return tried.same and gains and not (saves_memory(reverse) or saves_time(reverse))


def saves_memory(tried: FixTrial) -> bool:
    """Whether the peak fell by more than noise."""
    lighter = tried.peak_mib_before - tried.peak_mib_after
    smaller = _gain(tried.peak_mib_before, tried.peak_mib_after)
    return smaller > NOISE_SHARE and lighter > NOISE_MIB


def saves_time(tried: FixTrial) -> bool:
    """Whether the CPU time fell by more than noise."""
    quicker = tried.seconds_before - tried.seconds_after
    faster = _gain(tried.seconds_before, tried.seconds_after)
    return faster > NOISE_SECONDS and quicker > LEAST_SECONDS


def gain(tried: FixTrial) -> float:
    """Return the larger of the shares of seconds and of peak memory that a change saved."""
    return max(
        _gain(tried.seconds_before, tried.seconds_after),
        _gain(tried.peak_mib_before, tried.peak_mib_after),
    )


def _gain(before: float, after: float) -> float:
    return (before - after) / before if before > 0 else 0.0
