"""Sending work to a course: by nbgrader's real exchange, or into a folder; and what is taken."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from nbconvert import HTMLExporter
from support.student import GOLD, write_answer

from tinytorch_compete.challenges.packs import Challenge, read_challenge
from tinytorch_compete.cli.app import run
from tinytorch_compete.errors import CompeteError, PackError, StoreError
from tinytorch_compete.model import Dates
from tinytorch_compete.participants import registration
from tinytorch_compete.participants.registration import Registration
from tinytorch_compete.rendering.panel import Panel
from tinytorch_compete.results.store import Store
from tinytorch_compete.student import exchange, join, results
from tinytorch_compete.student import submit as student_submit
from tinytorch_compete.student.join_options import JoinOptions
from tinytorch_compete.submissions import submission
from tinytorch_compete.submissions.snapshot import digest, load
from tinytorch_compete.util import times

UTC = dt.UTC


@pytest.fixture
def folder(challenge: Challenge, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the challenge was joined and solved; the student is in it."""
    join.join(challenge, home, JoinOptions())
    write_answer(home / "mine")
    monkeypatch.chdir(home / "mine")
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(home / "config"))
    return home / "mine"


@pytest.fixture
def course(folder: Path, tmp_path: Path) -> Path:
    """The teacher's folder of a course whose exchange the student's nbgrader knows."""
    root = tmp_path / "exchange"
    for name in ("inbound", "outbound/mine", "feedback"):
        (root / "c1" / name).mkdir(parents=True)
    (root / "c1" / "inbound").chmod(0o733)
    (root / "c1" / "outbound" / "mine" / "mine.ipynb").write_bytes(
        (folder / "mine.ipynb").read_bytes()
    )
    text = (
        "c = get_config()\n"
        "c.CourseDirectory.course_id = 'c1'\n"
        f"c.Exchange.root = {str(root)!r}\n"
        f"c.Exchange.cache = {str(tmp_path / 'cache')!r}\n"
    )
    teacher = tmp_path / "teacher"
    for place in (folder.parent / "config", teacher):
        place.mkdir()
        (place / "nbgrader_config.py").write_text(text)
    return teacher


def nbgrader(course: Path, *words: str) -> str:
    # nbgrader calls alembic by its name.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *words],
        cwd=course,
        capture_output=True,
        text=True,
        env={**os.environ, "JUPYTER_CONFIG_DIR": str(course / "none"), "PATH": path},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def submit(challenge: Challenge, folder: Path, to: Path | None = None) -> Panel:
    panel = student_submit.submit({"mine": challenge}, folder, None, None, to, lambda _: True)
    assert panel is not None
    return panel


def dated(challenge: Challenge, dates: Dates) -> Challenge:
    spec = msgspec.structs.replace(challenge.spec, dates=dates)
    return msgspec.structs.replace(challenge, spec=spec)


def test_nbgrader_lists_and_collects_what_was_sent(
    challenge: Challenge, folder: Path, course: Path
) -> None:
    shown = dict(submit(challenge, folder).rows)
    assert "nbgrader's exchange, course c1" in shown["to"]
    assert "c1" in nbgrader(course, "list", "--inbound")
    nbgrader(course, "collect", "mine")
    (work,) = submission.find(course / "submitted", "mine")
    snapshot = load(work)
    names = set(snapshot.files)
    assert {"mine.ipynb", "timestamp.txt", "tinytorch/__init__.py"} <= names
    assert not names & {"hints.md", "guide.md"}
    assert not (work.notebook.parent / "data").exists()
    (receipt,) = registration.read(folder).receipts
    assert snapshot.sent_at == receipt.sent_at
    sent = {n: s for n, s in snapshot.files.items() if not n.endswith(".txt")}
    assert digest(sent) == receipt.sha256 == shown["sha256"]


def test_a_second_submission_takes_the_place_of_the_first(
    challenge: Challenge, folder: Path, course: Path
) -> None:
    submit(challenge, folder)
    nbgrader(course, "collect", "mine")
    write_answer(folder, GOLD + "# better\n")
    submit(challenge, folder)
    nbgrader(course, "collect", "mine", "--update")
    (work,) = submission.find(course / "submitted", "mine")
    assert "# better" in work.notebook.read_text()
    assert len(registration.read(folder).receipts) == 2


def test_feedback_that_nbgrader_released_is_fetched_and_read(
    challenge: Challenge, folder: Path, course: Path, tmp_path: Path
) -> None:
    submit(challenge, folder)
    nbgrader(course, "collect", "mine")
    words = ["--pack", str(tmp_path / "pack"), "grade", "mine", str(course / "submitted")]
    assert run([*words, "--results", str(course / "graded")], "tito compete") == 0
    (feedback,) = (course / "graded" / "feedback").glob("*/mine.ipynb")
    page = course / "feedback" / feedback.parent.name / "mine" / "mine.html"
    page.parent.mkdir(parents=True)
    page.write_text(HTMLExporter().from_filename(str(feedback))[0])
    (work,) = submission.find(course / "submitted", "mine")
    for name in ("timestamp.txt", "submission_secret.txt"):  # as generate_feedback does
        (page.parent / name).write_text((work.notebook.parent / name).read_text())
    nbgrader(course, "release_feedback", "mine")
    (panel,) = results.panels({"mine": challenge}, folder, None, None, False)
    ((sent, verdict, *_),) = panel.rows
    assert verdict == "OK"
    assert sent == times.shown(registration.read(folder).receipts[0].sent_at)
    assert panel.lines[-1].endswith("mine.html")


