"""One class graded both ways: by ``tito compete grade`` and by ``nbgrader autograde``."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import nbformat
import pytest
from nbgrader.apps import NbGrader, NbGraderAPI
from support.coursework import GOLD, compete, nbgrader, submit

from tinytorch_compete.course.gradebook import CourseGradebook
from tinytorch_compete.results.store import Store

ATTACKS = Path(__file__).parents[1] / "attacks" / "notebooks"
HALF = (
    GOLD
    + "\ncalls = []\nright = predict\n"
    + (
        "def predict(images):\n"
        "    calls.append(1)\n"
        "    if len(calls) > 1:\n"
        "        import os\n"
        "        os._exit(1)\n"
        "    return right(images)\n"
    )
)
CLASS = {
    "gold": (GOLD,),
    "zeros": ("def predict(images):\n    return np.zeros(len(images), int)\n",),
    "raises": ("1 / 0",),
    "dies": (HALF,),
    "prints": ("import sys\nprint('hello')\nprint('oops', file=sys.stderr)\n" + GOLD, "42"),
}
EXPECTED = {"gold": (5, 5), "zeros": (0, 0), "raises": (0, 0), "dies": (5, 0), "prints": (5, 5)}
EXPECTED["misnamed"] = (5, 5)
# Warnings for staff, from both commands.
WARNINGS = (
    "misnamed: no target.ipynb; the only notebook, 'target (1).ipynb', is graded instead",
    "doubtful: no target.ipynb but 'a.ipynb', 'b.ipynb'; it is unclear which to grade: 0 points",
)


def test_formgraders_button_grades_inside_its_event_loop(course: Path) -> None:
    submit(course, "ada", GOLD)
    app = NbGrader()
    app.initialize([], root=str(course))

    async def press() -> dict[str, object]:
        api = NbGraderAPI(config=app.config, coursedir=app.coursedir)
        answer: dict[str, object] = api.autograde("target", "ada")
        return answer

    done = asyncio.run(press())
    assert done["success"], done
    assert scores(course) == {"ada": (5, 5)}


@pytest.fixture
def full(course: Path) -> Path:
    """The course with submissions of all kinds: good, bad, broken, hostile."""
    for student, answers in CLASS.items():
        submit(course, student, *answers)
    for name in ("input_transformer_blanks_cells", "grading_cells_edited_and_doubled"):
        path = submit(course, name, "")
        shutil.copy(ATTACKS / f"{name}.ipynb", path)
    tagged = submit(course, "tags", "raise SystemExit")
    notebook = nbformat.read(tagged, 4)
    released = nbformat.read(course / "release" / "target" / "target.ipynb", 4)
    notebook.cells += [cell for cell in released.cells if "first" in str(cell.metadata)]
    for cell in notebook.cells:
        cell.metadata["tags"] = ["skip-execution", "raises-exception"]
    nbformat.write(notebook, tagged)
    submit(course, "broken", "").write_text("{")
    misnamed = submit(course, "misnamed", GOLD)
    misnamed.rename(misnamed.with_name("target (1).ipynb"))
    doubtful = submit(course, "doubtful", GOLD)
    shutil.copy(doubtful, doubtful.with_name("a.ipynb"))
    doubtful.rename(doubtful.with_name("b.ipynb"))
    return course


def scores(course: Path) -> dict[str, tuple[float | None, ...]]:
    """Read each student's points in the gradebook, cell by cell."""
    by_student: dict[str, list[float | None]] = {}
    for (student, cell), score in sorted(CourseGradebook(course).scores("target").items()):
        assert cell in ("first", "second")
        by_student.setdefault(student, []).append(score)
    return {student: tuple(points) for student, points in by_student.items()}


def test_both_commands_give_the_same_points_in_every_cell(
    full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(full, other)
    assert compete("grade", "target", "--course", full) == 0
    lines = capsys.readouterr().err.splitlines()
    assert all(lines.count(line) == 1 for line in WARNINGS), lines
    fast = scores(full)
    secret = full / "graded" / "secret"
    (other / "graded").mkdir()
    shutil.copy(secret, other / "graded")
    done = nbgrader(other, "autograde", "target")
    assert done.returncode == 0, done.stderr
    assert all(done.stderr.count(line) == 1 for line in WARNINGS), done.stderr
    assert "Traceback" not in done.stderr
    assert scores(other) == fast
    for student, points in EXPECTED.items():
        assert fast[student] == points, student
    for student in set(fast) - set(EXPECTED):
        assert fast[student] == (0, 0), student
    assert len(fast) == len(CLASS) + 6
    mine, theirs = (
        {
            r.identity.student: (r.verdict, r.points)
            for r in Store(c / "graded/results.sqlite").latest()
        }
        for c in (full, other)
    )
    assert mine == theirs
    for student in fast:
        for course in (full, other):
            path = course / "autograded" / student / "target" / "target.ipynb"
            text = path.read_text()
            assert "HIDDEN" not in text and "compete_probe" not in text
            nbformat.validate(nbformat.reads(text, 4))
    again = nbgrader(full, "autograde", "target")
    assert again.returncode == 0 and "Skipping existing" in again.stderr
    capsys.readouterr()
    assert compete("grade", "target", "--course", full) == 0
    assert f"{len(fast)} graded already" in capsys.readouterr().out
    for command in ("generate_feedback", "release_feedback"):
        done = nbgrader(full, command, "target")
        assert done.returncode == 0, done.stderr
    page = (full / "feedback" / "dies" / "target" / "target.html").read_text()
    assert "5 of 5 points" in page and "the kernel" in page
    done = nbgrader(full, "export")
    assert done.returncode == 0, done.stderr
    rows = (full / "grades.csv").read_text().splitlines()
    assert any("dies" in row and ",5.0,0.0,5.0,10.0" in row for row in rows)


def test_feedback_says_where_it_stands_only_in_a_course_that_allows_it(course: Path) -> None:
    zeros = CLASS["zeros"][0]
    for student in ("ada", "ben", "cleo", "dan"):
        submit(course, student, GOLD if student < "c" else zeros)
    assert compete("grade", "target", "--course", course) == 0
    with (course / "nbgrader_config.py").open("a") as file:
        file.write("c.CompeteCourse.class_figures = True\n")

    def placed(student: str) -> list[bool]:
        copies = [course / "graded" / "feedback" / student / "target.ipynb"]
        copies += [course / "autograded" / student / "target" / "target.ipynb"]
        return [" 5 submissions" in nbformat.read(path, 4).cells[0].source for path in copies]

    assert compete("grade", "target", "--course", course) == 0
    assert placed("ada") == [False, False]  # four are too few
    submit(course, "eve", GOLD)
    done = nbgrader(course, "autograde", "target", "--student", "eve")
    assert done.returncode == 0, done.stderr
    assert placed("eve") == [True, True]
    assert placed("ada") == [False, False]  # updated when the whole class is graded
    before = scores(course)
    assert compete("grade", "target", "--course", course) == 0
    assert all(all(placed(student)) for student in ("ada", "ben", "cleo", "dan", "eve"))
    assert scores(course) == before
