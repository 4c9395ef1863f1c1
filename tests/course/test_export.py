"""Exports of grades for Canvas, Moodle, Gradescope and nbgrader."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from support.classes import CHALLENGE, attempt
from support.coursework import GOLD, compete, nbgrader, submit

from tinytorch_compete.results import export

# https://gradescope-autograders.readthedocs.io/en/latest/specs/
DOCUMENTED = {"score", "execution_time", "output", "output_format", "tests", "leaderboard"}
DOCUMENTED |= {"test_output_format", "test_name_format", "visibility", "stdout_visibility"}
DOCUMENTED |= {"extra_data"}
DOCUMENTED_OF_A_TEST = {"score", "max_score", "status", "name", "name_format", "number", "output"}
DOCUMENTED_OF_A_TEST |= {"output_format", "tags", "visibility", "extra_data"}
ZEROS = "def predict(images):\n    return np.zeros(len(images), int)\n"


def test_each_format_follows_its_documentation(course: Path) -> None:
    submit(course, "ada", GOLD)
    submit(course, "bob", "raise ValueError('=cmd() <b>')")
    submit(course, "=1+1", ZEROS)
    assert compete("grade", "target", "--course", course) == 0
    place = course.parent
    words = ("--canvas", place / "c.csv", "--moodle", place / "m.csv", "--gradescope", place / "g")
    assert compete("export", "target", "--results", course / "graded", *words) == 0

    canvas = pd.read_csv(place / "c.csv", keep_default_na=False)
    fixed = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    assert list(canvas.columns) == [*fixed, "Target"]
    assert canvas["Student"].tolist() == ["    Points Possible", "'=1+1", "ada", "bob"]
    assert canvas["SIS Login ID"].tolist()[2:] == ["ada", "bob"]
    assert canvas["Target"].tolist() == [10, 0, 10, 0]

    moodle = pd.read_csv(place / "m.csv")
    title = "Assignment: Target"
    assert list(moodle.columns) == ["ID number", f"{title} (Real)", f"{title} (Feedback)"]
    assert moodle[f"{title} (Real)"].tolist() == [0, 10, 0]
    assert "ValueError: =cmd() &lt;b&gt;" in moodle[f"{title} (Feedback)"][2]

    exported = json.loads((place / "g" / "ada" / "results.json").read_text())
    assert exported["score"] == 10
    assert [test["score"] for test in exported["tests"]] == [5, 5]
    assert set(exported) <= DOCUMENTED
    assert all(set(test) <= DOCUMENTED_OF_A_TEST for test in exported["tests"])
    assert [column["name"] for column in exported["leaderboard"]] == ["accuracy"]
    assert json.loads((place / "g" / "bob" / "results.json").read_text())["leaderboard"] == []

    plugin = "--exporter=tinytorch_compete.course.plugins.ResultsExport"
    done = nbgrader(course, "export", plugin, "--to", "table.csv")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(course / "table.csv")
    assert table["student"].tolist() == ["'=1+1", "ada", "bob"]
    assert table["score"].tolist() == table["points"].tolist() == [0, 10, 0]


def test_gradescope_gets_the_direction_of_each_metric() -> None:
    result = attempt("ada", 2.0)
    columns = json.loads(export.gradescope(CHALLENGE, result))["leaderboard"]
    peak = {"name": "peak_mib", "value": result.peak_mib, "order": "asc"}
    assert columns == [{"name": "speedup", "value": 2.0}, peak]


def test_a_sheet_without_grades_changes_no_points_possible() -> None:
    assert export.canvas(CHALLENGE, [])[CHALLENGE.title].tolist() == [""]


def test_without_a_format_nothing_is_written(course: Path) -> None:
    assert compete("export", "target", "--results", course / "graded") == 1
    assert not (course / "graded").exists()
