"""Grading one submission with one call."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

import tinytorch_compete
from tinytorch_compete.errors import CompeteError
from tinytorch_compete.model import Verdict

PACK = Path(__file__).parents[1] / "attacks" / "pack"
MASTER = PACK / "challenge_notebooks" / "target" / "target.ipynb"


def test_a_notebook_or_its_folder_is_graded(tmp_path: Path) -> None:
    folder = tmp_path / "ada" / "target"
    folder.mkdir(parents=True)
    path = folder / "target.ipynb"
    path.write_text(MASTER.read_text())
    alone = tinytorch_compete.grade(path, "target", packs=[PACK], secret=b"s" * 32)
    whole = tinytorch_compete.grade(str(folder), "target", packs=[PACK], secret=b"s" * 32)
    assert alone.verdict == whole.verdict == Verdict.OK
    assert alone.points == whole.points == 10
    assert whole.identity.student == "ada"


def test_what_is_wrong_with_the_submission_is_its_verdict(tmp_path: Path) -> None:
    path = tmp_path / "mine.ipynb"
    path.write_text(nbformat.writes(v4.new_notebook()))
    result = tinytorch_compete.grade(path, "target", packs=[PACK])
    assert (result.verdict, result.points) == (Verdict.ERROR, 0.0)


def test_a_wrong_word_or_path_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(CompeteError, match=r"nothing\.ipynb"):
        tinytorch_compete.grade(tmp_path / "nothing.ipynb", "target", packs=[PACK])
    with pytest.raises(CompeteError, match="tarte"):
        tinytorch_compete.grade(MASTER, "tarte", packs=[PACK])


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, tinytorch_compete; print([m for m in sys.modules if '.' not in m])"
    command = [sys.executable, "-c", code]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    for heavy in ("numpy", "nbformat", "nbclient", "pandas", "nbgrader", "msgspec"):
        assert f"'{heavy}'" not in process.stdout
