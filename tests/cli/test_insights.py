"""``tito compete insights`` and ``grade`` with advice, as people run them."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from tinytorch_compete.authoring.scaffold import scaffold
from tinytorch_compete.cli.app import run

WIDE = """\
def predict(train_images, train_labels, images):
    big = np.ones((110, 2**17))
    means = np.stack([train_images[train_labels == c].mean(axis=0) for c in range(10)])
    means = means + np.float32(big.min() - 1)
    return ((images[:, None].astype("f4") - means) ** 2).sum(axis=(2, 3)).argmin(axis=1)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack, and a class of one."""
    folder = tmp_path_factory.mktemp("course")
    scaffold("mine", folder)
    path = folder / "class" / "ada" / "mine" / "mine.ipynb"
    path.parent.mkdir(parents=True)
    cell = v4.new_code_cell(WIDE, metadata={"nbgrader": {"grade_id": "predict"}})
    path.write_text(nbformat.writes(v4.new_notebook(cells=[cell])))
    return folder


def test_hints_come_before_answers_in_the_terminal(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook = place / "class" / "ada" / "mine" / "mine.ipynb"
    assert run(["--pack", str(place), "insights", str(notebook), "mine"], "t") == 0
    shown = capsys.readouterr().out
    assert "1. Cell predict, line 2: peak" in shown
    assert "same answers" in " ".join(shown.split())
    assert "--more" in shown and "--diff" in shown
    assert "+    big" not in shown


@pytest.mark.parametrize(("word", "there"), [("--insights", True), ("--no-insights", False)])
def test_feedback_ends_with_what_to_try_unless_told_not_to(
    word: str, there: bool, place: Path, tmp_path: Path
) -> None:
    where = ["mine", str(place / "class"), "--results", str(tmp_path)]
    assert run(["--pack", str(place), "grade", *where, word], "t") == 0
    feedback = nbformat.read(tmp_path / "feedback" / "ada" / "mine.ipynb", 4)
    assert ("What to try" in feedback.cells[-1].source) is there
