"""Which trials of a change are worth showing."""

from __future__ import annotations

import numpy as np
import pytest

from tinytorch_compete.insights import Measurement, equal, gain, trial, worth_showing

BEFORE = Measurement(10.0, 400.0)
ANSWER = {"scores": np.linspace(0, 1, 50, dtype=np.float32)}


@pytest.mark.parametrize(
    ("after", "shown"),
    [
        (Measurement(5.0, 400.0), True),
        (Measurement(10.0, 250.0), True),
        (Measurement(5.0, 250.0), True),
        (Measurement(9.5, 399.0), False),
        (Measurement(5.0, 500.0), False),
        (Measurement(15.0, 250.0), False),
        (Measurement(10.0, 400.0), False),
    ],
)
def test_a_gain_above_noise_is_shown_if_nothing_gets_worse(after: Measurement, shown: bool) -> None:
    assert worth_showing(trial(BEFORE, after, ANSWER, ANSWER)) is shown


def test_a_change_that_alters_the_answers_is_never_shown() -> None:
    other = {"scores": ANSWER["scores"] + np.float32(0.5)}
    tried = trial(BEFORE, Measurement(1.0, 10.0), ANSWER, other)
    assert not tried.same
    assert not worth_showing(tried)


def test_a_missing_answer_counts_as_a_different_answer() -> None:
    assert not trial(BEFORE, BEFORE, ANSWER, {}).same


def test_less_than_two_mib_of_a_small_run_is_noise() -> None:
    tried = trial(Measurement(1.0, 20.0), Measurement(1.0, 18.5), ANSWER, ANSWER)
    assert not worth_showing(tried)


def test_an_answer_rounded_to_float32_is_still_equal() -> None:
    wide = np.random.default_rng(0).standard_normal(1000)
    assert equal(wide, wide.astype(np.float32))


def test_sums_near_zero_may_lose_as_many_digits_as_their_terms() -> None:
    rng = np.random.default_rng(0)
    rows, columns = rng.standard_normal((300, 400)), rng.standard_normal((400, 300))
    narrow = rows.astype(np.float32) @ columns.astype(np.float32)
    assert np.abs(rows @ columns).min() < 1e-3
    assert equal(rows @ columns, narrow)
    assert not equal(rows @ columns, narrow + np.float32(0.01))


def test_one_class_number_in_a_hundred_may_differ_and_two_may_not() -> None:
    labels = np.zeros(100, dtype=np.int64)
    one, two = labels.copy(), labels.copy()
    one[0] = 1
    two[:2] = 1
    assert equal(labels, one)
    assert not equal(labels, two)


@pytest.mark.parametrize("other", [np.zeros((10, 1)), np.array(["a"] * 10), np.full(10, np.nan)])
def test_other_shapes_kinds_and_numbers_are_not_equal(other: object) -> None:
    assert not equal(np.zeros(10), other)


def test_the_gain_is_the_larger_share() -> None:
    assert gain(trial(BEFORE, Measurement(9.0, 100.0), ANSWER, ANSWER)) == 0.75
