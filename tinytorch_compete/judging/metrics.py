"""Metrics for judges, from raw answers and from labels that never entered a kernel."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinytorch_compete.errors import EvidenceError
from tinytorch_compete.model import Answer, CellJudgement, Evidence
from tinytorch_compete.util.stats import hodges_lehmann

Array = np.ndarray[Any, Any]
UNASKED = "the run ended before this was asked"


def labels_of(answer: Answer, name: str, n: int, classes: int) -> Array:
    """Return the answer's array ``name`` as class numbers: shape (n,), integers in [0, classes).

    Raises ``EvidenceError``, with a sentence for the student, if it is missing or invalid.
    """
    if answer.problem:
        raise EvidenceError(answer.problem)
    array: Array | None = answer.arrays.get(name)
    if array is None:
        raise EvidenceError(f"the answer has no array {name!r}")
    if array.shape != (n,) or array.dtype.kind not in "iu":
        raise EvidenceError(
            f"expected {n} integers of shape ({n},), got {array.dtype} of shape {array.shape}"
        )
    if n and (array.min() < 0 or array.max() >= classes):
        raise EvidenceError(
            f"class numbers must be 0 to {classes - 1}, got {array.min()} to {array.max()}"
        )
    return array


def accuracy(predicted: Array, truth: Array) -> float:
    """Return the share of equal class numbers in two arrays of shape (n,), n > 0."""
    return float(np.mean(predicted == truth))


def answered_labels(evidence: Evidence, probe: str, n: int, classes: int) -> Array | str:
    """Return a probe's class numbers as ``labels_of`` does, or the reason why there are none."""
    answer = evidence.answers.get(probe, Answer(problem=UNASKED))
    try:
        return labels_of(answer, "labels", n, classes)
    except EvidenceError as error:
        return str(error)


def answered_accuracy(evidence: Evidence, probe: str, truth: Array, classes: int) -> float | str:
    """Return the accuracy of a probe's class numbers, or the reason why there is none."""
    predicted = answered_labels(evidence, probe, len(truth), classes)
    return predicted if isinstance(predicted, str) else accuracy(predicted, truth)


def speedup(answer: Answer) -> float | str:
    """Return how many times as fast as the reference a timed probe was, or why that is unknown.

    It is the ratio of the CPU seconds of the two process trees for equal questions. Rounds come in
    pairs of opposite order (A B B A), which cancels a drift of the machine; the pairs' mean
    logarithmic ratios are combined by ``stats.hodges_lehmann``. Wall time isn't used: it also
    counts the time in which others had the core.
    """
    if not answer.rounds:
        return answer.problem or UNASKED
    logs = [math.log(r.reference.cpu_s / r.own.cpu_s) for r in answer.rounds]
    return math.exp(hodges_lehmann([(a + b) / 2 for a, b in _pairs(logs)]))


def _pairs(values: Sequence[float]) -> list[tuple[float, float]]:
    """Pair the first value with the second, the third with the fourth, and so on."""
    return list(zip(values[::2], values[1::2], strict=True))


def instructions(answer: Answer) -> float | None:
    """Return the median of user-mode instructions per question, in millions, if counted."""
    counted = [r.own.instructions for r in answer.rounds if r.own.instructions is not None]
    complete = counted and len(counted) == len(answer.rounds)
    return statistics.median(counted) / 1e6 if complete else None


def judge_learning(value: float | str, floor: float, n: int) -> CellJudgement:
    """Give the full score for an accuracy of ``floor`` or more on ``n`` images, none below it."""
    if isinstance(value, str):
        return CellJudgement(0.0, value)
    if value < floor:
        return CellJudgement(
            0.0,
            f"{value:.1%} of {n} images are right, which is about what guessing gives. "
            "Does the loss fall while you train? Are the labels in the same order as the images?",
        )
    return CellJudgement(1.0, f"{value:.1%} of {n} images are right: it learns.")


def judge_ladder(value: float | str, ladder: Sequence[tuple[float, float]]) -> CellJudgement:
    """Score a holdout accuracy, with linear interpolation between the ladder's rungs.

    Each rung is an accuracy and the score there, both rising. Below the first rung the score is 0,
    so that luck earns nothing.
    """
    if isinstance(value, str):
        return CellJudgement(0.0, value)
    score = float(np.interp(value, [at for at, _ in ladder], [score for _, score in ladder]))
    score = score if value >= ladder[0][0] else 0.0
    return CellJudgement(score, f"{value:.1%} of the images are right.")
