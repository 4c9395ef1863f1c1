"""What a handful of noisy samples can tell: estimates with intervals, and who differs from whom.

One sample is one run of one submission with one secret seed, in a fresh kernel. Repeats within a
run are no samples of their own: a process keeps its luck with memory layout for as long as it
lives, so that they agree with each other better than with the next run's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from scipy import special  # scipy.stats takes ten times as long to import

Scale = Literal["linear", "log"]

CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
MOST_RUNS = 1000


class Estimate(msgspec.Struct, frozen=True):
    """A figure from ``n`` samples, and its 95 % confidence interval; one sample has none."""

    value: float
    n: int
    low: float | None = None
    high: float | None = None


def estimate(samples: Sequence[float], scale: Scale = "linear", resolution: float = 0) -> Estimate:
    """The mean of the samples and its two-sided Student t interval; ``n >= 1``.

    On the ``log`` scale it is the geometric mean, with the interval taken on logarithms.
    ``resolution`` is the smallest standard deviation that is believed (see ``Metric``): a few
    samples can agree by chance. Source: Student, "The probable error of a mean", Biometrika 6
    (1908).
    """
    values = _on_scale(samples, scale)
    mean, n = float(values.mean()), len(values)
    if n == 1:
        return Estimate(_back(mean, scale), 1)
    half = _critical(n) * _spread(values, resolution) / math.sqrt(n)
    return Estimate(_back(mean, scale), n, _back(mean - half, scale), _back(mean + half, scale))


def hodges_lehmann(values: Sequence[float]) -> float:
    """The median of all pairwise means: as exact as a mean, and a fifth of wild values can't move
    it far.

    For differences of two equally noisy figures, which are symmetric about their centre, it is
    unbiased. Source: Hodges and Lehmann, "Estimates of location based on rank tests", Annals of
    Mathematical Statistics 34 (1963).
    """
    array = np.asarray(values, float)
    first, second = np.triu_indices(len(array))
    return float(np.median((array[first] + array[second]) / 2))


def leading(across: Sequence[float], up: Sequence[float], degree: int = 1) -> Estimate:
    """The leading coefficient of the least-squares polynomial and its 95 % confidence interval.

    With ``degree`` 1 it is the slope of a straight line; more points than ``degree + 1``, at more
    than ``degree`` places. The interval is Student's with ``n - degree - 1`` degrees of freedom,
    and right where the errors are independent, normal and equally large. Source: Draper and Smith,
    "Applied Regression Analysis", 3rd edition (1998), sections 1.4 and 5.1.
    """
    x, y = np.asarray(across, float), np.asarray(up, float)
    powers = np.vander(x - x.mean(), degree + 1)
    coefficients = np.linalg.lstsq(powers, y, rcond=None)[0]
    free = len(x) - degree - 1
    variance = float(np.sum((y - powers @ coefficients) ** 2)) / free
    half = _critical(free + 1) * math.sqrt(variance * np.linalg.inv(powers.T @ powers)[0, 0])
    value = float(coefficients[0])
    return Estimate(value, len(x), value - half, value + half)


def paired_p(
    one: Sequence[float], other: Sequence[float], scale: Scale = "linear", resolution: float = 0
) -> float:
    """The p-value of a paired two-sided t test: are the two different, seed by seed?

    ``one[k]`` and ``other[k]`` come from the same secret seed. 1.0 where nothing can be said: fewer
    than two pairs, or sequences of different lengths.
    """
    if len(one) != len(other) or len(one) < 2:
        return 1.0
    differences = _on_scale(one, scale) - _on_scale(other, scale)
    mean, spread = abs(float(differences.mean())), _spread(differences, resolution)
    if spread == 0:
        return 1.0 if mean == 0 else 0.0
    n = len(differences)
    return float(2 * special.stdtr(n - 1, -mean / (spread / math.sqrt(n))))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for being many: any of them below 0.05 by chance in 5 % of boards.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal
    of Statistics 6 (1979).
    """
    order = np.argsort(p_values)
    steps = (min(1.0, (len(order) - rank) * p_values[i]) for rank, i in enumerate(order))
    corrected = [0.0] * len(order)
    for i, value in zip(order, itertools.accumulate(steps, max), strict=True):
        corrected[i] = value
    return corrected


def apart(
    groups: Sequence[Sequence[Sequence[float]]],
    scale: Scale = "linear",
    resolution: float = 0,
    alpha: float = ALPHA,
) -> list[set[tuple[int, int]]]:
    """For each group of rows of samples the pairs ``(i, j)``, ``i < j``, that a paired test tells
    apart.

    The pairs of all groups are one family, corrected by ``holm``: in it any false separation has
    the probability ``alpha`` at most.
    """
    pairs = [
        (number, i, j)
        for number, rows in enumerate(groups)
        for i, j in itertools.combinations(range(len(rows)), 2)
    ]
    tests = [paired_p(groups[k][i], groups[k][j], scale, resolution) for k, i, j in pairs]
    found: list[set[tuple[int, int]]] = [set() for _ in groups]
    for (number, i, j), p in zip(pairs, holm(tests), strict=True):
        if p <= alpha:
            found[number].add((i, j))
    return found


def runs_to_tell(
    one: Sequence[float],
    other: Sequence[float],
    scale: Scale = "linear",
    resolution: float = 0,
    alpha: float = ALPHA,
) -> int | None:
    """About how many runs each would tell these two apart in four cases of five, if they go on
    like this.

    The power of a paired t test at the level ``alpha`` (Cohen, "Statistical Power Analysis", 1988).
    ``None`` if they can't be compared, or if ``MOST_RUNS`` would not do.
    """
    if len(one) != len(other) or len(one) < 2:
        return None
    differences = _on_scale(one, scale) - _on_scale(other, scale)
    mean, spread = abs(float(differences.mean())), _spread(differences, resolution)
    enough = (n for n in range(2, MOST_RUNS) if _power(mean, spread, n, alpha) >= 0.8)
    return next(enough, None) if mean > 0 else None


def _power(mean: float, spread: float, n: int, alpha: float) -> float:
    if spread == 0:
        return 1.0
    return 1 - float(special.nctdtr(n - 1, mean / spread * math.sqrt(n), _critical(n, alpha)))


def _critical(n: int, alpha: float = ALPHA) -> float:
    """Student's t, beyond which either way lies ``alpha`` of ``n`` samples' means."""
    return float(special.stdtrit(n - 1, 1 - alpha / 2))


def _spread(values: np.ndarray[Any, Any], resolution: float) -> float:
    return max(float(values.std(ddof=1)), resolution)


def _on_scale(values: Sequence[float], scale: Scale) -> np.ndarray[Any, Any]:
    array = np.asarray(values, float)
    return np.log(array) if scale == "log" else array


def _back(value: float, scale: Scale) -> float:
    return math.exp(value) if scale == "log" else value
