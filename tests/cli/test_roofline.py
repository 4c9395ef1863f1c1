"""``tito compete doctor --roofline`` as a student reads it."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from tinytorch_compete.cli import roofline
from tinytorch_compete.cli.app import run
from tinytorch_compete.profiling import roofline as profiling_roofline
from tinytorch_compete.profiling.roofline import Rate, Roof

ROOF = Roof(
    "lab, a CPU, numpy 2",
    datetime.datetime(2026, 5, 4, tzinfo=datetime.UTC),
    Rate(10e9, 9e9, 11e9),
    Rate(1e9, 0.9e9, 1.1e9),
    Rate(80e9, 40e9, 90e9),
    Rate(40e9, 39e9, 41e9),
    1e-6,
    2**25,
)


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(profiling_roofline, "user_cache_path", lambda _: tmp_path)
    monkeypatch.setattr(profiling_roofline, "machine", lambda: ROOF.machine)


def test_the_roof_is_shown_with_its_ridge_and_its_noise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(profiling_roofline, "measure", lambda: ROOF)
    assert run(["doctor", "--roofline"], "t") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "8.0 flop/byte in float32, 4.0 in float64" in shown
    assert shown.count("noisy") == 1
    assert "2026-05-04" in shown


def test_a_machine_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []
    monkeypatch.setattr(profiling_roofline, "measure", lambda: measured.append(1) or ROOF)
    assert run(["doctor", "--roofline"], "t") == run(["doctor", "--roofline"], "t") == 0
    assert measured == [1]


def test_the_picture_rises_to_the_ridge_and_is_flat_beyond() -> None:
    lines = roofline.picture(ROOF)
    first, last = lines[1], lines[-3]
    assert first.startswith("     80 │")
    assert first.rstrip().endswith("●●●")
    assert last.split("│")[1].startswith("●")
    widest = max(len(line) for line in lines)
    assert widest < 80
