"""Whether a change that was tried is worth showing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from tinytorch_compete.model import FixTrial

# Two runs of the same code differ by about this much on a busy machine (the minimum of five CPU
# times varies by 5 %), and the peak of the process tree by a MiB or two.
NOISE_SECONDS = 0.10
NOISE_SHARE = 0.03
NOISE_MIB = 2.0
LEAST_SECONDS = 0.05  # what the messages of a notebook's cells cost varies by that
# float32 has seven digits; long sums and another order of adding leave about four. Where a sum
# comes out near zero they are of what was added, so the absolute tolerance grows with the array.
RELATIVE, ABSOLUTE = 1e-3, 1e-5
# Class numbers may differ where two scores are equal but for rounding.
SAME_LABELS = 0.99


class Measurement(msgspec.Struct, frozen=True):
    """What one run cost, by the grader's figures: seconds and peak MiB above the idle kernel."""

    seconds: float
    peak_mib: float


def trial(
    before: Measurement,
    after: Measurement,
    answers_before: Mapping[str, Any],
    answers_after: Mapping[str, Any],
) -> FixTrial:
    """Two runs side by side; ``answers_*`` map names to arrays that the two runs gave."""
    same = answers_before.keys() == answers_after.keys() and all(
        equal(answers_before[name], answers_after[name]) for name in answers_before
    )
    return FixTrial(before.seconds, after.seconds, before.peak_mib, after.peak_mib, same)


def equal(one: Any, other: Any) -> bool:
    """Whether two arrays are the same within tolerance; class numbers in at least 99 of 100."""
    a, b = np.asarray(one), np.asarray(other)
    if a.shape != b.shape or a.dtype.kind not in "biuf" or b.dtype.kind not in "biuf":
        return False
    if a.dtype.kind == "f" or b.dtype.kind == "f":
        largest = float(np.max(np.abs(a), initial=1.0, where=np.isfinite(a)))
        return bool(np.allclose(a, b, RELATIVE, ABSOLUTE * largest, equal_nan=True))
    return a.size == 0 or float(np.mean(a == b)) >= SAME_LABELS


def worth_showing(tried: FixTrial) -> bool:
    """Whether the answers stayed the same, one cost fell by more than noise, and none rose so."""
    back = FixTrial(
        tried.seconds_after,
        tried.seconds_before,
        tried.peak_mib_after,
        tried.peak_mib_before,
        tried.same,
    )
    gains = saves_memory(tried) or saves_time(tried)
    return tried.same and gains and not (saves_memory(back) or saves_time(back))


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
    """The larger of the shares that a trial saved, of seconds and of peak memory."""
    return max(
        _gain(tried.seconds_before, tried.seconds_after),
        _gain(tried.peak_mib_before, tried.peak_mib_after),
    )


def _gain(before: float, after: float) -> float:
    return (before - after) / before if before > 0 else 0.0