def test_what_the_exchange_refuses_is_said_and_gives_no_receipt(
    challenge: Challenge, folder: Path, course: Path
) -> None:
    released = course.parent / "exchange" / "c1" / "outbound" / "mine"
    (released / "mine.ipynb").unlink()
    released.rmdir()
    with pytest.raises(CompeteError, match="the exchange refused: Assignment not found"):
        submit(challenge, folder)
    assert registration.read(folder).receipts == ()


# An exchange of another kind, as ngshare's is: its parts are nbgrader's abstract ones alone.
OTHER = """\
import pathlib, shutil
from nbgrader.exchange import abc
PLACE = pathlib.Path(__file__).parent

class Exchange(abc.Exchange):
    assignment_dir = "."
    path_includes_course = False

    def init_src(self):
        self.slug = self.coursedir.assignment_id
        self.src_path = pathlib.Path(self.assignment_dir, self.slug)

    def init_dest(self):
        pass

class Submit(Exchange, abc.ExchangeSubmit):
    def copy_files(self):
        if (PLACE / "shut").exists():
            self.log.error("the server is shut")
            self.timestamp = None
            return
        shutil.copytree(self.src_path, PLACE / "taken" / self.slug)
        self.timestamp = "2026-03-02 09:00:00.000001"

class FetchFeedback(Exchange, abc.ExchangeFetchFeedback):
    def copy_files(self):
        place = self.src_path / "feedback" / "2026-03-02"
        place.mkdir(parents=True)
        (place / "mine.html").write_text("well done")
"""


@pytest.fixture
def other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of an exchange that isn't nbgrader's own, which the student's nbgrader knows."""
    place = folder.parent / "other"
    place.mkdir()
    (place / "another_exchange.py").write_text(OTHER)
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.delitem(sys.modules, "another_exchange", raising=False)
    (folder.parent / "config").mkdir()
    parts = {"exchange": "Exchange", "submit": "Submit", "fetch_feedback": "FetchFeedback"}
    lines = ["c = get_config()", "c.CourseDirectory.course_id = 'c1'"]
    lines += [f"c.ExchangeFactory.{k} = 'another_exchange.{v}'" for k, v in parts.items()]
    (folder.parent / "config" / "nbgrader_config.py").write_text("\n".join(lines))
    return place


def test_an_exchange_that_is_not_nbgraders_own_takes_it_and_gives_feedback(
    challenge: Challenge, folder: Path, other: Path
) -> None:
    panel = submit(challenge, folder)
    assert ("sent", "2026-03-02 09:00:00 UTC") in panel.rows
    names = {path.name for path in (other / "taken" / "mine").iterdir()}
    assert {"mine.ipynb", "tinytorch", registration.FILE} <= names
    exchange.fetch_feedback(exchange.configured(), "mine", folder)
    assert (folder / "feedback" / "2026-03-02" / "mine.html").read_text() == "well done"


def test_an_exchange_that_refuses_in_its_log_alone_gives_no_receipt(
    challenge: Challenge, folder: Path, other: Path
) -> None:
    (other / "shut").touch()
    with pytest.raises(CompeteError, match="the exchange refused: the server is shut"):
        submit(challenge, folder)
    assert registration.read(folder).receipts == ()


def test_without_an_exchange_a_named_folder_takes_it(challenge: Challenge, folder: Path) -> None:
    drop = folder.parent / "drop"
    drop.mkdir()
    join.join(challenge, folder, JoinOptions(to=drop))
    submit(challenge, folder)
    submit(challenge, folder)
    (work,) = submission.find(drop, "mine")
    assert work.student == exchange.username()
    assert load(work).sent_at == registration.read(folder).receipts[-1].sent_at
    assert [path.name for path in work.notebook.parent.parent.iterdir()] == ["mine"]


