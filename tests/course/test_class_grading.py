"""The service that grades a class gives the same results from our command and nbgrader's."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from support.coursework import GOLD, PACK, nbgrader, submit

from tinytorch_compete.challenges import packs
from tinytorch_compete.cli.app import run
from tinytorch_compete.course import class_grading
from tinytorch_compete.course.class_grading import ClassGrading
from tinytorch_compete.course.gradebook import CourseGradebook
from tinytorch_compete.feedback.suggestion_cells import SUGGESTIONS
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import Verdict
from tinytorch_compete.participants import registration
from tinytorch_compete.participants.registration import Registration
from tinytorch_compete.results.folder import ResultsFolder
from tinytorch_compete.sandbox import fake
from tinytorch_compete.sandbox.fake import FakeSandbox
from tinytorch_compete.submissions import submission
from tinytorch_compete.submissions.snapshot import load
from tinytorch_compete.suggestions import suggest

WASTEFUL = GOLD.replace("images[:, None]", 'images.astype("f8")[:, None]')
Road = Callable[[Path], tuple[int, str]]


def by_command(course: Path) -> tuple[int, str]:
    """Grade the course by our command, and return its exit status."""
    words = ["--pack", str(course.parent / "pack"), "grade", "target", "--course", str(course)]
    return run(words, "tito compete"), ""


def by_nbgrader(course: Path) -> tuple[int, str]:
    """Regrade the course by nbgrader's command, and return its exit status and its log."""
    done = nbgrader(course, "autograde", "target", "--force")
    return done.returncode, done.stderr


@pytest.fixture(params=[by_command, by_nbgrader], ids=["tito compete", "nbgrader"])
def road(request: pytest.FixtureRequest) -> Road:
    """Each way to grade a class."""
    way: Road = request.param
    return way


def with_dates(course: Path, dates: str) -> None:
    """Give the course's challenge these dates, in a pack of its own."""
    pack = course.parent / "pack"
    if not pack.exists():
        shutil.copytree(PACK, pack)
        config = course / "nbgrader_config.py"
        config.write_text(config.read_text().replace(str(PACK), str(pack)))
    original = PACK / "challenge_notebooks" / "target" / "challenge.toml"
    changed = pack / "challenge_notebooks" / "target" / "challenge.toml"
    changed.write_text(f"{original.read_text()}\n[dates]\n{dates}\n")


def send(course: Path, student: str, hour: int, team: str, answer: str = GOLD) -> None:
    """Write a submission with a registration where ``nbgrader collect`` would."""
    folder = submit(course, student, answer).parent
    (folder / "timestamp.txt").write_text(f"2026-01-31 {hour}:00:00.000000 UTC")
    who = Registration("target", "digits", team=team, word="open sesame" if team else "")
    registration.write(folder, who.shown())


def scores(course: Path) -> dict[str, float]:
    """Read the points of each student in the gradebook."""
    points: Counter[str] = Counter()
    for (student, _), score in CourseGradebook(course).scores("target").items():
        points[student] += score or 0
    return dict(points)


def test_a_submission_sent_too_late_is_never_graded(
    course: Path, road: Road, capsys: pytest.CaptureFixture[str]
) -> None:
    with_dates(course, "closes = 2026-01-31T11:00:00Z")
    submit(course, "ada", GOLD)
    _, log = road(course)
    messages = " ".join((log + capsys.readouterr().err).split())
    assert "not graded: ada: sent 2026-01-31 12:00" in messages
    assert not ResultsFolder(course / "graded").store().history("target")
    assert scores(course).get("ada", 0) == 0


def test_a_second_submission_beyond_the_quota_leaves_the_first_grade_as_it_is(
    course: Path, road: Road
) -> None:
    with_dates(course, "per_day = 1")
    submit(course, "ada", GOLD)
    assert road(course)[0] == 0
    copy = course / "autograded" / "ada" / "target" / "target.ipynb"
    before = [cell.source for cell in nbformat.read(copy, 4).cells]
    later = submit(course, "ada", GOLD + "# changed")
    stamp = later.with_name("timestamp.txt")
    stamp.write_text("2026-01-31 13:00:00.000000 UTC")
    assert road(course)[0] == 0
    assert scores(course) == {"ada": 10.0}
    assert [cell.source for cell in nbformat.read(copy, 4).cells] == before
    assert len(ResultsFolder(course / "graded").store().history("target")) == 1


def test_a_student_who_was_too_late_has_the_points_of_the_team(course: Path, road: Road) -> None:
    with_dates(course, "closes = 2026-01-31T12:30:00Z")
    for student, hour in (("ada", 13), ("bob", 12)):
        send(course, student, hour, "Rocket")
    road(course)
    road(course)  # nbgrader grades in the order of names: at first nobody of the team has a grade
    assert scores(course) == {"ada": 10.0, "bob": 10.0}


def test_nbgrader_reports_on_the_student_it_grades_and_not_on_teammates(course: Path) -> None:
    with_dates(course, "closes = 2026-01-31T12:30:00Z")
    for student, hour in (("ada", 13), ("bob", 14)):
        send(course, student, hour, "Rocket")
    log = nbgrader(course, "autograde", "target", "--student", "ada").stderr
    assert "CompeteError: not graded: ada: sent 2026-01-31 13:00" in log
    assert "bob" not in log


