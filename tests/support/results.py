"""Fictitious results."""

from __future__ import annotations

import datetime as dt

from tinytorch_compete.model import CellResult, Identity, Limits, Result, Verdict


def result(student: str = "ada", verdict: Verdict = Verdict.OK, points: float | None = 7.0):
    identity = Identity(
        student, "c", "aa", "bb", "cc", "dd", "shapes32:ee", Limits(memory_mib=64, wall_s=1)
    )
    return Result(
        identity=identity,
        verdict=verdict,
        message="",
        points=points,
        max_points=10.0,
        tier="expert",
        division="64 MiB",
        metrics={"accuracy": 0.91},
        cells=(CellResult("holdout", 7.0, 10.0, "fine"),),
        wall_s=1.5,
        cpu_s=1.25,
        peak_mib=32.5,
        baseline_mib=40.0,
        layers=("bubblewrap",),
        versions={"python": "3.13.0"},
        files={"c.ipynb": "ff"},
        graded_at=dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
    )
