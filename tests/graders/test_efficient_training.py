"""efficient-training pays for accuracy on unseen images, and for using little memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinytorch_compete.challenges import packs
from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.datasets import prepare
from tinytorch_compete.judging.exam import Exam
from tinytorch_compete.judging.grader import Grader
from tinytorch_compete.model import Answer, Evidence, Judgement
from tinytorch_compete.submissions import notebook

Array = np.ndarray[Any, Any]
HOLDOUT = 400


@pytest.fixture(scope="module")
def challenge() -> Challenge:
    return packs.find()["efficient-training"]


@pytest.fixture(scope="module")
def exam(tmp_path_factory: pytest.TempPathFactory) -> Exam:
    cache = tmp_path_factory.mktemp("cache")
    return Exam(prepare("shapes32", train=40, public=500, cache=cache), seed=7, holdout_n=HOLDOUT)


class Student:
    """Answers all questions correctly, or a given share of those on the holdout."""

    def __init__(self, challenge: Challenge, exam: Exam) -> None:
        names = exam.class_names()
        self.grader, self.exam = Grader(challenge.grader_folder / "grader.py"), exam
        self.public = names[exam.check[1]].astype(np.int64)
        self.holdout = names[exam.holdout[1]].astype(np.int64)

    def knows(self, share: float) -> Student:
        """Make it wrong about all holdout images but the first ``share`` of them."""
        wrong = np.arange(HOLDOUT) >= share * HOLDOUT
        self.holdout = (self.holdout + wrong) % 10
        return self

    def judged(self, peak_mib: float = 100.0, **sent: Array | Answer | None) -> Judgement:
        """The judgement of its answers, some replaced by an array, an answer or ``None``."""
        arrays = {"training": self.public, "holdout": self.holdout} | sent
        answers = {
            probe: array if isinstance(array, Answer) else Answer(arrays={"labels": array})
            for probe, array in arrays.items()
            if array is not None
        }
        return self.grader.judge(Evidence(answers, peak_mib), self.exam)


@pytest.fixture
def student(challenge: Challenge, exam: Exam) -> Student:
    return Student(challenge, exam)


def scores(judgement: Judgement) -> tuple[float, ...]:
    return tuple(round(cell.score, 6) for cell in judgement.cells.values())


def test_the_judge_knows_the_cells_of_the_notebook(challenge: Challenge, student: Student) -> None:
    assert list(student.judged().cells) == list(notebook.points(challenge.master()))


def test_perfect_answers_in_little_memory_earn_everything(student: Student) -> None:
    judgement = student.judged()
    assert scores(judgement) == (1, 1, 1)
    assert judgement.metrics == {"accuracy": 1.0}


@pytest.mark.parametrize(
    ("peak_mib", "score", "words"),
    [
        (256.0, 1.0, "the 256 MiB division"),
        (256.1, 0.7, "the 512 MiB division"),
        (512.1, 0.4, "the 1024 MiB division"),
        (1024.1, 0.0, "beyond the largest division"),
    ],
)
def test_memory_is_paid_by_division(
    student: Student, peak_mib: float, score: float, words: str
) -> None:
    cell = student.judged(peak_mib).cells["memory"]
    assert cell.score == score
    assert words in cell.message


def test_the_divisions_are_the_challenges_own(challenge: Challenge, student: Student) -> None:
    paid = [student.judged(d.peak_mib).cells["memory"] for d in challenge.spec.divisions]
    assert [cell.message.split(": the ")[1] for cell in paid] == [
        f"{d.name} division." for d in challenge.spec.divisions
    ]


def test_memory_counts_for_a_model_worth_the_name_only(student: Student) -> None:
    cell = student.knows(0.49).judged().cells["memory"]
    assert cell.score == 0
    assert "this model is at 49.0%" in cell.message


@pytest.mark.parametrize(
    ("share", "score"), [(0.1, 0), (0.2, 0.2), (0.5, 0.5), (0.75, 0.8), (0.9, 1)]
)
def test_the_holdout_is_paid_by_the_ladder(student: Student, share: float, score: float) -> None:
    judgement = student.knows(share).judged()
    assert judgement.cells["holdout"].score == pytest.approx(score)
    assert judgement.metrics["accuracy"] == pytest.approx(share)


def test_chance_earns_nothing(student: Student) -> None:
    student.public, student.holdout = np.zeros(500, np.int64), np.zeros(HOLDOUT, np.int64)
    judgement = student.judged()
    assert scores(judgement) == (0, 0, 0)
    assert "about what guessing gives" in judgement.cells["training"].message


def test_the_real_class_numbers_earn_no_training_and_no_memory(student: Student) -> None:
    exam = student.exam
    judgement = student.judged(training=exam.check[1], holdout=exam.holdout[1])
    assert judgement.cells["training"].score == judgement.cells["memory"].score == 0


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.full(HOLDOUT, np.nan), "got float64"),
        (np.zeros((HOLDOUT, 10), np.int64), "of shape (400, 10)"),
        (np.full(HOLDOUT, 10), "must be 0 to 9"),
        (Answer(problem="the answer was cut off"), "the answer was cut off"),
        (Answer(arrays={"scores": np.zeros(HOLDOUT)}), "no array 'labels'"),
        (None, "the run ended before this was asked"),
    ],
)
def test_a_holdout_without_class_numbers_earns_no_accuracy_and_no_memory(
    student: Student, array: Array | Answer | None, reason: str
) -> None:
    judgement = student.judged(holdout=array)
    assert scores(judgement) == (1, 0, 0)
    assert judgement.metrics == {}
    assert reason in judgement.cells["holdout"].message
    assert reason in judgement.cells["memory"].message


def test_a_run_that_ended_early_is_judged_and_earns_nothing(student: Student) -> None:
    assert scores(student.judged(training=None, holdout=None)) == (0, 0, 0)


def test_no_probe_is_handed_a_label_of_what_it_is_asked(student: Student) -> None:
    asked = student.grader.inputs(student.exam)
    assert {name: set(inputs.arrays) for name, inputs in asked.items()} == {
        "training": {"labels", "images"},
        "holdout": {"images"},
    }
    assert len(asked["training"].arrays["labels"]) == len(student.exam.train()[1])