def test_a_receipt_that_could_not_be_kept_keeps_the_work_at_home(
    challenge: Challenge, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()

    def full(where: Path, _: object) -> None:
        raise StoreError(f"{where}: can't be written (No space left on device).")

    monkeypatch.setattr(registration, "write", full)
    with pytest.raises(StoreError, match="No space left"):
        student_submit.submit({"mine": challenge}, folder, None, None, inbox, lambda _: True)
    assert not list(inbox.rglob("*"))


def test_a_receipt_that_got_lost_after_sending_is_shown_all_the_same(
    challenge: Challenge, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, write = [], registration.write

    def full_at_last(where: Path, who: Registration) -> None:
        written.append(where)
        if where == folder and written.count(folder) == 2:
            raise StoreError(f"{where}: can't be written (No space left on device).")
        write(where, who)

    monkeypatch.setattr(registration, "write", full_at_last)
    inbox = folder.parent / "inbox"
    inbox.mkdir()
    receipt = student_submit.submit({"mine": challenge}, folder, None, None, inbox, lambda _: True)
    assert receipt is not None
    assert receipt.rows[0][0] == "sha256"
    assert receipt.lines[-1].startswith("Sent, but")
    assert list(inbox.rglob("mine.ipynb"))


def test_nowhere_to_send_to_is_said(challenge: Challenge, folder: Path) -> None:
    with pytest.raises(CompeteError, match="nowhere to send it to"):
        submit(challenge, folder)
    with pytest.raises(CompeteError, match="no such folder to send to"):
        submit(challenge, folder, folder / "absent")


def test_what_will_be_sent_is_shown_first_and_can_be_refused(
    challenge: Challenge, folder: Path
) -> None:
    shown: list[Panel] = []

    def refuse(panel: Panel) -> bool:
        shown.append(panel)
        return False

    drop = folder.parent
    assert student_submit.submit({"mine": challenge}, folder, None, None, drop, refuse) is None
    assert "mine.ipynb" in [name for name, _ in shown[0].rows]
    assert f"To: {drop}" in shown[0].lines
    assert not (drop / exchange.username()).exists()


def test_the_client_says_beforehand_what_the_course_would_refuse(
    challenge: Challenge, folder: Path
) -> None:
    closed = dated(challenge, Dates(closes=dt.datetime(2020, 1, 1)))
    with pytest.raises(CompeteError, match=r"after the challenge closed: 2020-01-01 00:00 UTC"):
        submit(closed, folder, folder.parent)
    early = dated(challenge, Dates(opens=dt.datetime(2999, 1, 1, tzinfo=UTC)))
    with pytest.raises(CompeteError, match="before the challenge opens"):
        submit(early, folder, folder.parent)
    once = dated(challenge, Dates(per_day=1))
    assert ("left today", "0 of 1, until midnight UTC") in submit(once, folder, folder.parent).rows
    with pytest.raises(CompeteError, match="1 a day"):
        submit(once, folder, folder.parent)


def test_grading_enforces_dates_and_quota_whatever_the_client_did(
    challenge: Challenge, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toml = challenge.folder / "challenge.toml"
    toml.write_text(toml.read_text() + "\n[dates]\ncloses = 2026-03-31T00:00:00Z\nper_day = 1\n")
    drop = tmp_path / "drop"
    drop.mkdir()
    words = ["--pack", str(tmp_path / "pack"), "grade", "mine", str(drop)]
    words += ["--results", str(tmp_path / "graded")]

    def sent(when: str, answer: str) -> list[str]:
        write_answer(folder, answer)
        exchange.put(drop, folder)
        (work,) = submission.find(drop, "mine")
        stamp = work.notebook.parent / "timestamp.txt"
        stamp.unlink() if not when else stamp.write_text(when)
        assert run(words, "tito compete") == 0
        errors.append(capsys.readouterr().err)
        store = Store(tmp_path / "graded" / "results.sqlite")
        return [str(result.submitted_at) for result in store.history("mine")]

    errors: list[str] = []
    first = sent("2026-03-02 10:00:00.000000 UTC", GOLD)
    assert first == ["2026-03-02 10:00:00+00:00"]
    assert sent("2026-03-02 23:00:00.000000 UTC", GOLD + "# 2") == first
    assert "1 were already accepted on 2026-03-02 (UTC)" in errors[-1]
    assert len(sent("2026-03-03 00:01:00.000000 UTC", GOLD + "# 3")) == 2
    assert len(sent("2026-04-01 00:00:00.000000 UTC", GOLD + "# 4")) == 2
    assert "after the challenge closed" in errors[-1]
    assert len(sent("2026-03-03 00:01:00.000000 UTC", GOLD + "# 3")) == 2
    assert run([*words, "--again"], "tito compete") == 0
    assert "not graded" not in capsys.readouterr().err  # the same files cost no quota
    assert len(sent("", GOLD + "# 5")) == 4
    assert "no time of sending" in errors[-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-02 10:00:00.250000 UTC", dt.datetime(2026, 3, 2, 10, 0, 0, 250000, UTC)),
        ("2026-03-02 10:00:00 EST\n", dt.datetime(2026, 3, 2, 15, tzinfo=UTC)),
        ("2026-03-02 10:00:00 +0100", dt.datetime(2026, 3, 2, 9, tzinfo=UTC)),
        ("2026-03-02 10:00:00", dt.datetime(2026, 3, 2, 10, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
        ("2026-03-02 10:00:00 ../../etc/passwd", None),
        ("0001-01-01 00:00:00 +2300", None),
    ],
)
def test_the_times_that_nbgrader_writes_are_read(text: str, expected: dt.datetime | None) -> None:
    assert submission.parse_time(text) == expected


def test_a_quota_of_nothing_is_refused_in_the_challenge(challenge: Challenge) -> None:
    toml = challenge.folder / "challenge.toml"
    toml.write_text(toml.read_text() + "\n[dates]\nper_day = 0\n")
    with pytest.raises(PackError, match="per_day must be positive"):
        read_challenge(toml)
