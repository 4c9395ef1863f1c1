"""Grade target: all points from an accuracy of 80 % on, and none below."""

from tinytorch_compete.judging import metrics
from tinytorch_compete.model import CellJudgement, Inputs, Judgement

PROBES = ("first", "second")


def inputs(exam):
    """The first half of the holdout's images, then the second; the labels stay here."""
    images = exam.holdout[0]
    half = len(images) // 2
    return {
        "first": Inputs(arrays={"images": images[:half]}),
        "second": Inputs(arrays={"images": images[half:]}),
    }


def judge(evidence, exam):
    """All or nothing for each half; the accuracy is the worse one's."""
    truth = exam.holdout[1]
    half = len(truth) // 2
    shares = {
        "first": metrics.answered_accuracy(evidence, "first", truth[:half], 10),
        "second": metrics.answered_accuracy(evidence, "second", truth[half:], 10),
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
