"""Actions for tests of a course: run our commands and nbgrader's, and submit as a student."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat import v4

from tinytorch_compete.cli.app import run
from tinytorch_compete.course import folder

PACK = Path(__file__).parents[1] / "attacks" / "pack"
GOLD = """\
def predict(images):
    train, labels = np.load("data/train_images.npy"), np.load("data/train_labels.npy")
    means = np.stack([train[labels == c].mean(axis=0) for c in range(10)])
    return ((images[:, None] - means) ** 2).sum(axis=(2, 3)).argmin(axis=1)
"""


def compete(*words: object) -> int:
    """Run one of our commands in this process, and return its exit status."""
    return run(["--pack", str(PACK), *map(str, words)], "tito compete")


def nbgrader(course: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one of nbgrader's commands in a course, in a process of its own."""
    command = [sys.executable, "-m", "nbgrader", *words]
    return subprocess.run(
        command, cwd=course, env=folder.environment(), capture_output=True, text=True, timeout=300
    )


def submit(course: Path, student: str, *answers: str, name: str = "target") -> Path:
    """Write a submission with these answer cells where ``nbgrader collect`` would.

    Return its notebook.
    """
    path = course / "submitted" / student / name / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = ("predict", "more")
    cells = [
        v4.new_code_cell(answer, metadata={"nbgrader": {"grade_id": ids[number]}})
        for number, answer in enumerate(answers)
    ]
    path.write_text(nbformat.writes(v4.new_notebook(cells=cells)))
    (path.parent / "timestamp.txt").write_text("2026-01-31 12:00:00.000000 UTC")
    (path.parent / "submission_secret.txt").write_text(f"the secret of {student}")
    return path
