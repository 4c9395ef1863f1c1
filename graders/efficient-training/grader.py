"""Grade efficient-training: accuracy on images that nobody has seen, and the memory it took.

The class numbers that a submission trains on are shuffled by the secret seed, so a model that was
trained at home and only loaded answers with the wrong numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

from tinytorch_compete import metrics
from tinytorch_compete.exam import CHECK_N, Exam
from tinytorch_compete.model import CellJudgement, Evidence, Inputs, Judgement

CLASSES = 10
# Share of the points of the holdout cell at an accuracy, from the first tier to the last.
LADDER = ((0.20, 0.2), (0.50, 0.5), (0.75, 0.8), (0.90, 1.0))
# Share of the points of the memory cell by division, for a model worth the name.
DIVISIONS = ((256, 1.0), (512, 0.7), (1024, 0.4))
WORTH = 0.50


def inputs(exam: Exam) -> Mapping[str, Inputs]:
    """What each probe is handed; the holdout's labels stay here."""
    labels = exam.class_names()[exam.train()[1]]
    return {
        "training": Inputs(
            arrays={"labels": labels, "images": exam.check[0]},
            values={"seed": exam.training_seed()},
        ),
        "holdout": Inputs(arrays={"images": exam.holdout[0]}),
    }


def judge(evidence: Evidence, exam: Exam) -> Judgement:
    """Points for a training that learns, for accuracy on the holdout, and for the division."""
    names = exam.class_names()
    learned = metrics.answered_accuracy(evidence, "training", names[exam.check[1]], CLASSES)
    holdout = metrics.answered_accuracy(evidence, "holdout", names[exam.holdout[1]], CLASSES)
    return Judgement(
        cells={
            "training": metrics.judge_learning(learned, LADDER[0][0], CHECK_N),
            "holdout": metrics.judge_ladder(holdout, LADDER),
            "memory": _judge_memory(holdout, evidence.peak_mib),
        },
        metrics={} if isinstance(holdout, str) else {"accuracy": holdout},
    )


def _judge_memory(accuracy: float | str, peak_mib: float) -> CellJudgement:
    if isinstance(accuracy, str):
        return CellJudgement(0.0, f"counts only with an answer for the holdout: {accuracy}")
    if accuracy < WORTH:
        return CellJudgement(
            0.0, f"counts from an accuracy of {WORTH:.0%} on; this model is at {accuracy:.1%}."
        )
    for cap, score in DIVISIONS:
        if peak_mib <= cap:
            return CellJudgement(score, f"peak {peak_mib:.0f} MiB: the {cap} MiB division.")
    return CellJudgement(0.0, f"peak {peak_mib:.0f} MiB: beyond the largest division.")
