"""A small class whose batch can be killed, resumed, and compared row by row."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat import v4

from tinytorch_compete.authoring.scaffold import scaffold
from tinytorch_compete.results.store import Store

TITO = Path(sys.executable).parent / "tito"
GOLD = """\
def predict(train_images, train_labels, images):
    means = np.stack([train_images[train_labels == c].mean(axis=0) for c in range(10)])
    return ((images[:, None].astype("f4") - means) ** 2).sum(axis=(2, 3)).argmin(axis=1)
"""
ANSWERS = {
    "ada": GOLD,
    "bob": "1 / 0",
    "cy": GOLD + "import time\ntime.sleep(0.5)\n",
    "di": "def predict(a, b, images): return np.zeros(len(images), int)",
    "eve": "import os; os._exit(1)",
    "flo": GOLD,
}
Table = list[tuple[object, ...]]


def make(root: Path) -> None:
    """Create a pack with one challenge, a class's submissions, and a secret in a folder."""
    scaffold("mine", root / "pack")
    for student, answer in ANSWERS.items():
        submit(root / "class" / student / "mine" / "mine.ipynb", answer)
    (root / "secret").write_text("ab" * 32)


def submit(path: Path, answer: str) -> None:
    """Write a notebook that fills the challenge's only answer cell."""
    path.parent.mkdir(parents=True)
    cell = v4.new_code_cell(answer, metadata={"nbgrader": {"grade_id": "predict"}})
    path.write_text(nbformat.writes(v4.new_notebook(cells=[cell])))


def words(root: Path, name: str) -> list[str]:
    """The arguments of ``tito compete`` that grade the class into the folder ``name``."""
    results = root / name
    results.mkdir(exist_ok=True)
    if not (results / "secret").exists():
        (results / "secret").write_text((root / "secret").read_text())
    grade = ["grade", "mine", str(root / "class"), "--results", str(results), "--no-insights"]
    return ["--pack", str(root / "pack"), *grade]


def command(root: Path, name: str) -> list[str]:
    """The complete command line with these arguments."""
    return [str(TITO), "compete", *words(root, name)]


def kill(root: Path, name: str, after_s: float) -> bool:
    """Start a batch and kill it after ``after_s`` seconds; false if it ended before."""
    running = subprocess.Popen(
        command(root, name), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        running.wait(after_s)
        return False
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()
        return True


def finish(root: Path, name: str) -> str:
    """Let a batch run to its end; raises ``CalledProcessError`` if it fails."""
    subprocess.run(command(root, name), check=True, capture_output=True)
    return name


def table(root: Path, name: str) -> Table:
    """Each student's results, row by row, without times and without faults of ours."""
    results = Store(root / name / "results.sqlite")
    results.check_chain()
    rows = [
        (r.identity.student, r.verdict, r.points, r.tier, tuple(r.metrics.items()), r.message)
        for r in results.history()
        if r.points is not None
    ]
    return sorted(rows, key=str)
