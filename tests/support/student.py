"""A student's answer to the challenge that ``new`` writes."""

from __future__ import annotations

from pathlib import Path

import nbformat

GOLD = """\
def predict(train_images, train_labels, images):
    means = np.stack([train_images[train_labels == c].mean(axis=0) for c in range(10)])
    return ((images[:, None].astype("f4") - means) ** 2).sum(axis=(2, 3)).argmin(axis=1)
"""


def write_answer(folder: Path, answer: str = GOLD) -> None:
    """Write an answer into the notebook of a folder in which ``mine`` was joined."""
    path = folder / "mine.ipynb"
    notebook = nbformat.read(path, 4)
    cells = [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("solution")]
    cells[0].source = answer
    nbformat.write(notebook, path)
