"""Speedups and instructions, computed from the answers to timed probes."""

from __future__ import annotations

import pytest

from tinytorch_compete.judging import metrics
from tinytorch_compete.model import Answer, Cost, Round
from tinytorch_compete.sandbox.timing import clocks


def answer(*pairs: tuple[float, float], share: float = 1.0, counted: int | None = None) -> Answer:
    """An answer of rounds that took (own, reference) CPU seconds."""
    return Answer(
        rounds=tuple(
            Round(n, {}, Cost(own / share, own, counted), Cost(theirs, theirs))
            for n, (own, theirs) in enumerate(pairs)
        )
    )


def test_half_the_seconds_is_twice_as_fast() -> None:
    assert metrics.speedup(answer(*[(1.0, 2.0)] * 6)) == pytest.approx(2.0)


def test_a_drift_of_the_machine_cancels_in_a_block() -> None:
    drifting = [(1.0, 2.2), (1.1, 2.0), (1.3, 2.8), (1.4, 2.6)]
    assert metrics.speedup(answer(*drifting)) == pytest.approx(2.0)


def test_a_few_wild_rounds_hardly_move_the_ratio() -> None:
    wild = [(1.0, 2.0)] * 16 + [(40.0, 2.0)] * 4
    assert metrics.speedup(answer(*wild)) == pytest.approx(2.0, rel=0.01)


def test_without_rounds_there_is_a_reason_and_no_ratio() -> None:
    assert metrics.speedup(Answer(problem="no answer")) == "no answer"
    assert metrics.speedup(Answer()) == metrics.UNASKED


def test_instructions_count_only_where_all_were_counted() -> None:
    assert metrics.instructions(answer((1, 1), (1, 1), counted=3_000_000)) == 3.0
    assert metrics.instructions(answer((1, 1), (1, 1))) is None
    assert metrics.instructions(Answer()) is None


@pytest.mark.parametrize(
    ("share", "words"),
    [(1.0, None), (1.4, None), (0.7, None), (2.0, "used 2.00 cores"), (0.5, "worked in 50%")],
)
def test_clocks_that_disagree_beyond_the_bound_are_flagged(share: float, words: str | None) -> None:
    flags = clocks.clock_flags(answer(*[(1.0, 1.0)] * 4, share=share).rounds)
    assert [words in flag for flag in flags] == ([True] if words else [])


@pytest.mark.parametrize(("share", "whole"), [(0.01, True), (0.8, False)])
def test_cpu_seconds_that_can_be_believed_count(share: float, whole: bool) -> None:
    rounds = [Round(n, {}, Cost(1.0 / share, 1.0, None, whole), Cost(1.0, 1.0)) for n in range(4)]
    assert clocks.vouched(rounds) == rounds
    assert metrics.speedup(Answer(rounds=tuple(rounds))) == pytest.approx(1.0)


def test_hidden_cpu_seconds_are_replaced_by_wall_time_at_the_references_share() -> None:
    rounds = [Round(n, {}, Cost(2.0, 0.01, None, False), Cost(1.0, 0.5)) for n in range(4)]
    believed = tuple(clocks.vouched(rounds))
    assert metrics.speedup(Answer(rounds=believed)) == pytest.approx(0.5)


def test_waiting_for_a_core_costs_nothing_in_rounds_that_can_hide_nothing() -> None:
    # each waited for 8 s, which is a larger share of the shorter one
    waited = [Round(n, {}, Cost(10.0, 2.0), Cost(14.0, 6.0)) for n in range(8)]
    doubtful = [Round(n, {}, Cost(10.0, 2.0, None, False), Cost(14.0, 6.0)) for n in range(2)]
    believed = clocks.vouched([*waited, *doubtful])
    assert believed[:8] == waited
    assert believed[8].own.cpu_s == pytest.approx(10.0 * 6 / 14)
    assert metrics.speedup(Answer(rounds=tuple(believed))) == pytest.approx(3.0)


def test_a_round_that_waited_makes_no_other_round_cheaper() -> None:
    waited = [Round(0, {}, Cost(50.0, 1.0, None, False), Cost(3.0, 3.0))]
    quick = [Round(n, {}, Cost(1e-6, 1.0, None, False), Cost(3.0, 3.0)) for n in range(1, 12)]
    believed = tuple(clocks.vouched([*waited, *quick]))
    assert metrics.speedup(Answer(rounds=believed)) == pytest.approx(3.0)
