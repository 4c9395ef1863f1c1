"""Statistics of a few noisy samples: estimates with confidence intervals, and paired tests.

One sample is one run of one submission with one secret seed, in a fresh kernel. Repeats within a
run are not independent samples: a process keeps its memory layout, lucky or not, for as long as it
lives, so its repeats agree with each other better than with the next run's.
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
    """A figure from ``n`` samples and its 95 % confidence interval; a single sample has none."""

    value: float
    n: int
    low: float | None = None
    high: float | None = None


def estimate(samples: Sequence[float], scale: Scale = "linear", resolution: float = 0) -> Estimate:
    """Return the mean of the samples and its two-sided Student t interval; ``n >= 1``.

    On the ``log`` scale, it is the geometric mean, with the interval computed on logarithms.
    ``resolution`` is the smallest credible standard deviation (see ``Metric``), because a few
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
    """Return the median of all pairwise means.

    It is about as precise as the mean, and even a fifth of outliers can't move it far. For
    differences of two equally noisy figures, which are symmetric about their centre, it is
    unbiased. Source: Hodges and Lehmann, "Estimates of location based on rank tests", Annals of
    Mathematical Statistics 34 (1963).
    """
    array = np.asarray(values, float)
    first, second = np.triu_indices(len(array))
    return float(np.median((array[first] + array[second]) / 2))


def leading(across: Sequence[float], up: Sequence[float], degree: int = 1) -> Estimate:
    """Return the least-squares polynomial's leading coefficient and its 95 % confidence interval.

    With ``degree`` 1 it is the slope of a straight line. Pass more than ``degree + 1`` points, at
    more than ``degree`` places. The interval is Student's with ``n - degree - 1`` degrees of
    freedom, and valid if the errors are independent, normal and equally large. Source: Draper and
    Smith, "Applied Regression Analysis", 3rd edition (1998), sections 1.4 and 5.1.
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
    """Return the p-value of a paired two-sided t test: do the two differ, seed by seed?

    ``one[k]`` and ``other[k]`` come from the same secret seed. The p-value is 1.0 if no test is
    possible: fewer than two pairs, or sequences of different lengths.
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
    """Return the p-values corrected for multiple testing.

    Some corrected p-value is below 0.05 by chance in at most 5 % of leaderboards.

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
    """Return, for each group of rows of samples, the statistically distinguishable pairs.

    A pair is ``(i, j)``, ``i < j``, whose paired test is significant. The pairs of all groups are
    one family, corrected by ``holm``: the probability of any false separation in it is at most
    ``alpha``.
    """
    pairs = [
        (number, i, j)
        for number, rows in enumerate(groups)
        for i, j in itertools.combinations(range(len(rows)), 2)
    ]
    tests = [paired_p(groups[k][i], groups[k][j], scale, resolution) for k, i, j in pairs]
    distinguishable: list[set[tuple[int, int]]] = [set() for _ in groups]
    for (number, i, j), p in zip(pairs, holm(tests), strict=True):
        if p <= alpha:
            distinguishable[number].add((i, j))
    return distinguishable


def runs_to_tell(
    one: Sequence[float],
    other: Sequence[float],
    scale: Scale = "linear",
    resolution: float = 0,
    alpha: float = ALPHA,
) -> int | None:
    """Estimate how many runs each would make these two distinguishable in four cases of five.

    The estimate assumes that future runs are like these, and uses the power of a paired t test at
    the level ``alpha`` (Cohen, "Statistical Power Analysis", 1988). It is ``None`` if the two can't
    be compared, or if ``MOST_RUNS`` would not be enough.
    """
    if len(one) != len(other) or len(one) < 2:
        return None
    differences = _on_scale(one, scale) - _on_scale(other, scale)
    mean, spread = abs(float(differences.mean())), _spread(differences, resolution)
    sufficient = (n for n in range(2, MOST_RUNS) if _power(mean, spread, n, alpha) >= 0.8)
    return next(sufficient, None) if mean > 0 else None


def _power(mean: float, spread: float, n: int, alpha: float) -> float:
    if spread == 0:
        return 1.0
    return 1 - float(special.nctdtr(n - 1, mean / spread * math.sqrt(n), _critical(n, alpha)))


def _critical(n: int, alpha: float = ALPHA) -> float:
    """Return the two-sided critical value of Student's t for ``n`` samples at level ``alpha``."""
    return float(special.stdtrit(n - 1, 1 - alpha / 2))


def _spread(values: np.ndarray[Any, Any], resolution: float) -> float:
    return max(float(values.std(ddof=1)), resolution)


def _on_scale(values: Sequence[float], scale: Scale) -> np.ndarray[Any, Any]:
    array = np.asarray(values, float)
    return np.log(array) if scale == "log" else array


def _back(value: float, scale: Scale) -> float:
    return math.exp(value) if scale == "log" else value
