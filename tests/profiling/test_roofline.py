"""A machine's roof is measured with a clock, saved for that machine, and read with its noise."""

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
def roof(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Roof:
    monkeypatch.setattr(roofline, "user_cache_path", lambda _: tmp_path)
    ticks = itertools.count()
    return roofline.measure(lambda: float(next(ticks)), elements=1000, side=10)


def test_rates_are_units_by_the_clock(roof: Roof) -> None:
    assert roof.bandwidth.median == 3 * 8 * 1000  # the better of Copy and Add
    assert roof.fresh.median == 8 * 1000
    assert roof.float32.median == roof.float64.median == 2 * 10**3
    assert roof.call_s == pytest.approx(1 / roofline.CALLS)
    assert roof.bandwidth.spread == 0


def test_a_roof_is_that_of_memory_up_to_the_ridge_and_flat_beyond() -> None:
    measured_at = msgspec.json.decode('"2020-01-01T00:00:00Z"', type=roofline.datetime.datetime)
    roof = Roof("m", measured_at,
                 rate(10.0), rate(1.0), rate(80.0), rate(40.0), 1e-6, 2**25)  # fmt: skip
    assert roof.ridge("float32") == 8
    assert roof.ridge("float64") == 4
    assert roof.attainable(2, "float32") == 20
    assert roof.attainable(8, "float32") == roof.attainable(100, "float32") == 80
    assert roof.float32.spread == pytest.approx(0.3)


def test_a_roof_is_kept_for_this_machine_alone(roof: Roof, monkeypatch: pytest.MonkeyPatch) -> None:
    assert roofline.load() is None
    roofline.save(roof)
    assert roofline.load() == roof
    monkeypatch.setattr(roofline, "machine", lambda: "another one")
    assert roofline.load() is None


def test_a_damaged_file_is_measured_anew(roof: Roof) -> None:
    roofline.save(roof)
    roofline.path().write_text('{"machine": 1')
    assert roofline.load() is None
