"""fast-convolution pays for correct values, and for less CPU time than the reference takes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinytorch_compete.authoring import samples
from tinytorch_compete.challenges import packs
from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.datasets import prepare
from tinytorch_compete.judging.exam import Exam
from tinytorch_compete.judging.grader import Grader
from tinytorch_compete.model import Answer, Cost, Evidence, Judgement, Round, Timed
from tinytorch_compete.submissions import notebook

Array = np.ndarray[Any, Any]
Convolution = Callable[[Array, Array], Array]
QUESTIONS = 4


@pytest.fixture(scope="module")
def challenge() -> Challenge:
    return packs.find()["fast-convolution"]


@pytest.fixture(scope="module")
def exam(tmp_path_factory: pytest.TempPathFactory) -> Exam:
    data = prepare("digits", train=1000, public=100, cache=tmp_path_factory.mktemp("cache"))
    return Exam(data, seed=7, holdout_n=400)


def answer_of(challenge: Challenge, name: str) -> Convolution:
    """The function of a sample submission that is safe to run in this process."""
    source = notebook.read(samples.samples(challenge)[name].notebook).cells[0].source
    namespace: dict[str, Any] = {"np": np}
    exec(source, namespace)  # noqa: S102 - our own sample
    conv2d: Convolution = namespace["conv2d"]
    return conv2d


def judged(
    challenge: Challenge, exam: Exam, conv2d: Convolution, speedup: float = 1.0
) -> Judgement:
    """The judgement of a function that took the reference's seconds divided by ``speedup``."""
    grader = Grader(challenge.grader_folder / "grader.py")
    asked = grader.inputs(exam)
    small, timed = asked["correct"], asked["speed"]
    assert isinstance(timed, Timed) and not isinstance(small, Timed)
    rounds = []
    for number in range(QUESTIONS):
        arrays = {"out": conv2d(**timed.make(number).arrays)}
        rounds.append(Round(number, arrays, Cost(0.1, 0.1), Cost(0.1 * speedup, 0.1 * speedup)))
    answers = {
        "correct": Answer(arrays={"out": conv2d(**small.arrays)}),
        "speed": Answer(rounds=tuple(rounds)),
    }
    return grader.judge(Evidence(answers, 10.0), exam)


@pytest.mark.parametrize("name", ["gold", "shifted", "one_by_one", "float64", "same_as_reference"])
def test_a_right_answer_earns_by_its_speed(challenge: Challenge, exam: Exam, name: str) -> None:
    judgement = judged(challenge, exam, answer_of(challenge, name), speedup=1.3)
    assert [judgement.cells[cell].score for cell in ("correct", "speed")] == [
        1.0,
        pytest.approx(0.8),
    ]
    assert judgement.metrics["speedup"] == pytest.approx(1.3)


@pytest.mark.parametrize(
    ("speedup", "score"), [(0.03, 0.0), (0.04, 0.2), (0.5, 0.5), (1.3, 0.8), (2.0, 1.0), (9.0, 1.0)]
)
def test_points_rise_with_speed(
    challenge: Challenge, exam: Exam, speedup: float, score: float
) -> None:
    judgement = judged(challenge, exam, answer_of(challenge, "gold"), speedup)
    assert judgement.cells["speed"].score == pytest.approx(score)


@pytest.mark.parametrize("name", ["half", "remembers", "wrong"])
def test_what_is_wrong_anywhere_has_no_speed(challenge: Challenge, exam: Exam, name: str) -> None:
    judgement = judged(challenge, exam, answer_of(challenge, name), speedup=50.0)
    assert judgement.metrics == {}
    assert judgement.cells["speed"].score == 0
    assert "question" in judgement.cells["speed"].message


@pytest.mark.parametrize(
    "answer",
    [
        lambda images, weights: np.zeros(3),
        lambda images, weights: np.full((len(images), len(weights), *images.shape[2:]), np.nan),
        lambda images, weights: np.zeros((len(images), len(weights), *images.shape[2:]), int),
    ],
)
def test_other_shapes_types_and_nan_earn_nothing(challenge: Challenge, exam: Exam, answer) -> None:
    judgement = judged(challenge, exam, answer, speedup=50.0)
    assert (judgement.metrics, {cell.score for cell in judgement.cells.values()}) == ({}, {0.0})


def test_no_answer_earns_nothing_and_says_why(challenge: Challenge, exam: Exam) -> None:
    grader = Grader(challenge.grader_folder / "grader.py")
    answers = {
        name: Answer(problem="the run ended before this cell") for name in ("correct", "speed")
    }
    judgement = grader.judge(Evidence(answers, 10.0), exam)
    assert {cell.message for cell in judgement.cells.values()} == {"the run ended before this cell"}


def test_questions_are_new_and_the_same_for_everybody(challenge: Challenge, exam: Exam) -> None:
    timed, again = (
        Grader(challenge.grader_folder / "grader.py").inputs(exam)["speed"] for _ in "ab"
    )
    assert isinstance(timed, Timed) and isinstance(again, Timed)
    first, same, other = timed.make(0).arrays, again.make(0).arrays, timed.make(1).arrays
    np.testing.assert_array_equal(first["images"], same["images"])
    assert not np.array_equal(first["images"], other["images"])


def test_the_reference_is_an_answer_like_any_other(challenge: Challenge, exam: Exam) -> None:
    assert challenge.reference() is not None
    judgement = judged(challenge, exam, answer_of(challenge, "same_as_reference"), speedup=1.0)
    assert math.isclose(judgement.metrics["speedup"], 1.0)
