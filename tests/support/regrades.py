"""A small class that is graded under one grader, and regraded under a changed one."""

from __future__ import annotations

from pathlib import Path

import batch
import pytest

from tinytorch_compete.cli import grade as cli_grade
from tinytorch_compete.cli.app import run
from tinytorch_compete.results.folder import STAGED, ResultsFolder
from tinytorch_compete.results.store import Store
from tinytorch_compete.sandbox.fake import FakeSandbox

HARSH = ("CellJudgement(share, message)", "CellJudgement(share / 2, message)")
ANSWERS = {name: batch.ANSWERS[name] for name in ("ada", "bob", "di", "flo")}


def make(root: Path) -> Path:
    """Create a graded class in a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli_grade, "LocalSandbox", FakeSandbox)
        patch.setattr(batch, "ANSWERS", ANSWERS)
        batch.make(root)
        assert grade(root) == 0
    return root


def change(root: Path, old: str, new: str) -> None:
    """Change the grader."""
    path = root / "pack" / "graders" / "mine" / "grader.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def words(root: Path, *more: str) -> list[str]:
    """Return the command that grades the class, serially: the fake sandbox has only one process."""
    return [*batch.words(root, "graded"), "--workers", "1", *more]


def grade(root: Path, *more: str) -> int:
    """Grade the class by the real command in this process, and return the exit status."""
    return run(words(root, *more), "tito compete")


def diff(root: Path, *more: str) -> int:
    """Compare the staged grades with the published ones, and return the exit status."""
    where = ["--results", str(root / "graded")]
    return run(["--pack", str(root / "pack"), "diff", "mine", *where, *more], "tito compete")


def public(root: Path) -> dict[str, bytes]:
    """Read every published file."""
    folder = root / "graded"
    paths = (path for path in folder.rglob("*") if path.is_file())
    hidden = folder / STAGED
    return {str(path): path.read_bytes() for path in paths if not path.is_relative_to(hidden)}


def stored(root: Path) -> Store:
    """Open the store of published results."""
    return Store(root / "graded" / "results.sqlite")


def points(root: Path) -> dict[str, float | None]:
    """Return each student's published points."""
    return {result.identity.student: result.points for result in stored(root).latest()}


def feedback(root: Path, student: str) -> str:
    """Read a student's published feedback, as text."""
    return (root / "graded" / "feedback" / student / "mine.ipynb").read_text()


def staged(root: Path) -> Path:
    """Return the folder of the staged grades."""
    return ResultsFolder(root / "graded").staged("mine", final=False).root
