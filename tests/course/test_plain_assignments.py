"""Ordinary assignments give the same grades in our sandbox as with nbgrader alone."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import v4
from support.coursework import nbgrader

from tinytorch_compete.course import config, plain_assignments
from tinytorch_compete.errors import Fault
from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.sandbox.fake import FakeSandbox

RIGHT = "def square(x):\n    return x * x\n"
CLASS = {
    "right": RIGHT,
    "wrong": "def square(x):\n    return x + x\n",
    "raises": "1 / 0",
    "noisy": RIGHT + "import sys\nprint('hello')\nprint('oops', file=sys.stderr)\n",
    "loops": "def square(x):\n    while x == 3:\n        pass\n    return x * x\n",
    "stubborn": "def square(x):\n    while x == 5:\n        pass\n    return x * x\n",
    "chatty": RIGHT.replace("return", "print('x' * 2000000)\n    return"),
    "untouched": "def square(x):\n    pass",
}


def cell(name: str, source: str, points: int | None = None, **facts: Any) -> Any:
    metadata = {"grade_id": name, "schema_version": 3, "solution": False, "locked": False}
    metadata |= {"grade": points is not None, "task": False, **facts}
    metadata |= {} if points is None else {"points": points}
    make = v4.new_markdown_cell if facts.get("markdown") else v4.new_code_cell
    metadata.pop("markdown", None)
    return make(source, metadata={"nbgrader": metadata})


def problem(answer: str) -> Any:
    cells = [
        cell("square", answer, solution=True),
        cell("two", "assert square(2) == 4", 2, locked=True),
        cell("share", "0.5 + (square(5) == 25)", 2, locked=True),
        cell(
            "quiet", "import sys\nif square(1) != 1: print('no', file=sys.stderr)", 1, locked=True
        ),
        cell("file", "assert open('help.txt').read() == 'help'", 1, locked=True),
        cell("three", "assert square(3) == 9", 4, locked=True),
        cell("extra", "assert square(4) == 16", 0, locked=True),
        cell("more", "print('fine')\n1.5 if square(6) == 36 else -1", 2, locked=True),
        cell("code", "print(square(2))" * (answer != CLASS["untouched"]), 2, solution=True),
        cell("task", "Do it.", 5, locked=True, task=True, grade=False, markdown=True),
        cell(
            "essay",
            "YOUR ANSWER HERE" if answer == CLASS["untouched"] else "So.",
            3,
            solution=True,
            markdown=True,
        ),
    ]
    return v4.new_notebook(cells=cells)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """The same course twice: without and with our block in its configuration."""
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    source = theirs / "source" / "ps1"
    source.mkdir(parents=True)
    nbformat.write(problem(CLASS["untouched"]), source / "p1.ipynb")
    (source / "help.txt").write_text("help")
    settings = "c = get_config()\nc.CourseDirectory.course_id = 'x'\nc.Execute.timeout = 3\n"
    (theirs / "nbgrader_config.py").write_text(settings)
    for student, answer in CLASS.items():
        folder = theirs / "submitted" / student / "ps1"
        folder.mkdir(parents=True)
        nbformat.write(problem(answer), folder / "p1.ipynb")
    done = nbgrader(theirs, "generate_assignment", "ps1")
    assert done.returncode == 0, done.stderr
    shutil.copytree(theirs, ours)
    config.write(ours / config.NAME, {}, [], {})
    return theirs, ours


def grades(course: Path) -> dict[tuple[str, str], tuple[float | None, bool]]:
    """Read each automatic score and whether it needs manual grading, by student and cell."""
    query = """
        select work.student_id, cell.name, grade.auto_score, grade.needs_manual_grade
        from grade join base_cell cell on grade.cell_id = cell.id
        join submitted_notebook book on grade.notebook_id = book.id
        join submitted_assignment work on book.assignment_id = work.id
    """
    with sqlite3.connect(course / "gradebook.db") as database:
        return {(row[0], row[1]): (row[2], bool(row[3])) for row in database.execute(query)}


def test_every_cell_is_worth_what_nbgrader_says(places: tuple[Path, Path]) -> None:
    for course in places:
        done = nbgrader(course, "autograde", "ps1")
        assert done.returncode == 0, done.stderr
    theirs, ours = map(grades, places)
    assert len(theirs) == 10 * len(CLASS)
    assert ours == theirs
    assert ours["right", "share"] == (1.5, False)
    assert ours["wrong", "share"] == (0.5, False)
    assert ours["loops", "two"] == (2, False) and ours["loops", "three"] == (0, False)
    assert ours["loops", "more"] == ours["stubborn", "more"] == (1.5, False)
    assert ours["wrong", "more"] == (2, False)
    assert ours["right", "extra"] == (0, False)
    assert ours["chatty", "two"] == (2, False)
    assert ours["right", "code"] == ours["right", "task"] == (None, True)
    assert ours["right", "essay"] == (None, True)
    assert ours["untouched", "essay"] == (0, False)


def run(notebook: Any, folder: Path, sandbox: Sandbox) -> dict[str, list[str]]:
    """Run a notebook, and return the types of each code cell's outputs."""
    executed = plain_assignments.execute(notebook, folder, 128, 5, sandbox)
    return {
        c.metadata["nbgrader"]["grade_id"]: [output.output_type for output in c.outputs]
        for c in executed.cells
        if c.cell_type == "code"
    }


def test_cells_after_a_dead_kernel_have_an_error_and_those_before_keep_theirs(
    tmp_path: Path, real_sandbox: Sandbox
) -> None:
    dies = (
        RIGHT + "import os\nright = square\ndef square(x): return x == 5 and os._exit(1) or x * x"
    )
    outputs = run(problem(dies), tmp_path, real_sandbox)
    assert outputs["two"] == []
    for name in ("share", "quiet", "file", "three"):
        assert outputs[name] == ["error"]


def test_no_tag_keeps_a_test_from_running(tmp_path: Path) -> None:
    notebook = problem(CLASS["wrong"])
    for tagged in notebook.cells:
        tagged.metadata["tags"] = ["skip-execution", "raises-exception"]
    assert run(notebook, tmp_path, FakeSandbox())["three"] == ["error"]


def test_a_cell_over_its_own_time_has_an_error(tmp_path: Path) -> None:
    slow = "import time\nstart = time.time()\nwhile time.time() < start + 0.2: pass\n" + RIGHT
    executed = plain_assignments.execute(problem(slow), tmp_path, 128, 0.1, FakeSandbox())
    assert "0.1 s" in executed.cells[0].outputs[-1].evalue


def test_a_notebook_can_detect_that_it_is_graded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "")  # the fake runs in this very process
    notebook = problem(RIGHT)
    notebook.cells[1].source = "import os\nassert os.environ['NBGRADER_EXECUTION'] == 'autograde'"
    assert run(notebook, tmp_path, FakeSandbox())["two"] == []


def test_another_language_is_our_fault(tmp_path: Path) -> None:
    notebook = problem(RIGHT)
    notebook.metadata["kernelspec"] = {"name": "ir", "display_name": "R", "language": "R"}
    with pytest.raises(Fault, match="'R'"):
        run(notebook, tmp_path, FakeSandbox())
