"""The order of suggestions, and how their gain is described."""

from __future__ import annotations

import msgspec
import pytest

from tinytorch_compete import insights
from tinytorch_compete.model import FixTrial, Insight, Verdict
from tinytorch_compete.suggestions import selection

PLAIN = Insight("float64", "cell:a", (2,), "look", "why", "change", "float64")


def insight(before: float, after: float, diff: str = "", name: str = "float64") -> Insight:
    trial = FixTrial(10.0, 10.0, before, after, True)
    return msgspec.structs.replace(PLAIN, name=name, trial=trial, diff=diff)


def test_the_largest_measured_gain_comes_first_and_what_was_not_tried_last() -> None:
    small, large = insight(100, 90, name="small"), insight(100, 20, name="large")
    assert selection.ordered([PLAIN, small, large]) == (large, small, PLAIN)


def test_what_is_not_tried_keeps_the_order_of_its_cost() -> None:
    second = msgspec.structs.replace(PLAIN, name="second")
    assert selection.ordered([PLAIN, second]) == (PLAIN, second)


@pytest.mark.parametrize(
    ("verdict", "names"),
    [
        (Verdict.OK, ["unshuffled", "loop-over-pixels", "whole-dataset"]),
        (Verdict.OVER_TIME, ["loop-over-pixels", "whole-dataset", "unshuffled"]),
        (Verdict.OVER_MEMORY, ["whole-dataset", "loop-over-pixels", "unshuffled"]),
    ],
)
def test_what_stopped_a_run_comes_before_what_it_could_learn(
    verdict: Verdict, names: list[str]
) -> None:
    untried = [
        msgspec.structs.replace(PLAIN, name=name)
        for name in ("unshuffled", "loop-over-pixels", "whole-dataset")
    ]
    assert [insight.name for insight in selection.ordered(untried, verdict)] == names


def test_every_kind_about_memory_is_one_that_there_is() -> None:
    assert {detector.name for detector in insights.DETECTORS} >= insights.ABOUT_MEMORY


def test_only_what_can_be_changed_is_a_candidate_and_no_more_than_asked_for() -> None:
    source = "import numpy as np\nx = np.ones((9, 2**17))\ny = np.zeros((9, 2**17))\n"
    both = [msgspec.structs.replace(PLAIN, lines=(line,)) for line in (2, 3)]
    by_hand = msgspec.structs.replace(PLAIN, name="whole-dataset")
    chosen = selection.candidates([by_hand, *both], {"cell:a": source}, 1)
    assert len(chosen) == 1
    assert chosen[0][0].name == "float64"
    assert "float32" in chosen[0][1]


def test_no_more_is_rewritten_than_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    rewritten: list[Insight] = []

    def rewrite(source: str, insight: Insight) -> str:
        rewritten.append(insight)
        return source

    monkeypatch.setattr(insights, "rewrite", rewrite)
    selection.candidates([PLAIN] * 5, {"cell:a": ""}, 2)
    assert len(rewritten) == 2


def test_the_smallest_change_is_the_one_with_the_fewest_lines() -> None:
    head = "--- a\n+++ b\n"
    one, two = insight(9, 8, head + "-x\n+y\n"), insight(9, 8, head + "-x\n-z\n+y\n")
    assert selection.smallest_first([two, PLAIN, one]) == [one, two]


def test_of_two_trials_the_least_of_each_figure_counts() -> None:
    one, other = FixTrial(2.0, 1.0, 50.0, 40.0, True), FixTrial(1.9, 1.1, 51.0, 39.0, False)
    assert selection.lowest(one, other) == FixTrial(1.9, 1.0, 50.0, 39.0, False)


@pytest.mark.parametrize(
    ("trial", "words"),
    [
        (FixTrial(1.0, 1.0, 412.4, 258.0, True), "peak 412 → 258 MiB, same answers"),
        (FixTrial(2.5, 0.5, 50.0, 50.0, True), "CPU time 2.50 s → 500 ms, same answers"),
        (FixTrial(9.89, 9.47, 706.0, 243.0, True), "peak 706 → 243 MiB, same answers"),
        (
            FixTrial(2.0, 1.0, 80.0, 40.0, True),
            "peak 80 → 40 MiB, CPU time 2.00 s → 1.00 s, same answers",
        ),
    ],
)
def test_a_gain_is_said_in_what_was_gained(trial: FixTrial, words: str) -> None:
    assert selection.gained(trial) == words


def test_a_place_names_the_source_and_a_few_of_its_lines() -> None:
    assert selection.where(PLAIN) == "Cell a, line 2"
    many = msgspec.structs.replace(PLAIN, source="tinytorch/nn.py", lines=tuple(range(1, 9)))
    assert selection.where(many) == "tinytorch/nn.py, lines 1, 2, 3, 4, 5, 6 …"
