"""Grade nbgrader's own fixture notebooks with nbgrader and with us, and list cells that differ.

    git clone https://github.com/jupyter/nbgrader
    python benchmarks/nbgrader_fixtures.py nbgrader

Makes an assignment of each notebook in ``tests/apps/files`` and ``tests/preprocessors/files``, if
nbgrader can, with the notebook itself and those derived from it as submissions. Nbgrader grades
them in its own way, in a kernel without walls; then the same course is graded again with our block
in its settings. Exits with 1 if a cell that nbgrader graded has a different score with us, or
differs in whether it needs manual grading.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nbgrader.apps.api import NbGraderAPI
from traitlets.config import Config, PyFileConfigLoader

from tinytorch_compete.course import config, folder

FIXTURES = ("tests/apps/files", "tests/preprocessors/files")
TIMEOUT_S = 4  # of a cell: below the five seconds that timeout.ipynb sleeps
# Nbgrader's own tests skip it, because it fills the memory of a kernel without a cap.
LEFT_OUT = "infinite-loop-with-output"
SETTINGS = f"""\
c = get_config()
c.CourseDirectory.course_id = "fixtures"
c.Execute.timeout = {TIMEOUT_S}
"""
# The last line of a traceback in nbgrader's log, which is indented there.
RAISED = re.compile(r"    [\w.]+(Error|Exception): .")
QUERY = """
    select cell.name, grade.auto_score, grade.needs_manual_grade
    from grade join base_cell cell on grade.cell_id = cell.id
    join submitted_notebook book on grade.notebook_id = book.id
    join submitted_assignment work on book.assignment_id = work.id
    join assignment on work.assignment_id = assignment.id
    where assignment.name = ? and work.student_id = ?
"""


class Fixture(NamedTuple):
    """A notebook, the name of its assignment, and the notebooks submitted for it."""

    path: Path
    slug: str
    submissions: list[Path]


Grades = dict[str, tuple[float | None, bool]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path, help="a checkout of nbgrader")
    options = parser.parse_args()
    os.environ |= folder.environment()
    with tempfile.TemporaryDirectory() as place:
        theirs, ours = Path(place, "theirs"), Path(place, "ours")
        assignments = list(make(options.checkout.resolve(), theirs))
        shutil.copytree(theirs, ours)
        config.write(ours / config.NAME, {}, [], {})
        return compare(assignments, theirs, ours)


def make(checkout: Path, course: Path) -> Iterator[Fixture]:
    """Make a course of all fixtures; yield those of which nbgrader can make an assignment."""
    course.mkdir()
    (course / config.NAME).write_text(SETTINGS)
    for fixture in find(checkout):
        source, fresh = course / "source" / fixture.slug, load(course)
        source.mkdir(parents=True)
        shutil.copy(fixture.path, source / "p1.ipynb")
        for path in fixture.path.parent.iterdir():
            if path.suffix in (".txt", ".png", ".yml"):
                shutil.copy(path, source)
                shutil.copy(path, course)
        done = fresh.generate_assignment(fixture.slug)
        if not done["success"]:
            print(f"{fixture.slug}: no assignment: {reason(done)}", flush=True)
            continue
        for path in fixture.submissions:
            place = course / "submitted" / student(path) / fixture.slug
            place.mkdir(parents=True)
            shutil.copy(path, place / "p1.ipynb")
        yield fixture


def find(checkout: Path) -> Iterator[Fixture]:
    """Yield each fixture notebook with all notebooks named after it."""
    for where in FIXTURES:
        paths = sorted((checkout / "nbgrader" / where).glob("*.ipynb"))
        known = [path for path in paths if path.stem != LEFT_OUT]
        for path in known:
            name = f"{path.stem.removesuffix('-unchanged')}-"
            made = [other for other in known if other.stem.startswith(name) and other != path]
            yield Fixture(path, f"{where.split('/')[1]}-{path.stem}", [path, *made])


def compare(fixtures: list[Fixture], theirs: Path, ours: Path) -> int:
    """Grade all submissions both ways, and print the differences."""
    works = cells = same = differing = 0
    for fixture in fixtures:
        for path in fixture.submissions:
            whose = (fixture.slug, student(path))
            expected, why = grade(theirs, *whose)
            found, why_not = grade(ours, *whose)
            if expected is None:
                outcome = "graded by us alone" if found is not None else f"nor by us: {why_not}"
                print(f"{'/'.join(whose)}: not graded by nbgrader: {why}; {outcome}", flush=True)
                continue
            works += 1
            cells += len(expected)
            if found is None:
                print(f"{'/'.join(whose)}: graded by nbgrader alone; we say: {why_not}")
            for name, score in expected.items():
                got = (found or {}).get(name)
                same += got == score
                differing += got != score
                if got != score:
                    print(f"{'/'.join(whose)}, cell {name}: nbgrader {score}, we {got}", flush=True)
    print(f"{works} submissions graded by nbgrader: {same} of {cells} cells the same")
    return 1 if differing else 0


def grade(course: Path, slug: str, who: str) -> tuple[Grades | None, str]:
    """Each cell's automatic score and need of manual grading; else ``None`` and the reason."""
    done = load(course).autograde(slug, who)
    if not done["success"]:
        return None, reason(done)
    with sqlite3.connect(course / "gradebook.db") as database:
        rows = database.execute(QUERY, (slug, who)).fetchall()
    return {name: (score, bool(manual)) for name, score, manual in rows}, ""


def load(course: Path) -> NbGraderAPI:
    """The API through which formgrader drives a course, with that course's settings."""
    os.chdir(course)
    settings: Config = PyFileConfigLoader(config.NAME, path=str(course)).load_config()
    settings.CourseDirectory.root = str(course)
    return NbGraderAPI(config=settings)


def student(path: Path) -> str:
    """The student who submits a fixture."""
    return path.stem


def reason(done: dict[str, object]) -> str:
    """The first error for which nbgrader gives more than a location, in one line."""
    lines = str(done.get("log") or done.get("error") or "").splitlines()
    raised = [line.strip() for line in lines if RAISED.match(line)]
    said = raised or [line for line in lines if line.startswith("[ERROR]")]
    return said[0][:200] if said else "nothing was said"


if __name__ == "__main__":
    sys.exit(main())
