"""Metrics that judges use, from raw answers and labels that never were in a kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinytorch_compete.errors import EvidenceError
from tinytorch_compete.model import Answer, Challenge

Array = np.ndarray[Any, Any]


def labels_of(answer: Answer, name: str, n: int, classes: int) -> Array:
    """The answer's array ``name`` as class numbers: shape (n,), integers in [0, classes).

    Raises ``EvidenceError``, with a sentence for the student, if it is missing or anything else.
    """
    if answer.problem:
        raise EvidenceError(answer.problem)
    array: Array | None = answer.arrays.get(name)
    if array is None:
        raise EvidenceError(f"the answer has no array {name!r}")
    if array.shape != (n,) or array.dtype.kind not in "iu":
        raise EvidenceError(
            f"expected {n} integers of shape ({n},), got {array.dtype} of shape {array.shape}"
        )
    if n and (array.min() < 0 or array.max() >= classes):
        raise EvidenceError(
            f"class numbers must be 0 to {classes - 1}, got {array.min()} to {array.max()}"
        )
    return array


def accuracy(predicted: Array, truth: Array) -> float:
    """The share of equal class numbers in two arrays of shape (n,), n > 0."""
    return float(np.mean(predicted == truth))


def tier(challenge: Challenge, value: float) -> str:
    """The hardest tier that a value of the first rank metric reaches; empty below the first."""
    sign = 1 if challenge.metric(challenge.rank[0]).direction == "higher" else -1
    reached = [tier.name for tier in challenge.tiers if sign * value >= sign * tier.at]
    return reached[-1] if reached else ""


def division(challenge: Challenge, peak_mib: float) -> str:
    """The smallest division that a measured peak fits; empty where there is none."""
    fitting = [d.name for d in challenge.divisions if peak_mib <= d.peak_mib]
    return fitting[0] if fitting else ""
