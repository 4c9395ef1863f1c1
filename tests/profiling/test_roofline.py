"""A machine's roof is measured by a clock, kept once a machine, and read with its noise."""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec
import pytest

from tinytorch_compete.profiling import roofline
from tinytorch_compete.profiling.roofline import Rate, Roof


def rate(median: float) -> Rate:
    return Rate(median, median * 0.9, median * 1.2)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Roof:
    monkeypatch.setattr(roofline, "user_cache_path", lambda _: tmp_path)
    ticks = itertools.count()
    return roofline.measure(lambda: float(next(ticks)), elements=1000, side=10)


def test_rates_are_units_by_the_clock(made: Roof) -> None:
    assert made.bandwidth.median == 3 * 8 * 1000  # of Copy and Add the better
    assert made.fresh.median == 8 * 1000
    assert made.float32.median == made.float64.median == 2 * 10**3
    assert made.call_s == pytest.approx(1 / roofline.CALLS)
    assert made.bandwidth.spread == 0


def test_a_roof_is_that_of_memory_up_to_the_ridge_and_flat_beyond() -> None:
    measured_at = msgspec.json.decode('"2020-01-01T00:00:00Z"', type=roofline.datetime.datetime)
    found = Roof("m", measured_at,
                 rate(10.0), rate(1.0), rate(80.0), rate(40.0), 1e-6, 2**25)  # fmt: skip
    assert found.ridge("float32") == 8
    assert found.ridge("float64") == 4
    assert found.attainable(2, "float32") == 20
    assert found.attainable(8, "float32") == found.attainable(100, "float32") == 80
    assert found.float32.spread == pytest.approx(0.3)


def test_a_roof_is_kept_for_this_machine_alone(made: Roof, monkeypatch: pytest.MonkeyPatch) -> None:
    assert roofline.kept() is None
    roofline.keep(made)
    assert roofline.kept() == made
    monkeypatch.setattr(roofline, "machine", lambda: "another one")
    assert roofline.kept() is None


def test_a_damaged_file_is_measured_anew(made: Roof) -> None:
    roofline.keep(made)
    roofline.place().write_text('{"machine": 1')
    assert roofline.kept() is None
