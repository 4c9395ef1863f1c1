"""cifar10-sprint pays for knowing each image, and for nothing else in an answer."""

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
    return packs.find()["cifar10-sprint"]


@pytest.fixture(scope="module")
def grader(challenge: Challenge) -> Grader:
    return Grader(challenge.grader_folder / "grader.py")


@pytest.fixture(scope="module")
def exam(tmp_path_factory: pytest.TempPathFactory) -> Exam:
    cache = tmp_path_factory.mktemp("cache")
    return Exam(prepare("shapes32", train=40, public=500, cache=cache), seed=7, holdout_n=HOLDOUT)


class Student:
    """Knows the labels of all public images, and of a given share of the holdout images."""

    def __init__(self, grader: Grader, exam: Exam) -> None:
        names = exam.class_names()
        self.grader, self.exam = grader, exam
        self.public: Array = names[exam.check[1]].astype(np.int64)
        self.whole = names[exam.holdout[1]].astype(np.int64)
        self.order = _order_of(grader.inputs(exam)["consistency"].arrays["images"], exam)

    def knows(self, share: float) -> Student:
        """Make it wrong about all holdout images but the first ``share`` of them."""
        wrong = np.arange(HOLDOUT) >= share * HOLDOUT
        self.whole = (self.whole + wrong) % 10
        return self

    def judged(self, **sent: Array | Answer | None) -> Judgement:
        """The judgement of honest answers, some replaced by an array, an answer or ``None``."""
        arrays = {
            "training": self.public,
            "consistency": self.whole[self.order],
            "holdout": self.whole,
        } | sent
        answers = {
            probe: array if isinstance(array, Answer) else Answer(arrays={"labels": array})
            for probe, array in arrays.items()
            if array is not None
        }
        return self.grader.judge(Evidence(answers, peak_mib=100.0), self.exam)


@pytest.fixture
def student(grader: Grader, exam: Exam) -> Student:
    return Student(grader, exam)


def _order_of(sent: Array, exam: Exam) -> Array:
    """The index of each question's image in the holdout, matched by its bytes."""
    places = {image.tobytes(): place for place, image in enumerate(exam.holdout[0])}
    return np.array([places[image.tobytes()] for image in sent])


def scores(judgement: Judgement) -> tuple[float, ...]:
    return tuple(round(cell.score, 6) for cell in judgement.cells.values())


def test_the_judge_knows_the_cells_of_the_notebook(challenge: Challenge, student: Student) -> None:
    assert list(student.judged().cells) == list(notebook.points(challenge.master()))


def test_perfect_answers_earn_everything(student: Student) -> None:
    judgement = student.judged()
    assert scores(judgement) == (1, 1, 1)
    assert judgement.metrics == {"accuracy": 1.0}


@pytest.mark.parametrize(
    ("share", "score"), [(0.1, 0), (0.2, 0.2), (0.35, 0.35), (0.5, 0.5), (0.75, 0.8), (0.9, 1)]
)
def test_the_holdout_is_paid_by_the_ladder(student: Student, share: float, score: float) -> None:
    judgement = student.knows(share).judged()
    assert judgement.cells["holdout"].score == pytest.approx(score)
    assert judgement.metrics["accuracy"] == pytest.approx(share)


def test_chance_earns_nothing_however_steady_it_is(student: Student) -> None:
    student.public, student.whole = np.zeros(500, np.int64), np.zeros(HOLDOUT, np.int64)
    judgement = student.judged()
    assert scores(judgement) == (0, 0, 0)
    assert "about what guessing gives" in judgement.cells["training"].message
    assert "this model is at 10.0%" in judgement.cells["consistency"].message


def test_the_real_class_numbers_earn_nothing(student: Student) -> None:
    exam = student.exam
    student.public, student.whole = exam.check[1], np.asarray(exam.holdout[1])
    judgement = student.judged()
    assert judgement.cells["training"].score == judgement.cells["consistency"].score == 0
    assert judgement.cells["holdout"].score < 0.2


def test_answers_that_change_with_the_batch_lose_consistency_and_count_as_wrong(
    student: Student,
) -> None:
    changed = student.whole[student.order]
    changed[:40] = (changed[:40] + 1) % 10
    judgement = student.judged(consistency=changed)
    assert judgement.cells["consistency"].score == 0
    assert judgement.cells["consistency"].message.startswith("90.0% of the images")
    assert judgement.metrics["accuracy"] == pytest.approx(0.9)


