"""A class in which some hand in what no honest work looks like: each gets a row, nobody else less.

These are graded by the real command with advice and two at a time: what an attack breaks outside
of the sandbox shows here and not in ``tests/attacks``, which grades one run.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from tinytorch_compete.cli.app import run
from tinytorch_compete.model import Result
from tinytorch_compete.results.store import Store

HONEST = """\
def predict(train_images, train_labels, images):
    means = np.stack([train_images[train_labels == c].mean(axis=0) for c in range(10)])
    return ((images[:, None].astype("f4") - means) ** 2).sum(axis=(2, 3)).argmin(axis=1)
"""
LOOKS = """\
import os, pathlib
for place in (".ipynb_checkpoints", "__pycache__"):
    assert not os.path.exists(place), os.listdir(place)
"""
LOOP = "for step in range(1):\n" + "    print(step)\n" * 1400


def hand_in(root: Path, student: str, answer: str = HONEST, **facts: object) -> Path:
    folder = root / student / "mine"
    folder.mkdir(parents=True)
    cell = v4.new_code_cell(answer, metadata={"nbgrader": {"grade_id": "predict"}})
    document = json.loads(nbformat.writes(v4.new_notebook(cells=[cell])))
    (folder / "mine.ipynb").write_text(json.dumps({**document, **facts}))
    return folder


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    root = tmp_path_factory.mktemp("hostile")
    (root / "secret").write_text("what no submission may read")
    pack, place = root / "pack", root / "class"
    assert run(["new", "mine", "--folder", str(pack)], "tito compete") == 0
    hand_in(place, "ada")
    hand_in(place, "surrogates", nbformat="\ud800")
    hand_in(place, "blank", "\n" * 300_000 + HONEST)
    hand_in(place, "marks", "### BEGIN HIDDEN TESTS\n" * 10_000 + HONEST)
    hand_in(place, "prints", LOOP + HONEST)
    hand_in(place, "deep").joinpath(*["d"] * 30).mkdir(parents=True)
    many = hand_in(place, "folders")
    for number in range(1000):
        (many / f"d{number}").mkdir()
    large = hand_in(place, "large")
    (large / "weights.bin").write_bytes(bytes(63 * 2**20))
    two = hand_in(place, "two") / "mine.ipynb"
    two.rename(two.with_name("a.ipynb")).with_name("b.ipynb").write_text("{}")
    (hand_in(place, "nearly") / "weights.bin").write_bytes(bytes(62 * 2**20))
    for name, ignored in (("checkpoints", ".ipynb_checkpoints"), ("cached", "__pycache__")):
        hidden = hand_in(place, name, LOOKS + HONEST) / ignored
        hidden.mkdir()
        (hidden / "link").symlink_to(root / "secret")
        (hidden / "endless").symlink_to("/dev/zero")
        os.mkfifo(hidden / "pipe")
    words = ["--pack", str(pack), "grade", "mine", str(place), "--results", str(root / "graded")]
    assert run([*words, "--workers", "2"], "tito compete") == 0
    with_rows = Store(root / "graded" / "results.sqlite").latest("mine")
    return {result.identity.student: result for result in with_rows}


@pytest.mark.parametrize(
    "student", ["ada", "blank", "marks", "prints", "nearly", "checkpoints", "cached"]
)
def test_strange_work_that_answers_well_is_graded_like_any_other(
    graded: dict[str, Result], student: str
) -> None:
    result = graded[student]
    assert str(result.verdict) == "OK", result.message
    assert result.points == graded["ada"].points > 5


@pytest.mark.parametrize(
    ("student", "message"),
    [
        ("surrogates", "a notebook of format ?"),
        ("deep", "20 levels"),
        ("folders", "more than 500 files and folders"),
        ("two", "no mine.ipynb but 'a.ipynb', 'b.ipynb'"),
        ("large", "63 MiB"),
    ],
)
def test_what_can_not_be_graded_is_its_students_error_in_one_sentence(
    graded: dict[str, Result], student: str, message: str
) -> None:
    result = graded[student]
    assert (str(result.verdict), result.points) == ("ERROR", 0)
    assert message in result.message
    assert "/" not in result.message
