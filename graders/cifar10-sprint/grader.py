"""Grade cifar10-sprint: accuracy on images that nobody has seen, one image at a time.

The class numbers that a submission trains on are shuffled by the secret seed, so a model that was
trained at home and only loaded answers with the wrong numbers. Each holdout image is asked for
twice, in another order and among others, and counts as right only if both answers are: what a
model knows of an image can't depend on its neighbours, and nothing is gained by balancing the
answers of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinytorch_compete import metrics
from tinytorch_compete.exam import CHECK_N, Exam
from tinytorch_compete.model import CellJudgement, Evidence, Inputs, Judgement

Array = np.ndarray[Any, Any]

CLASSES = 10
LARGEST_BATCH = 128
# Share of the points of the holdout cell at an accuracy, from the first tier to the last.
LADDER = ((0.20, 0.2), (0.50, 0.5), (0.75, 0.8), (0.90, 1.0))
FLOOR = LADDER[0][0]
# Batches of another size round differently, which may turn a near tie: of 2,000 images a
# convolutional network answered none differently. Standardising the pixels by their own batch's
# mean turned 15, and balancing the classes within each batch turned 242.
AGREE = 0.99


def inputs(exam: Exam) -> Mapping[str, Inputs]:
    """What each probe is handed; the holdout's labels stay here."""
    labels = exam.class_names()[exam.train()[1]]
    images = exam.holdout[0]
    return {
        "training": Inputs(
            arrays={"labels": labels, "images": exam.check[0]},
            values={"seed": exam.training_seed()},
        ),
        "consistency": Inputs(
            arrays={"images": images[_order(exam)], "sizes": _batch_sizes(exam)},
        ),
        "holdout": Inputs(arrays={"images": images}),
    }


def judge(evidence: Evidence, exam: Exam) -> Judgement:
    """Points for a training that learns, for answers that stay the same, and for accuracy.

    The accuracy that is ranked needs both answers for the holdout; the points of the holdout cell
    don't, so that a crash on a batch of one image costs the points of ``consistency`` and the tier.
    """
    names = exam.class_names()
    truth = names[exam.holdout[1]]
    learned = metrics.answered_accuracy(evidence, "training", names[exam.check[1]], CLASSES)
    batched = metrics.answered_labels(evidence, "consistency", len(truth), CLASSES)
    whole = metrics.answered_labels(evidence, "holdout", len(truth), CLASSES)
    same = whole if isinstance(whole, str) else _same(whole, batched, _order(exam))
    right = whole if isinstance(whole, str) else _share_right(whole, same, truth)
    return Judgement(
        cells={
            "training": metrics.judge_learning(learned, FLOOR, CHECK_N),
            "consistency": _judge_consistency(batched, same, right),
            "holdout": metrics.judge_ladder(right, LADDER),
        },
        metrics={} if isinstance(right, str) or isinstance(same, str) else {"accuracy": right},
    )


def _order(exam: Exam) -> Array:
    """The order in which the batches ask for the holdout's images, shape (n,)."""
    return exam.rng(4).permutation(exam.holdout_n)


def _batch_sizes(exam: Exam) -> Array:
    """How many images each batch has: 1 first, then 1 to ``LARGEST_BATCH``; the sum is n."""
    n = exam.holdout_n
    ends = np.cumsum([1, *exam.rng(5).integers(1, LARGEST_BATCH + 1, size=n)])
    return np.diff([0, *ends[ends < n], n])


def _same(whole: Array, batched: Array | str, order: Array) -> Array | str:
    """Which of the holdout's images got one answer twice, or the sentence why that's unknown."""
    if isinstance(batched, str):
        return batched
    same = np.empty(len(whole), bool)
    same[order] = batched == whole[order]
    return same


def _share_right(whole: Array, same: Array | str, truth: Array) -> float:
    right = whole == truth
    return float(np.mean(right if isinstance(same, str) else right & same))


def _judge_consistency(
    batched: Array | str, same: Array | str, right: float | str
) -> CellJudgement:
    if isinstance(batched, str):
        return CellJudgement(0.0, batched)
    if isinstance(same, str) or isinstance(right, str):
        return CellJudgement(0.0, f"counts only with an answer for the holdout: {same}")
    share = float(np.mean(same))
    if share < AGREE:
        return CellJudgement(
            0.0,
            f"{share:.1%} of the images got the same answer in another order and in other "
            f"batches; at least {AGREE:.0%} must, and the others count as wrong. Does predict use "
            "the mean of its batch, draw random numbers, or change the model?",
        )
    if right < FLOOR:
        return CellJudgement(
            0.0, f"counts from an accuracy of {FLOOR:.0%} on; this model is at {right:.1%}."
        )
    return CellJudgement(1.0, f"{share:.1%} of the images got the same answer in other batches.")
