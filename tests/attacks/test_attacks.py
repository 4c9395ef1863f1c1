"""Notebooks that attack the grader, beside honest and wrong ones: what each may earn and break."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import nbformat
import psutil
import pytest
import table
from nbformat import v4

from tinytorch_compete import feedback, grading, pack
from tinytorch_compete.box import landlock
from tinytorch_compete.grading import Graded, Plan
from tinytorch_compete.model import Verdict
from tinytorch_compete.sandbox import bubblewrap, capabilities
from tinytorch_compete.sandbox.local import LocalSandbox
from tinytorch_compete.submission import Submission

HERE = Path(__file__).parent
ATTACKS = sorted((HERE / "notebooks").glob("*.ipynb"))
HONEST = """\
def predict(images):
    train, labels = np.load("data/train_images.npy"), np.load("data/train_labels.npy")
    means = np.stack([train[labels == c].mean(axis=0) for c in range(10)])
    return ((images[:, None] - means) ** 2).sum(axis=(2, 3)).argmin(axis=1)
"""
WRONG = "def predict(images):\n    return np.zeros(len(images), int)\n"
# Grading an attack may not cost the grader itself more than this.
GRADER_MIB = 300


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(pack.load(HERE / "pack")[0], b"a secret that no notebook knows")


def submit(folder: Path, answer: str) -> Submission:
    cell = v4.new_code_cell(answer, metadata={"nbgrader": {"grade_id": "predict"}})
    path = folder / "target.ipynb"
    path.write_text(nbformat.writes(v4.new_notebook(cells=[cell])))
    return Submission("control", path, folder)


def grade(plan: Plan, work: Submission) -> Graded:
    return grading.grade(plan, work, LocalSandbox())


def test_the_honest_control_keeps_its_points(plan: Plan, tmp_path: Path) -> None:
    result = grade(plan, submit(tmp_path, HONEST)).result
    assert (result.verdict, result.points, result.tier) == (Verdict.OK, 10, "expert")


def test_the_wrong_control_keeps_its_zero(plan: Plan, tmp_path: Path) -> None:
    result = grade(plan, submit(tmp_path, WRONG)).result
    assert (result.verdict, result.points, result.tier) == (Verdict.WRONG, 0, "")


@pytest.mark.parametrize("path", ATTACKS, ids=lambda path: path.stem)
def test_an_attack_earns_and_breaks_nothing(
    path: Path, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = nbformat.read(path, 4).metadata["attack"]
    if "walls" in facts["needs"] and bubblewrap.find() is None:
        pytest.skip("not contained without walls, so not run: bubblewrap doesn't work here")
    if "cgroup" in facts["needs"] and not capabilities.survey()[1].works:
        pytest.skip("not contained without a cgroup: none can be made here")
    if "own user" in facts["needs"] and os.geteuid() != 0:
        pytest.skip("not contained unless each kernel is a user of its own, which takes root")
    if "landlock" in facts["needs"] and not landlock.abi():
        pytest.skip("not contained without Landlock: it isn't on here")
    if "walls" in facts.get("without", []):
        monkeypatch.setattr(bubblewrap, "find", lambda: None)
    table.CONTAINED["tried"] += 1
    (tmp_path / "canary").write_text("alive")
    copy = tmp_path / "attack" / "target.ipynb"
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    (copy.parent / "ballast").write_bytes(bytes(facts.get("ballast_mib", 0) * 2**20))
    before = children()
    with grown_mib() as grown:
        graded = grade(plan, Submission("mallory", copy, copy.parent))
    result = graded.result
    assert result.verdict in facts["verdicts"], result.message
    assert result.points is not None
    assert result.points <= facts["points"]
    assert facts["points"] or not result.tier
    assert children() <= before
    assert max(grown) < GRADER_MIB
    assert (tmp_path / "canary").read_text() == "alive"
    assert copy.read_bytes() == path.read_bytes()
    executed = graded.run.notebook if graded.run else None
    shown = nbformat.writes(feedback.make(plan.entry.challenge, result, executed))
    assert "BEGIN HIDDEN" not in shown
    assert "<script" not in shown
    shown.encode()
    msgspec.json.encode(result)
    table.CONTAINED["contained"] += 1


@contextlib.contextmanager
def grown_mib() -> Iterator[list[float]]:
    """By how many MiB this process is larger than before, looked at while it grades."""
    process, done = psutil.Process(), threading.Event()
    start = process.memory_info().rss
    seen = [0.0]

    def look() -> None:
        while not done.wait(0.02):
            seen.append((process.memory_info().rss - start) / 2**20)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        done.set()
        looking.join()


def children() -> set[int]:
    """The processes that this one has started and that live."""
    found = psutil.Process(os.getpid()).children(recursive=True)
    return {child.pid for child in found if child.status() != psutil.STATUS_ZOMBIE}


def test_after_all_attacks_the_honest_control_still_keeps_its_points(
    plan: Plan, tmp_path: Path
) -> None:
    result = grade(plan, submit(tmp_path, HONEST)).result
    assert (result.verdict, result.points) == (Verdict.OK, 10)


def test_the_table_of_attacks_is_up_to_date() -> None:
    assert (HERE / "README.md").read_text() == table.readme()
