"""Teams in a real course: one score in everybody's gradebook, one line on the board."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from support.coursework import GOLD, PACK, compete, nbgrader, submit

from tinytorch_compete.cli.app import run
from tinytorch_compete.course.gradebook import CourseGradebook
from tinytorch_compete.feedback import writer
from tinytorch_compete.leaderboard import board
from tinytorch_compete.participants import registration
from tinytorch_compete.participants.registration import Registration

ZEROS = "def predict(images):\n    return np.zeros(len(images), int)\n"
WORD = "open sesame"


def send(
    course: Path, student: str, answer: str, hour: int, team: str = "", word: str = WORD
) -> Path:
    """Write a submission and registration where ``nbgrader collect`` would; return its folder."""
    folder = submit(course, student, answer).parent
    (folder / "timestamp.txt").write_text(f"2026-01-31 {hour:02}:00:00.000000 UTC")
    who = Registration("target", "digits", team=team, word=word if team else "")
    registration.write(folder, who.shown())
    return folder


def scores(course: Path) -> dict[str, float]:
    """Read each student's score in the gradebook."""
    totals: dict[str, float] = {}
    for (student, _), score in CourseGradebook(course).scores("target").items():
        totals[student] = totals.get(student, 0) + (score or 0)
    return totals


@pytest.fixture
def handed_in(course: Path) -> Path:
    """A course with a team of two, a student who guesses its word, and a team of one."""
    send(course, "ada", GOLD, 13, "rocket")
    send(course, "bob", ZEROS, 12, "Rocket")
    send(course, "mallory", ZEROS, 11, "Team of one")
    send(course, "zoe", ZEROS, 14, "ROCKET", "guessed it")
    return course


