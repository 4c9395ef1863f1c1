"""Confidence intervals cover, tests keep their error rate, and too little data decides nothing."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tinytorch_compete.util import stats

RNG_SEED = 20260301


def rng() -> np.random.Generator:
    return np.random.default_rng(RNG_SEED)


def simulation_error(share: float, times: int) -> float:
    """Three standard errors of a share observed in ``times`` trials."""
    return 3 * math.sqrt(share * (1 - share) / times)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
@pytest.mark.parametrize("scale", ["linear", "log"])
def test_intervals_cover_the_truth_in_95_of_100(n: int, scale: stats.Scale) -> None:
    times = 3000
    draws = rng().normal(0.7, 0.2, (times, n))
    draws, truth = (np.exp(draws), math.exp(0.7)) if scale == "log" else (draws, 0.7)
    estimates = [stats.estimate(row, scale) for row in draws]
    covered = sum(estimate.low <= truth <= estimate.high for estimate in estimates) / times
    assert covered == pytest.approx(0.95, abs=simulation_error(0.95, times))


def test_a_resolution_makes_intervals_wider_and_never_narrower() -> None:
    draws = rng().normal(1, 0.02, (1000, 3))
    for row in draws:
        plain, floored = stats.estimate(row), stats.estimate(row, resolution=0.02)
        assert floored.high - floored.low >= plain.high - plain.low
        assert floored.value == plain.value


def test_an_estimate_agrees_with_scipy() -> None:
    values = rng().normal(10, 3, 7)
    estimate = stats.estimate(values)
    low, high = scipy_stats.t.interval(0.95, 6, values.mean(), scipy_stats.sem(values))
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx(
        (values.mean(), low, high)
    )


def test_ratios_have_geometric_means_and_intervals_that_invert_with_them() -> None:
    values = (0.5, 1.0, 4.0)
    one = stats.estimate(values, "log")
    other = stats.estimate([1 / value for value in values], "log")
    assert one.value == pytest.approx(scipy_stats.gmean(values))
    assert (other.low, other.high) == pytest.approx((1 / one.high, 1 / one.low))


def test_one_sample_has_no_interval() -> None:
    estimate = stats.estimate((3.0,), "log", 0.1)
    assert (estimate.value, estimate.n) == (pytest.approx(3.0), 1)
    assert (estimate.low, estimate.high) == (None, None)


def test_the_paired_test_agrees_with_scipy() -> None:
    generator = rng()
    for n in (2, 3, 5, 12):
        one = np.exp(generator.normal(0, 1, n))
        other = one * np.exp(generator.normal(0.3, 0.2, n))
        expected = scipy_stats.ttest_rel(one, other).pvalue
        assert stats.paired_p(one, other) == pytest.approx(expected)
        expected = scipy_stats.ttest_rel(np.log(one), np.log(other)).pvalue
        assert stats.paired_p(one, other, "log") == pytest.approx(expected)


@pytest.mark.parametrize(
    ("one", "other", "p"),
    [
        ((), (), 1.0),
        ((1.0,), (2.0,), 1.0),
        ((1.0, 2.0), (1.0, 2.0, 3.0), 1.0),
        ((1.0, 2.0, 3.0), (1.0, 2.0, 3.0), 1.0),
        ((1.0, 2.0, 3.0), (2.0, 3.0, 4.0), 0.0),
    ],
)
def test_too_little_or_too_regular_data_has_a_definite_p_value(
    one: tuple[float, ...], other: tuple[float, ...], p: float
) -> None:
    assert stats.paired_p(one, other) == p


def test_a_difference_below_the_resolution_is_not_significant() -> None:
    one, other = (1.0, 2.0, 3.0), (1.001, 2.001, 3.001)
    assert stats.paired_p(one, other) < 1e-6
    assert stats.paired_p(one, other, resolution=0.02) > 0.9


def test_holm_by_hand() -> None:
    """The smallest is multiplied by 4, the others by 3, 2 and 1; none falls below the last."""
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([0.5, 0.6]) == [1.0, 1.0]
    assert stats.holm([]) == []


def test_holm_rejects_what_stepping_down_rejects() -> None:
    """Holm's procedure as the paper states it: compare the k-th smallest with alpha / (m - k)."""
    generator = rng()
    for _ in range(200):
        values = generator.uniform(0, 0.05, 6) ** generator.uniform(0.5, 2)
        rejected = set()
        for k, place in enumerate(np.argsort(values)):
            if values[place] > stats.ALPHA / (len(values) - k):
                break
            rejected.add(int(place))
        corrected = stats.holm(values)
        assert {i for i, p in enumerate(corrected) if p <= stats.ALPHA} == rejected


@pytest.mark.parametrize("rows", [2, 6, 12])
def test_equal_submissions_are_separated_in_5_of_100_boards_at_most(rows: int) -> None:
    times = 600
    boards = rng().normal(1, 0.1, (times, rows, 5))
    wrong = sum(any(stats.apart([list(board)])) for board in boards) / times
    assert wrong <= 0.05 + simulation_error(0.05, times)


def test_clearly_different_submissions_are_separated() -> None:
    generator = rng()
    board = [level + generator.normal(0, 0.01, 5) for level in (1.0, 1.5, 2.0)]
    assert stats.apart([board]) == [set(itertools.combinations(range(3), 2))]


def test_a_board_of_at_most_one_submission_separates_nobody() -> None:
    assert stats.apart([]) == []
    assert stats.apart([[], [(1.0, 2.0)]]) == [set(), set()]


def test_equal_submissions_in_many_groups_are_one_family() -> None:
    times = 600
    boards = rng().normal(1, 0.1, (times, 5, 2, 5))
    wrong = sum(any(stats.apart([list(g) for g in board])) for board in boards) / times
    assert wrong <= 0.05 + simulation_error(0.05, times)


def test_the_needed_runs_distinguish_in_four_of_five_trials() -> None:
    one = np.array([0.0, 0.1, -0.1, 0.2, -0.2]) + 1.1
    other = np.ones(5)
    needed = stats.runs_to_tell(one, other)
    assert needed is not None
    times = 2000
    mean, spread = 0.1, (one - other).std(ddof=1)
    draws = rng().normal(mean, spread, (times, needed))
    significant = sum(stats.paired_p(row, np.zeros(needed)) <= stats.ALPHA for row in draws)
    assert significant / times == pytest.approx(0.8, abs=0.02 + simulation_error(0.8, times))


@pytest.mark.parametrize(
    ("one", "other", "runs"),
    [
        ((1.0,), (2.0,), None),
        ((1.0, 2.0), (1.0,), None),
        ((1.0, 2.0, 3.0), (1.0, 2.0, 3.0), None),
        ((1.0, 2.0, 3.0), (2.0, 3.0, 4.0), 2),
        ((1.0, -1.0), (-1.0, 1.0001), None),
    ],
)
def test_the_needed_runs_are_none_where_they_cannot_be_computed(
    one: tuple[float, ...], other: tuple[float, ...], runs: int | None
) -> None:
    assert stats.runs_to_tell(one, other) == runs


def test_a_fifth_of_wild_values_moves_the_centre_little() -> None:
    tame = rng().normal(1, 0.01, 20)
    wild = np.concatenate([tame[:16], [100.0] * 4])
    assert stats.hodges_lehmann(wild) == pytest.approx(1, abs=0.03)
    assert stats.hodges_lehmann((1.0, 3.0)) == 2.0
    assert stats.hodges_lehmann((7.0,)) == 7.0
