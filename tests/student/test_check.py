"""The check that students run themselves: the grader's route on the public images."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console
from support.student import GOLD, write_answer

from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.cli import console
from tinytorch_compete.cli.app import run
from tinytorch_compete.errors import NotebookError
from tinytorch_compete.participants import registration
from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.sandbox.fake import FakeSandbox
from tinytorch_compete.student import check as student_check
from tinytorch_compete.student import join, package
from tinytorch_compete.student.join_options import JoinOptions


@pytest.fixture
def folder(challenge: Challenge, home: Path) -> Path:
    """A folder in which the challenge was joined and solved."""
    join.join(challenge, home, JoinOptions())
    write_answer(home / "mine")
    return home / "mine"


def test_a_good_answer_is_told_its_points_and_what_was_not_checked(
    challenge: Challenge, folder: Path
) -> None:
    panel = student_check.check({"mine": challenge}, folder, None, None, FakeSandbox())
    assert "OK" in panel.title
    assert "public images" in panel.title
    assert any(line.startswith("Not checked: the hidden images") for line in panel.lines)
    assert any(line.endswith("Held by: none: this is the fake.") for line in panel.lines)


def test_an_answer_that_was_not_begun_is_named(challenge: Challenge, home: Path) -> None:
    join.join(challenge, home, JoinOptions())
    panel = student_check.check({"mine": challenge}, home, "mine", None, FakeSandbox())
    assert "ERROR, 0 of 10 points" in panel.title
    assert any(line.endswith("changed: predict.") for line in panel.lines)


def test_a_check_asks_about_public_images_alone(challenge: Challenge, folder: Path) -> None:
    plan = student_check.public_plan(challenge, registration.read(folder))
    (exam,) = plan.exams
    images, labels = exam.data.public()
    assert (exam.holdout[0] == images).all()
    assert (exam.holdout[1] == labels).all()
    assert len(exam.check[1]) <= len(labels)
    assert all((image == images).all(axis=(1, 2)).any() for image in exam.check[0])


def test_it_runs_in_a_real_sandbox_under_the_challenges_own_caps(
    challenge: Challenge, folder: Path, real_sandbox: Sandbox
) -> None:
    write_answer(folder, GOLD.replace("    means", "    held = np.ones(10**9)\n    means"))
    panel = student_check.check({"mine": challenge}, folder, None, None, real_sandbox)
    assert "OVER_MEMORY" in panel.title


def test_an_interruption_ends_the_run_and_leaves_nothing(
    challenge: Challenge, folder: Path, walled_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(path for path in folder.rglob("*"))
    marker = folder.parent / "temporary"
    marker.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(marker))
    write_answer(folder, "import time\ntime.sleep(600)\n")
    timer = threading.Timer(2.0, signal.raise_signal, [signal.SIGINT])
    started = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        student_check.check({"mine": challenge}, folder, None, None, walled_sandbox)
    assert time.monotonic() - started < challenge.spec.limits.wall_s
    assert list(marker.iterdir()) == []
    assert sorted(path for path in folder.rglob("*")) == before


def test_a_check_tells_its_seconds_and_limit_and_an_interruption_there_is_clean(
    challenge: Challenge, folder: Path, walled_sandbox: Sandbox
) -> None:
    write_answer(folder, "while True: pass")
    reports: list[tuple[float, float]] = []

    def running(seconds: float, limit: float) -> None:
        reports.append((seconds, limit))
        if seconds > 1:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        student_check.check(
            {"mine": challenge}, folder, None, None, walled_sandbox, running=running
        )
    assert [limit for _, limit in reports] == [30] * len(reports)
    assert [seconds for seconds, _ in reports] == sorted(seconds for seconds, _ in reports)
    assert len(reports) > 1


def test_the_command_shows_seconds_and_stops_by_ctrl_c(
    challenge: Challenge,
    folder: Path,
    walled_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    terminal = Console(force_terminal=True, force_interactive=True, width=100)
    monkeypatch.setattr(console, "console", terminal)
    write_answer(folder, "while True: pass")
    grade_public = student_check.grade_public

    def check(plan, work, sandbox, running):  # type: ignore[no-untyped-def]
        def and_interrupt(seconds: float, limit: float) -> None:
            running(seconds, limit)
            if seconds > 1:
                signal.raise_signal(signal.SIGINT)

        return grade_public(plan, work, sandbox, and_interrupt)

    monkeypatch.setattr(student_check, "grade_public", check)
    pack = str(challenge.folder.parents[1])
    assert run(["--pack", pack, "check"], "tito compete") == 130
    captured = capsys.readouterr()
    assert "s of at most 30 s" in captured.out
    assert captured.err.strip() == "Stopped; nothing was sent or kept."


def test_a_parcel_holds_the_notebook_and_code_and_nothing_else(
    challenge: Challenge, folder: Path
) -> None:
    (folder / "tinytorch" / "mine.py").write_text("x = 1")
    (folder / "draft.ipynb").write_text("{}")
    (folder / "feedback").mkdir()
    (folder / "feedback" / "old.html").write_text("")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("")
    with package.packed(
        challenge, folder, folder / "mine.ipynb", registration.read(folder)
    ) as submission_package:
        names = set(submission_package.snapshot.files)
        sent = registration.read(submission_package.snapshot.work.notebook.parent)
    assert {"mine.ipynb", "tinytorch/mine.py", registration.FILE} <= names
    assert {name.split("/")[0] for name in names} == {"mine.ipynb", "tinytorch", registration.FILE}
    assert sent == registration.Registration("mine", "digits")


def test_a_link_in_the_folder_is_refused(challenge: Challenge, folder: Path) -> None:
    (folder / "passwords").symlink_to("/etc/passwd")
    with (
        pytest.raises(NotebookError, match="link"),
        package.packed(challenge, folder, folder / "mine.ipynb", registration.read(folder)),
    ):
        pass


def test_too_much_is_refused_before_it_is_copied(challenge: Challenge, folder: Path) -> None:
    with (folder / "weights.bin").open("wb") as file:
        file.truncate(70 * 2**20)
    with (
        pytest.raises(NotebookError, match=r"largest is weights\.bin"),
        package.packed(challenge, folder, folder / "mine.ipynb", registration.read(folder)),
    ):
        pass
