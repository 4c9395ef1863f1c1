"""A regrade in a course: the gradebook stays until the staged grades are promoted."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest
from support.coursework import GOLD, PACK, submit

from tinytorch_compete.cli.app import run
from tinytorch_compete.course.gradebook import CourseGradebook
from tinytorch_compete.results.folder import STAGED

HALF = ("def judge(", "def whole(")
ADDED = """

def judge(evidence, exam):
    found = whole(evidence, exam)
    cells = {
        name: CellJudgement(cell.score / 2, cell.message) for name, cell in found.cells.items()
    }
    return Judgement(cells, found.metrics)
"""


@pytest.fixture
def graded(course: Path) -> Path:
    """The course with a pack of its own and a graded class."""
    pack = course.parent / "pack"
    shutil.copytree(PACK, pack)
    config = course / "nbgrader_config.py"
    assert str(PACK) in config.read_text()
    config.write_text(config.read_text().replace(str(PACK), str(pack)))
    for student, answer in (("ada", GOLD), ("bob", GOLD + "\n"), ("cy", "1 / 0")):
        submit(course, student, answer)
    assert grade(course) == 0
    return course


def grade(course: Path, *more: str) -> int:
    words = ["grade", "target", "--course", str(course), "--no-insights", *more]
    return run(words, "tito compete")


def halve(course: Path) -> None:
    """Make the grader give half of the points."""
    path = course.parent / "pack" / "graders" / "target" / "grader.py"
    text = path.read_text()
    assert HALF[0] in text
    path.write_text(text.replace(*HALF) + ADDED)


def public(course: Path) -> dict[str, bytes]:
    """Read every file of the course except staged ones."""
    paths = (path for path in course.rglob("*") if path.is_file())
    hidden = course / "graded" / STAGED
    return {str(path): path.read_bytes() for path in paths if not path.is_relative_to(hidden)}


def scores(course: Path) -> dict[str, float]:
    """Read each student's score in the gradebook."""
    totals: dict[str, float] = {}
    for (student, _), score in CourseGradebook(course).scores("target").items():
        totals[student] = totals.get(student, 0) + (score or 0)
    return totals


def test_the_gradebook_stays_until_staged_grades_are_promoted_and_then_has_them(
    graded: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scores(graded) == {"ada": 10, "bob": 10, "cy": 0}
    halve(graded)
    before = public(graded)
    assert grade(graded, "--shadow") == 0
    assert public(graded) == before

    folder = ["grade", "target", str(graded / "submitted"), "--promote"]
    where = ["--pack", str(graded.parent / "pack")]
    capsys.readouterr()
    assert run([*where, "diff", "target", "--results", f"{graded}/graded"], "tito compete") == 0
    assert "tito compete grade target --course FOLDER --promote" in capsys.readouterr().out
    assert run([*where, *folder, "--results", str(graded / "graded")], "tito compete") == 1
    assert "--course" in capsys.readouterr().err
    assert public(graded) == before

    take, calls = CourseGradebook.take, []

    def interrupted(self: CourseGradebook, *words: object) -> None:
        calls.append(words)
        if len(calls) == 2:
            raise KeyboardInterrupt
        take(self, *words)

    with monkeypatch.context() as patch:
        patch.setattr(CourseGradebook, "take", interrupted)
        assert grade(graded, "--promote") != 0
    assert scores(graded) == {"ada": 5, "bob": 10, "cy": 0}
    assert grade(graded, "--promote") == 0
    assert scores(graded) == {"ada": 5, "bob": 5, "cy": 0}
    for student in ("ada", "bob"):
        copy = nbformat.read(graded / "autograded" / student / "target" / "target.ipynb", 4)
        assert "5 of 10 points" in copy.cells[0].source
        assert "5 of 10 points" in (graded / f"graded/feedback/{student}/target.ipynb").read_text()
    capsys.readouterr()
    assert grade(graded) == 0
    assert "3 graded already" in capsys.readouterr().out


def test_cells_of_another_worth_are_released_before_they_are_promoted(
    graded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    master = graded.parent / "pack" / "challenge_notebooks" / "target" / "target.ipynb"
    master.write_text(master.read_text().replace('"points": 5', '"points": 7', 1))
    before = public(graded)
    assert grade(graded, "--shadow") == 0
    assert grade(graded, "--promote") == 1
    assert "tito compete course release target" in capsys.readouterr().err
    assert public(graded) == before
