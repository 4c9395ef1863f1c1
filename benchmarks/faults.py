"""Kill the batch grader at random moments, again and again: is anything lost or done twice?

    python benchmarks/faults.py --kills 100

Grades a small class once undisturbed, then over and over with SIGKILL at random moments; each
batch is resumed until it ends, and its table compared row for row. Ends with 1 if any differs.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from nbformat import v4

from tinytorch_compete.course.scaffold import scaffold
from tinytorch_compete.store import Store

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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        scaffold("mine", root / "pack")
        for student, answer in ANSWERS.items():
            submit(root / "class" / student / "mine" / "mine.ipynb", answer)
        (root / "secret").write_text("ab" * 32)
        truth = table(root, finish(root, "undisturbed"))
        kills = batches = differing = 0
        while kills < options.kills:
            name = f"batch{batches}"
            while kills < options.kills and kill(root, name, chance.uniform(0.5, 9.0)):
                kills += 1
            finish(root, name)
            batches += 1
            differing += table(root, name) != truth
        print(f"{kills} kills over {batches} batches of {len(truth)}: {differing} tables differ")
    return 1 if differing else 0


def submit(path: Path, answer: str) -> None:
    path.parent.mkdir(parents=True)
    cell = v4.new_code_cell(answer, metadata={"nbgrader": {"grade_id": "predict"}})
    path.write_text(nbformat.writes(v4.new_notebook(cells=[cell])))


def command(root: Path, name: str) -> list[str]:
    results = root / name
    results.mkdir(exist_ok=True)
    if not (results / "secret").exists():
        (results / "secret").write_text((root / "secret").read_text())
    words = ["grade", "mine", str(root / "class"), "--results", str(results)]
    return [str(TITO), "compete", "--pack", str(root / "pack"), *words]


def kill(root: Path, name: str, after_s: float) -> bool:
    """Start a batch and kill it after a while; false if it ended before."""
    batch = subprocess.Popen(
        command(root, name), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        batch.wait(after_s)
        return False
    except subprocess.TimeoutExpired:
        batch.kill()
        batch.wait()
        return True


def finish(root: Path, name: str) -> str:
    """Let a batch run to its end."""
    subprocess.run(command(root, name), check=True, capture_output=True)
    return name


def table(root: Path, name: str) -> Table:
    """What grading says of each student, without the times."""
    results = Store(root / name / "results.sqlite")
    results.check_chain()
    rows = [
        (r.identity.student, r.verdict, r.points, r.tier, tuple(r.metrics.items()), r.message)
        for r in results.history()
    ]
    return sorted(rows, key=str)


if __name__ == "__main__":
    sys.exit(main())