def test_both_commands_give_all_members_the_points_of_the_newest(
    handed_in: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(handed_in, other)
    assert compete("grade", "target", "--course", handed_in) == 0
    output = capsys.readouterr()
    assert "2 teams" in output.out
    assert "zoe: not in the team ROCKET" in " ".join(output.err.split())
    expected = {"ada": 10.0, "bob": 10.0, "mallory": 0.0, "zoe": 0.0}
    assert scores(handed_in) == expected
    done = nbgrader(other, "autograde", "target")
    assert done.returncode == 0, done.stderr
    assert scores(other) == expected
    for command in ("generate_feedback", "release_feedback"):
        done = nbgrader(other, command, "target")
        assert done.returncode == 0, done.stderr
    bobs, zoes = (
        (other / "feedback" / name / "target" / "target.html").read_text()
        for name in ("bob", "zoe")
    )
    assert writer.SENT in bobs
    assert "argmin" not in bobs  # the teammate's code
    assert "not in the team ROCKET" in zoes
    for course in (handed_in, other):  # bob sends again, alone: points go back to their own
        send(course, "bob", ZEROS + "# mine", 15)
        send(course, "zoe", GOLD, 16, "rocket")
    assert compete("grade", "target", "--course", handed_in) == 0
    for student in ("bob", "zoe"):
        done = nbgrader(other, "autograde", "target", "--force", "--student", student)
        assert done.returncode == 0, done.stderr
    after = {"ada": 10.0, "bob": 0.0, "mallory": 0.0, "zoe": 10.0}
    assert scores(handed_in) == scores(other) == after
    copy = handed_in / "autograded" / "bob" / "target" / "target.ipynb"
    assert "teammate" not in copy.read_text()
    assert not (handed_in / "graded" / "feedback" / "bob" / "target-team.ipynb").exists()


def test_a_team_that_loses_its_newest_falls_back_to_what_is_left(handed_in: Path) -> None:
    send(handed_in, "bob", GOLD, 12, "rocket")
    send(handed_in, "ada", ZEROS, 13, "Rocket")
    assert compete("grade", "target", "--course", handed_in) == 0
    assert scores(handed_in) == {"ada": 0.0, "bob": 0.0, "mallory": 0.0, "zoe": 0.0}
    send(handed_in, "ada", ZEROS + "# alone", 15)
    assert compete("grade", "target", "--course", handed_in) == 0
    assert scores(handed_in) == {"ada": 0.0, "bob": 10.0, "mallory": 0.0, "zoe": 0.0}


def test_sheets_and_tables_have_the_teams_points_and_the_board_one_line(
    handed_in: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graded = handed_in / "graded"
    assert compete("grade", "target", handed_in / "submitted", "--results", graded) == 0
    words = ("--canvas", handed_in / "c.csv", "--gradescope", handed_in / "g")
    assert compete("export", "target", "--results", graded, *words) == 0
    canvas = pd.read_csv(handed_in / "c.csv", keep_default_na=False)
    assert canvas["Target"].tolist() == [10, 10, 10, 0, 0]
    assert json.loads((handed_in / "g" / "bob" / "results.json").read_text())["score"] == 10
    assert compete("results", "target", "--results", graded, "--csv", handed_in / "t.csv") == 0
    table = pd.read_csv(handed_in / "t.csv").set_index("student")
    assert table["points"].to_dict() == {"ada": 10, "bob": 10, "mallory": 0, "zoe": 0}
    assert compete("leaderboard", "target", "--results", graded) == 0
    (line,) = board.read(graded / "leaderboard" / "target.json").newest
    assert line.handle.startswith("Rocket-")
    capsys.readouterr()
    assert compete("results", "target", "--results", graded, "--detailed") == 0
    assert f"ada, bob  {line.handle}" in capsys.readouterr().out
    for student in ("ada", "bob"):
        files = (graded / "feedback" / student).glob("*.ipynb")
        (team_file,) = {path.name for path in files} - {"target.ipynb"} or {""}
        assert team_file == ("target-team.ipynb" if student == "bob" else "")


def test_a_team_shares_one_quota_and_a_member_beyond_it_gets_the_teams_points(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = course.parent / "pack"
    shutil.copytree(PACK, copied)
    toml = copied / "challenge_notebooks" / "target" / "challenge.toml"
    toml.write_text(toml.read_text() + "\n[dates]\nper_day = 1\n")
    config = course / "nbgrader_config.py"
    config.write_text(config.read_text().replace(str(PACK), str(copied)))
    send(course, "bob", GOLD, 12, "Rocket")
    send(course, "ada", ZEROS, 13, "Rocket")
    send(course, "eve", ZEROS, 13)
    words = ["--pack", str(copied), "grade", "target", "--course", str(course)]
    assert run(words, "tito compete") == 0
    assert "not graded: ada: 1 were already accepted on 2026-01-31" in " ".join(
        capsys.readouterr().err.split()
    )
    assert scores(course) == {"ada": 10.0, "bob": 10.0, "eve": 0.0}
    copy = nbformat.read(course / "autograded" / "ada" / "target" / "target.ipynb", 4)
    assert writer.SENT in copy.cells[0].source
    for step in ("generate_feedback", "release_feedback"):
        done = nbgrader(course, step, "target")
        assert done.returncode == 0, done.stderr
    send(course, "ada", ZEROS + "# tomorrow", 13, "Rocket")
    stamp = course / "submitted" / "ada" / "target" / "timestamp.txt"
    stamp.write_text("2026-02-01 09:00:00.000000 UTC")
    assert run(words, "tito compete") == 0
    assert scores(course) == {"ada": 0.0, "bob": 0.0, "eve": 0.0}


def test_a_student_who_leaves_a_team_keeps_none_of_its_points(course: Path) -> None:
    copied = course.parent / "pack"
    shutil.copytree(PACK, copied)
    toml = copied / "challenge_notebooks" / "target" / "challenge.toml"
    toml.write_text(toml.read_text() + "\n[dates]\ncloses = 2026-01-31T12:30:00Z\n")
    config = course / "nbgrader_config.py"
    config.write_text(config.read_text().replace(str(PACK), str(copied)))
    words = ["--pack", str(copied), "grade", "target", "--course", str(course), "--no-insights"]
    send(course, "bob", GOLD, 12, "Rocket")
    send(course, "ada", ZEROS, 13, "Rocket")  # too late to be graded, and yet in the team
    assert run(words, "tito compete") == 0
    assert scores(course) == {"ada": 10.0, "bob": 10.0}
    send(course, "ada", ZEROS, 14)
    for _ in range(2):
        assert run(words, "tito compete") == 0
        assert scores(course) == {"bob": 10.0}
        assert not (course / "autograded" / "ada" / "target").exists()


def test_a_teams_final_points_outlast_a_later_public_grading_of_somebody_else(
    course: Path, tmp_path: Path
) -> None:
    words = ("--course", course, "--no-insights")
    send(course, "ada", GOLD, 13, "rocket")
    send(course, "bob", ZEROS, 12, "Rocket")
    assert compete("grade", "target", *words) == 0
    assert scores(course) == {"ada": 10.0, "bob": 10.0}
    send(course, "bob", ZEROS + "# last", 14, "Rocket")
    assert compete("grade", "target", *words, "--final") == 0
    assert scores(course) == {"ada": 0.0, "bob": 0.0}
    sheet = tmp_path / "final.csv"
    export = ("export", "target", "--results", course / "graded", "--canvas", sheet)
    assert compete(*export, "--final") == 0
    assert pd.read_csv(sheet)["Target"].tolist()[1:] == [0, 0]
    late = send(course, "cyd", GOLD, 15)
    shutil.copytree(late, tmp_path / "late" / "cyd" / "target")
    assert compete("grade", "target", tmp_path / "late", *words) == 0
    assert scores(course) == {"ada": 0.0, "bob": 0.0, "cyd": 10.0}


def test_grading_once_more_changes_no_graded_copy_in_a_class_with_figures(course: Path) -> None:
    for number, student in enumerate(("cyd", "dee", "eve", "fay")):
        send(course, student, GOLD if number % 2 else ZEROS, 10)
    send(course, "ada", GOLD, 13, "rocket")
    send(course, "bob", ZEROS, 12, "Rocket")

    def copies() -> dict[str, str]:
        words = ("--course", course, "--class-figures", "--no-insights")
        assert compete("grade", "target", *words) == 0
        paths = (course / "autograded").rglob("*.ipynb")
        return {path.parts[-3]: path.read_text() for path in paths}

    first = copies()
    assert copies() == first
    with_figures = {name for name, text in first.items() if "In your class" in text}
    assert with_figures == first.keys() - {"bob"}  # for whom the teammate's result counts
