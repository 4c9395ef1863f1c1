"""A small challenge to take part in."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from tinytorch_compete.authoring.scaffold import scaffold
from tinytorch_compete.challenges import packs
from tinytorch_compete.challenges.packs import Challenge

GOLD = """\
def predict(train_images, train_labels, images):
    means = np.stack([train_images[train_labels == c].mean(axis=0) for c in range(10)])
    return ((images[:, None].astype("f4") - means) ** 2).sum(axis=(2, 3)).argmin(axis=1)
"""


@pytest.fixture
def challenge(tmp_path: Path) -> Challenge:
    """A challenge as ``new`` makes it, on the digits."""
    scaffold("mine", tmp_path / "pack")
    return packs.load(tmp_path / "pack")[0]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where a student works."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def write_answer(folder: Path, answer: str = GOLD) -> None:
    """Write an answer into the notebook of a folder in which ``mine`` was joined."""
    path = folder / "mine.ipynb"
    notebook = nbformat.read(path, 4)
    cells = [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("solution")]
    cells[0].source = answer
    nbformat.write(notebook, path)
