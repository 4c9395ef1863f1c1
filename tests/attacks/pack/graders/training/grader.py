"""Grade training: all points from an accuracy of 80 % on, and none below.

The class numbers that a submission trains on are shuffled by the secret seed.
"""

from tinytorch_compete.judging import metrics
from tinytorch_compete.model import CellJudgement, Inputs, Judgement


def inputs(exam):
    """The shuffled labels to train on and other images, then the holdout's images."""
    labels = exam.class_names()[exam.train()[1]]
    return {
        "training": Inputs(
            arrays={"labels": labels, "images": exam.check[0]},
            values={"seed": exam.training_seed()},
        ),
        "holdout": Inputs(arrays={"images": exam.holdout[0]}),
    }


def judge(evidence, exam):
    """All or nothing for each probe; the accuracy is the worse one's."""
    names = exam.class_names()
    shares = {
        "training": metrics.answered_accuracy(evidence, "training", names[exam.check[1]], 10),
        "holdout": metrics.answered_accuracy(evidence, "holdout", names[exam.holdout[1]], 10),
    }
    known = [share for share in shares.values() if not isinstance(share, str)]
    return Judgement(
        cells={name: _judge(share) for name, share in shares.items()},
        metrics={"accuracy": min(known)} if len(known) == len(shares) else {},
    )


def _judge(share):
    if isinstance(share, str):
        return CellJudgement(0.0, share)
    return CellJudgement(float(share >= 0.8), f"{share:.1%} are right.")
