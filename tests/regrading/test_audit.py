"""When a rerun reproduces a result, when it differs only by noise, and when it differs."""

from __future__ import annotations

import msgspec
import pytest
from support.scored import CHALLENGE
from support.scored import scored as result

from tinytorch_compete.model import Verdict, Withdrawal
from tinytorch_compete.regrading import audit
from tinytorch_compete.regrading.audit import RerunComparison

N = 2000
OLD = result("ada", 0.9, 255.0)


def again(**changes: object) -> RerunComparison:
    """Compare ``OLD`` with a rerun that differs from it in ``changes``."""
    return audit.compare(CHALLENGE, OLD, msgspec.structs.replace(OLD, **changes), N)


def test_an_equal_result_reproduces() -> None:
    assert again(wall_s=9.0, peak_mib=250.0) == RerunComparison(OLD)


def test_another_verdict_is_a_difference() -> None:
    rerun = again(verdict=Verdict.OVER_TIME, message="stopped")
    assert rerun.differences == ("verdict OK, again OVER_TIME (stopped)",)


def test_other_points_from_the_same_answers_are_a_difference() -> None:
    assert again(points=7.1).differences == ("points 7.0, again 7.1",)
    assert again(points=None).differences == ("points 7.0, again None",)


@pytest.mark.parametrize(("accuracy", "points"), [(0.9131, 7.2), (0.8869, 6.8), (0.91, 7.0)])
def test_a_share_within_its_interval_is_noise_and_is_named(accuracy: float, points: float) -> None:
    rerun = again(metrics={"accuracy": accuracy}, points=points)
    assert rerun.differences == ()
    assert rerun.noise[0] == f"accuracy 0.9000, again {accuracy:.4f} (within 0.0131)"


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": {"accuracy": 0.9133}},
        {"metrics": {}},
        {"metrics": {"accuracy": 0.9, "more": 1.0}},
        {"metrics": {"accuracy": 0.91}, "points": 8.0},
    ],
)
def test_a_value_outside_its_tolerance_is_a_difference(changes: dict[str, object]) -> None:
    assert again(**changes).differences


def test_a_figure_that_is_no_share_must_be_equal() -> None:
    old = msgspec.structs.replace(OLD, metrics={"flops": 0.5})
    new = msgspec.structs.replace(OLD, metrics={"flops": 0.50001})
    assert audit.compare(CHALLENGE, old, new, N).differences


def test_a_peak_at_the_edge_of_a_division_may_fall_on_its_other_side() -> None:
    near = again(division="512 MiB", peak_mib=257.0, points=6.1)
    assert near.differences == ()
    assert "near its edge" in near.noise[0]
    assert again(division="512 MiB", peak_mib=300.0, points=6.1).differences


def test_faults_and_withdrawn_results_are_not_graded_again() -> None:
    fault = result("bob", 0.9, 10, Verdict.FAULT)
    finding = Withdrawal(OLD.identity, "aa", "why", OLD.graded_at)
    gone = msgspec.structs.replace(OLD, withdrawal=finding)
    assert audit.candidates([fault, gone, OLD]) == [OLD]