def test_an_answer_that_is_right_once_is_not_right(student: Student) -> None:
    honest = student.whole[student.order]
    student.whole = (student.whole + 1) % 10
    assert student.judged(consistency=honest).metrics["accuracy"] == 0


def test_a_near_tie_that_rounds_the_other_way_is_forgiven(student: Student) -> None:
    changed = student.whole[student.order]
    changed[:4] = (changed[:4] + 1) % 10
    assert student.judged(consistency=changed).cells["consistency"].score == 1


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros(HOLDOUT, np.float32), "got float32"),
        (np.full(HOLDOUT, np.nan), "got float64"),
        (np.zeros(HOLDOUT, bool), "got bool"),
        (np.zeros((HOLDOUT, 10), np.int64), "of shape (400, 10)"),
        (np.zeros((HOLDOUT, 1), np.int64), "of shape (400, 1)"),
        (np.zeros(HOLDOUT - 1, np.int64), "of shape (399,)"),
        (np.zeros((), np.int64), "of shape ()"),
        (np.full(HOLDOUT, 10), "must be 0 to 9"),
        (np.full(HOLDOUT, -1), "must be 0 to 9"),
        (Answer(problem="the answer was cut off"), "the answer was cut off"),
        (Answer(arrays={"scores": np.zeros(HOLDOUT)}), "no array 'labels'"),
    ],
)
def test_an_answer_that_is_not_class_numbers_earns_nothing_and_says_why(
    student: Student, array: Array | Answer, reason: str
) -> None:
    judgement = student.judged(training=array, consistency=array, holdout=array)
    assert scores(judgement) == (0, 0, 0)
    assert judgement.metrics == {}
    assert reason in judgement.cells["consistency"].message
    assert reason in judgement.cells["holdout"].message


def test_without_the_holdout_only_the_training_is_paid(student: Student) -> None:
    judgement = student.judged(holdout=Answer(problem="the cell sent no answer"))
    assert scores(judgement) == (1, 0, 0)
    assert judgement.metrics == {}
    assert "the cell sent no answer" in judgement.cells["consistency"].message


def test_without_the_second_answer_the_points_stand_but_nothing_is_ranked(
    student: Student,
) -> None:
    judgement = student.judged(consistency=Answer(problem="the cell sent no answer"))
    assert scores(judgement) == (1, 0, 1)
    assert judgement.metrics == {}


def test_a_run_that_ended_early_is_judged_and_earns_nothing(student: Student) -> None:
    judgement = student.judged(training=None, consistency=None, holdout=None)
    assert scores(judgement) == (0, 0, 0)
    assert "the run ended before this was asked" in judgement.cells["holdout"].message


def test_the_holdout_is_asked_for_twice_in_another_order_and_in_batches_from_one_on(
    student: Student,
) -> None:
    asked = student.grader.inputs(student.exam)
    sizes = asked["consistency"].arrays["sizes"]
    assert sizes[0] == 1 and sizes.min() >= 1 and sizes.sum() == HOLDOUT
    assert len(set(sizes.tolist())) > 3
    assert sorted(student.order) == list(range(HOLDOUT))
    assert (student.order != np.arange(HOLDOUT)).any()


def test_no_probe_is_handed_a_label_of_what_it_is_asked(student: Student) -> None:
    asked = student.grader.inputs(student.exam)
    assert {name: set(inputs.arrays) for name, inputs in asked.items()} == {
        "training": {"labels", "images"},
        "consistency": {"images", "sizes"},
        "holdout": {"images"},
    }
    assert len(asked["training"].arrays["labels"]) == len(student.exam.train()[1])


def test_another_secret_asks_for_other_names_and_images(student: Student) -> None:
    exam = student.exam
    other = student.grader.inputs(Exam(exam.data, exam.seed + 1, exam.holdout_n))
    mine = student.grader.inputs(exam)
    assert (mine["training"].arrays["labels"] != other["training"].arrays["labels"]).any()
    assert (mine["holdout"].arrays["images"] != other["holdout"].arrays["images"]).any()
    assert mine["training"].values["seed"] != other["training"].values["seed"]
