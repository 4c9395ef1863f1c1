"""Grade fast-convolution: is it right, and how much less CPU time does it take than the reference?

Which of the many outputs are checked is secret, so that all of them must be computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinytorch_compete import metrics
from tinytorch_compete.exam import Exam
from tinytorch_compete.model import Answer, CellJudgement, Evidence, Inputs, Judgement, Timed

Array = np.ndarray[Any, Any]
SMALL = (2, 3, 7, 9), (4, 3, 5, 5)
LARGE = (32, 16, 32, 32), (16, 16, 5, 5)
CHECKED = 64
# float32 sums of 400 products of standard normal numbers are off by 1e-5 at most.
TOLERANCE = 1e-3
# Share of the points of the speed cell at a speedup.
LADDER = ((0.04, 0.2), (0.5, 0.5), (1.3, 0.8), (2.0, 1.0))
CORRECT, SPEED = 4, 5  # purposes of the exam's generators


def inputs(exam: Exam) -> Mapping[str, Inputs | Timed]:
    """What each probe is handed: small arrays once, and large ones that are new each time."""
    return {
        "correct": _question(exam.rng(CORRECT), SMALL),
        "speed": Timed(lambda number: _question(exam.rng(SPEED, number), LARGE)),
    }


def judge(evidence: Evidence, exam: Exam) -> Judgement:
    """Points for right values, and for speed if all that was timed is right."""
    correct = evidence.answers["correct"]
    wrong = correct.problem or _mistake(correct.arrays, exam, SMALL, CORRECT)
    speed = evidence.answers["speed"]
    speedup = _slip(speed, exam) or metrics.speedup(speed)
    return Judgement(
        cells={
            "correct": CellJudgement(0.0 if wrong else 1.0, wrong or "All values are right."),
            "speed": _judge_speed(speedup),
        },
        metrics={} if isinstance(speedup, str) else _figures(speedup, speed),
    )


def _question(rng: np.random.Generator, shapes: tuple[tuple[int, ...], ...]) -> Inputs:
    images, weights = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
    return Inputs(arrays={"images": images, "weights": weights})


def _slip(answer: Answer, exam: Exam) -> str:
    """What is wrong with the first wrong answer to a timed question, if one is wrong."""
    for round_ in answer.rounds:
        if wrong := _mistake(round_.arrays, exam, LARGE, SPEED, round_.question):
            return f"question {round_.question}: {wrong}"
    return ""


def _mistake(
    arrays: Mapping[str, Array], exam: Exam, shapes: tuple[tuple[int, ...], ...], *purpose: int
) -> str:
    """Compare ``CHECKED`` secret places of an answer with their exact values."""
    asked = _question(exam.rng(*purpose), shapes).arrays
    images, weights = asked["images"], asked["weights"]
    size = (len(images), len(weights), *images.shape[2:])
    out = arrays.get("out")
    if out is None or out.shape != size or out.dtype.kind != "f":
        got = "nothing" if out is None else f"{out.dtype} of shape {out.shape}"
        return f"expected floats of shape {size}, got {got}"
    margin = weights.shape[2] // 2
    padded = np.pad(images, ((0, 0), (0, 0), (margin, margin), (margin, margin)))
    places = exam.rng(*purpose, 1).integers(0, size, size=(CHECKED, 4))
    for n, o, y, x in places:
        patch = padded[n, :, y : y + weights.shape[2], x : x + weights.shape[3]]
        exact = float(np.sum(patch.astype(np.float64) * weights[o]))
        if not abs(out[n, o, y, x] - exact) <= TOLERANCE:
            return f"out[{n}, {o}, {y}, {x}] is {out[n, o, y, x]:.4g}, it should be {exact:.4g}"
    return ""


def _judge_speed(speedup: float | str) -> CellJudgement:
    if isinstance(speedup, str):
        return CellJudgement(0.0, speedup)
    score = float(np.interp(speedup, [at for at, _ in LADDER], [score for _, score in LADDER]))
    score = score if speedup >= LADDER[0][0] else 0.0
    return CellJudgement(score, f"{speedup:.3g} times as fast as the reference.")


def _figures(speedup: float, answer: Answer) -> dict[str, float]:
    counted = metrics.instructions(answer)
    return {"speedup": speedup} | ({} if counted is None else {"instructions": counted})
