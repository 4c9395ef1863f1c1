"""Write the files of a new challenge: a small one that runs, to be changed step by step."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode, v4

from tinytorch_compete.challenges.packs import GRADERS, NOTEBOOKS
from tinytorch_compete.errors import PackError
from tinytorch_compete.util import files

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

CHALLENGE = """\
title = "{title}"
summary = "Tell ten handwritten digits apart."
category = "accuracy"  # accuracy, performance, systems or innovation
version = 1            # raise it whenever old results should no longer count
rank = ["accuracy"]    # the metrics that decide the rank, in order of priority

[[datasets]]
name = "digits"
train = 1000
public = 100
holdout = 400

[limits]
memory_mib = 256
wall_s = 30

[[metrics]]
name = "accuracy"
unit = "share of holdout images"
direction = "higher"

[[tiers]]
name = "beginner"
at = 0.20

[[tiers]]
name = "advanced"
at = 0.80

[[tiers]]
name = "expert"
at = 0.97
"""

GRADER = '''\
"""Grade {slug}: the inputs of its probe, and the points for the answer."""

from tinytorch_compete.errors import EvidenceError
from tinytorch_compete.judging import metrics
from tinytorch_compete.model import CellJudgement, Inputs, Judgement


def inputs(exam):
    """Give the probe the holdout images; their labels stay here."""
    return {{"holdout": Inputs(arrays={{"images": exam.holdout[0]}})}}


def judge(evidence, exam):
    """Score the share of correct labels, from the answer and the exam alone."""
    truth = exam.holdout[1]
    try:
        labels = metrics.labels_of(evidence.answers["holdout"], "labels", len(truth), 10)
    except EvidenceError as error:
        return Judgement(cells={{"holdout": CellJudgement(0.0, str(error))}})
    share = metrics.accuracy(labels, truth)
    message = f"{{share:.1%}} of the images are right."
    cells = {{"holdout": CellJudgement(share, message)}}
    return Judgement(cells=cells, metrics={{"accuracy": share}})
'''

HINTS = """\
# Look first
Look at images that were answered wrongly: what do they have in common?

# Then change one thing
Measure before and after.
"""

GUIDE = """\
# Guide
Say what this challenge teaches, how to start, and how to find out what goes wrong.
"""

ANSWER = """\
def predict(train_images, train_labels, images):
    \"\"\"Return a class number for each image.\"\"\"
    ### BEGIN SOLUTION
    means = np.stack([train_images[train_labels == c].mean(axis=0) for c in range(10)])
    distances = ((images[:, None].astype(np.float32) - means) ** 2).sum(axis=(2, 3))
    return distances.argmin(axis=1)
    ### END SOLUTION
"""

PROBE = """\
# 10 points: accuracy on images that nobody has seen.
### BEGIN HIDDEN TESTS
from compete_probe import Probe

with Probe("holdout") as probe:
    probe.send(
        labels=predict(
            np.load("data/train_images.npy", mmap_mode="r"),
            np.load("data/train_labels.npy", mmap_mode="r"),
            probe.arrays["images"],
        )
    )
### END HIDDEN TESTS
"""


def scaffold(slug: str, pack: Path) -> list[Path]:
    """Write both folders of a new challenge into a pack, and return the files.

    Raises ``PackError`` for a slug that isn't lower-case letters, digits and hyphens, and for one
    that exists already.
    """
    if not SLUG.fullmatch(slug):
        raise PackError(
            f"{slug!r} is not a slug; use lower-case letters, digits and hyphens: my-challenge"
        )
    folder, grader = pack / NOTEBOOKS / slug, pack / GRADERS / slug
    for path in (folder, grader):
        if path.exists():
            raise PackError(f"{path}: exists already; choose another slug, or edit its files.")
    title = slug.replace("-", " ").capitalize()
    master = _master(title)
    sample = _sample(master)
    texts = {
        folder / "challenge.toml": CHALLENGE.format(title=title),
        folder / "hints.md": HINTS,
        folder / "guide.md": GUIDE,
        folder / f"{slug}.ipynb": nbformat.writes(master) + "\n",
        grader / "grader.py": GRADER.format(slug=slug),
        grader / "submissions" / "gold.ipynb": nbformat.writes(sample) + "\n",
    }
    for path, text in texts.items():
        files.write_text(path, text)
    return list(texts)


def _master(title: str) -> NotebookNode:
    cells = [
        v4.new_markdown_cell(f"# {title}\n\nDescribe the task, what counts, and how it is graded."),
        _cell("setup", "import numpy as np", solution=False),
        _cell("predict", ANSWER, solution=True),
        _cell("holdout", PROBE, solution=False, points=10),
    ]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _cell(name: str, source: str, *, solution: bool, points: int | None = None) -> NotebookNode:
    facts = {
        "grade_id": name,
        "schema_version": 3,
        "solution": solution,
        "grade": points is not None,
        "locked": not solution,
        "task": False,
    }
    facts |= {} if points is None else {"points": points}
    return v4.new_code_cell(source.rstrip("\n"), metadata={"nbgrader": facts})


def _sample(master: NotebookNode) -> NotebookNode:
    """Return a submission with the master's own solution, and a promise of what it must earn."""
    answers = [cell for cell in master.cells if cell.metadata.get("nbgrader", {}).get("solution")]
    promise = {"verdict": "OK", "points": [8, 10], "tier": "advanced"}
    return v4.new_notebook(cells=answers, metadata={"tinytorch_compete": promise})