def test_a_student_who_leaves_a_team_leaves_no_feedback_with_former_teammates(
    course: Path, road: Road
) -> None:
    with_dates(course, "per_day = 9")
    send(course, "ada", 13, "Rocket")
    send(course, "bob", 12, "Rocket", answer="1 / 0")
    assert by_command(course)[0] == 0
    team_feedback = course / "graded" / "feedback" / "bob" / "target-team.ipynb"
    assert team_feedback.exists()
    send(course, "ada", 14, "")
    if road is by_nbgrader:
        assert (
            nbgrader(course, "autograde", "target", "--student", "ada", "--force").returncode == 0
        )
    else:
        assert road(course)[0] == 0
    assert not team_feedback.exists()
    assert scores(course) == {"ada": 10.0, "bob": 0.0}


def test_a_changed_challenge_is_noticed_before_anything_is_graded(course: Path, road: Road) -> None:
    with_dates(course, "per_day = 9")
    master = course.parent / "pack" / "challenge_notebooks" / "target" / "target.ipynb"
    master.write_text(master.read_text().replace('"points": 5', '"points": 7', 1))
    submit(course, "ada", GOLD)
    assert road(course)[0] != 0
    assert not (course / "graded" / "results.sqlite").exists()
    assert not (course / "graded" / "feedback").exists()


def test_a_refusal_is_reported_even_if_an_earlier_grading_failed(
    course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinytorch_compete.grading.pipeline.BACK_OFF_S", 0.0)
    submit(course, "ada", GOLD)
    folder = ResultsFolder(course / "graded")
    plan = Plan.of(packs.load(PACK)[0], folder.secret())
    sandbox = FakeSandbox(faults=3)
    session = ClassGrading(plan=plan, folder=folder, sandbox=sandbox, suggestions=False, workers=1)
    snapshots = [load(work) for work in submission.find(course / "submitted", "target")]
    assert [r.verdict for r in class_grading.grade(session, snapshots)] == [Verdict.FAULT]
    with_dates(course, "closes = 2026-01-31T11:00:00Z")
    _, log = by_nbgrader(course)
    assert "CompeteError: not graded: ada: sent 2026-01-31 12:00" in log


@pytest.mark.parametrize("suggestions", [True, False])
def test_the_course_decides_for_both_commands_whether_feedback_has_suggestions(
    course: Path, road: Road, suggestions: bool
) -> None:
    with_dates(course, "per_day = 9")
    with (course / "nbgrader_config.py").open("a") as file:
        file.write(f"c.CompeteCourse.suggestions = {suggestions}\n")
    submit(course, "ada", WASTEFUL)
    assert road(course)[0] == 0
    for path in (
        course / "graded" / "feedback" / "ada" / "target.ipynb",
        course / "autograded" / "ada" / "target" / "target.ipynb",
    ):
        cells = nbformat.read(path, 4).cells
        kinds = {cell.metadata.get("tinytorch_compete", {}).get("feedback") for cell in cells}
        assert (SUGGESTIONS in kinds) == suggestions, path


def test_each_file_of_a_submission_is_read_once_however_often_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copying into the sandbox doesn't count; profiles and all decisions use the first read."""
    for student in ("ada", "bob"):
        folder = submit(tmp_path, student, GOLD).parent
        (folder / "helper.py").write_text("x = 1\n")
        (folder / "notes.md").write_text("mine")
        registration.write(folder, Registration("target", "digits").shown())
    opened: Counter[str] = Counter()
    copying = []
    copy = fake.copy_sent

    def watched(folder: Path, place: Path) -> None:
        copying.append(folder)
        copy(folder, place)
        copying.pop()

    def note(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(args[0], str) and not copying:
            path = Path(args[0])
            if path.is_relative_to(tmp_path / "submitted") and path.is_file():
                opened[path.relative_to(tmp_path / "submitted").as_posix()] += 1

    monkeypatch.setattr(fake, "copy_sent", watched)
    monkeypatch.setattr(suggest, "copy_sent", watched)
    plan = Plan.of(packs.load(PACK)[0], b"s" * 32, seeds=2)
    folder = ResultsFolder(tmp_path / "graded")
    session = ClassGrading(plan=plan, folder=folder, sandbox=FakeSandbox(), workers=1)
    sys.addaudithook(note)
    snapshots = [load(work) for work in submission.find(tmp_path / "submitted", "target")]
    results = class_grading.grade(session, snapshots)
    again = class_grading.grade(session, snapshots)
    copying.append(tmp_path)  # a hook can't be taken away, but it can stop counting
    assert [result.points for result in results] == [10.0, 10.0]
    assert again == []
    names = ("target.ipynb", "timestamp.txt", "compete.json", "helper.py", "notes.md")
    assert opened == {
        **{f"{student}/target/{name}": 1 for student in ("ada", "bob") for name in names},
        **{f"{student}/target/submission_secret.txt": 1 for student in ("ada", "bob")},
    }
