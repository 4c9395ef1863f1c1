"""Fitted exponents match the work done, and their intervals have the promised coverage."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from tinytorch_compete.errors import DataError
from tinytorch_compete.profiling import scaling
from tinytorch_compete.util.stats import leading

SIZES = [100, 200, 400, 800, 1600]


class Work:
    """Work that moves its own clock: each counted operation takes a second."""

    def __init__(self, cost: Callable[[int], float], held: Callable[[int], int] = int) -> None:
        self.now, self._cost, self._held = 0.0, cost, held

    def clock(self) -> float:
        return self.now

    def __call__(self, size: int) -> None:
        self.now += self._cost(size)
        np.zeros(self._held(size), np.uint8)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0, 3.0])
def test_the_exponent_of_time_is_that_of_the_operations(exponent: float) -> None:
    work = Work(lambda n: float(n**exponent))
    fit = scaling.fit(work, SIZES, clock=work.clock)
    assert fit.time.value == pytest.approx(exponent, abs=1e-6)
    assert fit.warnings == ()


def test_the_exponent_of_memory_is_that_of_the_arrays() -> None:
    work = Work(float, lambda n: n * n)
    fit = scaling.fit(work, SIZES, clock=work.clock)
    assert fit.memory is not None
    assert fit.memory.value == pytest.approx(2, abs=0.05)
    assert fit.peak_mib[-1] == pytest.approx(1600**2 / 2**20, rel=0.01)


def test_a_function_that_holds_nothing_has_no_exponent_of_memory() -> None:
    work = Work(float, lambda n: 1)
    assert scaling.fit(work, SIZES, clock=work.clock).memory is None


def test_making_the_work_is_not_measured() -> None:
    work, making = Work(float), Work(lambda n: float(n**3))
    making.now = 0.0

    def make(size: int) -> int:
        work.now += size**3
        return size

    fit = scaling.fit(work, SIZES, make, work.clock)
    assert fit.time.value == pytest.approx(1, abs=1e-6)


def test_a_fixed_cost_bends_the_fit_and_is_warned_of() -> None:
    work = Work(lambda n: 400.0**2 + n**2)
    (warning,) = scaling.fit(work, SIZES, clock=work.clock).warnings
    assert "time bends" in warning


def test_sizes_too_close_are_warned_of() -> None:
    work = Work(float)
    (warning,) = scaling.fit(work, [100, 150, 300], clock=work.clock).warnings
    assert "of 3;" in warning


@pytest.mark.parametrize("sizes", [[], [1, 2], [5, 5, 5], [0, 1, 2]])
def test_too_few_sizes_are_one_sentence(sizes: list[int]) -> None:
    with pytest.raises(DataError, match="at least 3"):
        scaling.fit(int, sizes)


def test_a_clock_that_stands_still_is_one_sentence() -> None:
    with pytest.raises(DataError, match="took no time"):
        scaling.fit(int, SIZES, clock=lambda: 1.0)


def test_a_trace_that_was_running_goes_on() -> None:
    work = Work(float)
    tracemalloc.start()
    try:
        scaling.fit(work, SIZES, clock=work.clock)
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("degree", [1, 2])
def test_the_interval_holds_the_truth_in_95_cases_of_100(degree: int) -> None:
    random, x = np.random.default_rng(7), np.log(SIZES)
    trials = 2000
    hit = 0
    for noise in random.normal(0, 0.1, (trials, len(x))):
        estimate = leading(x, 1.5 * x**degree + noise, degree)
        assert estimate.low is not None and estimate.high is not None
        hit += estimate.low <= 1.5 <= estimate.high
    assert hit / trials == pytest.approx(0.95, abs=0.02)


def test_the_picture_says_the_finding_aloud() -> None:
    work = Work(lambda n: float(n**2))
    fit = scaling.fit(work, SIZES, clock=work.clock)
    picture = fit.picture()
    assert 'role="img"' in picture.svg
    assert "n^2.00" in picture.alt
    assert all(f">{size}</text>" in picture.svg for size in SIZES)
    assert "var(--ink" in picture.svg
    assert "image/svg+xml" in fit._repr_mimebundle_()
