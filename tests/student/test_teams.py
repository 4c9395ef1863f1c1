"""Teams and consent from the student's side: what joining records, says, sends and takes back."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from support.registrations import SIZE
from support.registrations import registered as said
from support.registrations import result_at as result
from support.student import write_answer

from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.cli.app import run
from tinytorch_compete.errors import CompeteError
from tinytorch_compete.feedback import writer
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.leaderboard import board as boards
from tinytorch_compete.participants import registration, roster_file
from tinytorch_compete.participants.roster import Roster, enrol
from tinytorch_compete.rendering.panel import Panel
from tinytorch_compete.results.folder import ResultsFolder
from tinytorch_compete.student import exchange, join, submit
from tinytorch_compete.student import results as student_results
from tinytorch_compete.student.join_options import JoinOptions
from tinytorch_compete.submissions import submission


def joined(
    challenge: Challenge, home: Path, **options: object
) -> tuple[registration.Registration, str]:
    """Join; return the registration, and the panel's text."""
    panel = join.join(challenge, home, JoinOptions(**options))
    return registration.read(home / "mine"), "\n".join([*map(" ".join, panel.rows), *panel.lines])


def test_by_default_a_board_gets_a_pseudonym_and_nothing_of_earlier(
    challenge: Challenge, home: Path
) -> None:
    who, text = joined(challenge, home)
    assert (who.show, who.progress, who.team) == ("handle", False, "")
    assert "a pseudonym that the course gives you" in text
    assert "your earlier results not shown" in text


def test_a_new_team_gets_a_word_and_says_how_the_others_join(
    challenge: Challenge, home: Path
) -> None:
    who, text = joined(challenge, home, team="Team O'Hara")
    assert who.word
    command = f"tito compete join mine --team 'Team O'\"'\"'Hara' --word {who.word}"
    assert command in text
    assert "--word WORD" in text
    again, text = joined(challenge, home, handle="Ada Lo")
    assert (again.team, again.word) == ("Team O'Hara", who.word)
    assert "--word" not in text  # explained once


def test_a_word_that_was_given_is_kept_and_can_be_mended(challenge: Challenge, home: Path) -> None:
    who, text = joined(challenge, home, team="Rocket", word="Open Sesame")
    assert who.word == "open sesame"
    assert "--word WORD" not in text
    assert joined(challenge, home, word="other word")[0].team == "Rocket"
    assert registration.read(home / "mine").word == "other word"
    assert joined(challenge, home, team="ROCKET")[0].word == "other word"
    assert joined(challenge, home, team="Pocket")[0].word != "other word"


def test_a_team_can_be_left_and_everything_said_otherwise(challenge: Challenge, home: Path) -> None:
    joined(challenge, home, team="Rocket", show="handle", progress=True)
    who, text = joined(challenge, home, team="", show="nothing", progress=False)
    assert (who.team, who.word, who.show, who.progress) == ("", "", "nothing", False)
    assert "you are not shown" in text
    assert "a line without a name" in joined(challenge, home, show="anonymous")[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"team": "<script>"}, "--team '<script>'"),
        ({"team": "=1+1"}, "--team '=1\\+1'"),
        ({"team": "x" * 25}, "--team 'x{25}'"),
        ({"team": "a\x1b[31m"}, "--team 'a"),
        ({"team": "Rocket", "word": "short"}, "--word 'short' .* 6 to 40"),
        ({"team": "Rocket", "word": "x" * 41}, "--word 'x{41}'"),
        ({"word": "open sesame"}, "--team NAME"),
    ],
)
def test_what_will_not_do_is_said_and_nothing_is_made(
    challenge: Challenge, home: Path, options: dict[str, str], message: str
) -> None:
    with pytest.raises(CompeteError, match=message):
        joined(challenge, home, **options)
    assert list(home.iterdir()) == []


def test_a_challenge_without_teams_says_so(challenge: Challenge, home: Path) -> None:
    spec = msgspec.structs.replace(challenge.spec, team_size=1)
    alone = msgspec.structs.replace(challenge, spec=spec)
    with pytest.raises(CompeteError, match="mine has no teams"):
        joined(alone, home, team="Rocket")


class Typed(io.StringIO):
    """What a student types at a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_asks_once_and_only_what_no_flag_said(
    challenge: Challenge,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(home)
    typed = Typed("what?\nhandle\nAda Lo\ny\n")
    monkeypatch.setattr("sys.stdin", typed)
    words = ["--pack", str(home.parent / "pack"), "join", "mine"]
    assert run([*words, "--team", "Rocket"], "tito compete") == 0
    assert typed.read() == ""
    text = capsys.readouterr().out
    assert "You can change this by joining again" in " ".join(text.split())
    assert text.count("Your line:") == 2
    who = registration.read(home / "mine")
    assert (who.show, who.handle, who.progress) == ("handle", "Ada Lo", True)
    assert run([*words, "--show", "anonymous"], "tito compete") == 0
    assert registration.read(home / "mine").show == "anonymous"
    assert "Your line:" not in capsys.readouterr().out


@pytest.fixture
def folder(challenge: Challenge, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the challenge was joined and solved, with a place to send to."""
    (home.parent / "drop").mkdir()
    join.join(challenge, home, JoinOptions(to=home.parent / "drop"))
    write_answer(home / "mine")
    monkeypatch.chdir(home / "mine")
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(home / "config"))
    return home / "mine"


def send(challenge: Challenge, folder: Path) -> Panel:
    shown: list[Panel] = []
    assert submit.submit(
        {"mine": challenge}, folder, None, None, None, lambda p: not shown.append(p)
    )
    return shown[0]


def staff(folder: Path, *words: str) -> int:
    top = folder.parent.parent
    results = ["--results", str(top / "graded")]
    return run(["--pack", str(top / "pack"), *words, *results], "tito compete")


def grade(folder: Path) -> None:
    assert staff(folder, "grade", "mine", str(folder.parent.parent / "drop"), "--no-insights") == 0


def board(folder: Path) -> boards.Board:
    assert staff(folder, "leaderboard", "mine") == 0
    return boards.read(folder.parent.parent / "graded" / "leaderboard" / "mine.json")


def test_what_is_said_of_a_student_is_shown_before_it_is_sent_and_the_word_is_not(
    challenge: Challenge, folder: Path
) -> None:
    who = joined(challenge, folder.parent, team="Rocket", word="open sesame")[0]
    panel = send(challenge, folder)
    assert "on the leaderboard: Rocket" in "\n".join(panel.lines)
    (work,) = submission.find(folder.parent.parent / "drop", "mine")
    sent = (work.notebook.parent / registration.FILE).read_text()
    assert "sesame" not in sent + "\n".join(panel.lines)
    assert registration.read(work.notebook.parent) == who.shown()


def test_each_wish_changes_the_board_and_the_last_one_counts(
    challenge: Challenge, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    me = exchange.username()
    joined(challenge, folder.parent, handle="Ada Lo")
    send(challenge, folder)
    grade(folder)
    (line,) = board(folder).newest
    assert line.handle.startswith("Ada Lo-")
    joined(challenge, folder.parent, show="anonymous")
    send(challenge, folder)
    grade(folder)
    (line,) = board(folder).newest
    assert line.handle == "anonymous 1"
    feedback = folder.parent.parent / "graded" / "feedback"
    (panel,) = student_results.panels({"mine": challenge}, folder, None, feedback, False)
    assert "On the leaderboard" not in "\n".join(panel.lines)
    joined(challenge, folder.parent, show="nothing")
    send(challenge, folder)
    grade(folder)
    standings = board(folder)
    assert (standings.newest, standings.unshown) == ((), 1)
    joined(challenge, folder.parent, show="handle", handle="Ada Lo")
    send(challenge, folder)
    grade(folder)
    capsys.readouterr()
    assert staff(folder, "entries", "mine", "--private", me) == 0
    assert "nothing" in capsys.readouterr().out
    assert board(folder).newest == ()
    grade(folder)  # the same submission doesn't undo what staff did
    assert board(folder).newest == ()
    assert staff(folder, "entries", "mine", "--private", "nobody") == 1


def test_leaving_and_sending_without_an_entry_takes_back_what_was_shared(
    challenge: Challenge, folder: Path
) -> None:
    joined(challenge, folder.parent, handle="Ada Lo", progress=True, team="Rocket")
    send(challenge, folder)
    grade(folder)
    (line,) = board(folder).newest
    assert line.handle.startswith("Rocket-")
    panel = join.leave(challenge, folder)
    assert "ask the staff" in panel.lines[1]
    exchange.put(folder.parent.parent / "drop", folder)
    grade(folder)
    (line,) = board(folder).newest
    assert not line.handle.startswith(("Rocket", "Ada"))
    one = roster_file.read(ResultsFolder(folder.parent.parent / "graded"), "mine").of(
        exchange.username()
    )
    assert (one.progress, one.team) == (False, "")


def test_a_raw_record_counts_as_what_would_have_been_sent(
    challenge: Challenge, folder: Path
) -> None:
    joined(challenge, folder.parent, team="Rocket", word="open sesame")
    exchange.put(folder.parent.parent / "drop", folder)  # as nbgrader's own button does
    grade(folder)
    roster = roster_file.read(ResultsFolder(folder.parent.parent / "graded"), "mine")
    assert roster.of(exchange.username()).team
    assert "sesame" not in (folder.parent.parent / "graded" / "entries" / "mine.json").read_text()


def test_another_challenges_entry_counts_for_nothing_here(
    challenge: Challenge, folder: Path
) -> None:
    write_answer(folder)
    exchange.put(folder.parent.parent / "drop", folder)
    place = folder.parent.parent / "drop" / exchange.username() / "mine"
    registration.write(
        place, registration.Registration("other", "digits", "Ada Lo", team="Rocket", key="0" * 32)
    )
    grade(folder)
    roster = roster_file.read(ResultsFolder(folder.parent.parent / "graded"), "mine")
    assert roster.teams == {}
    assert roster.of(exchange.username()).handle == ""


@pytest.mark.parametrize(
    "text", ['{"teams": 3}', '{"entered": {"ada": {"sha": "", "team": "rocket"}}}']
)
def test_a_damaged_roster_is_one_clear_error(
    challenge: Challenge, folder: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    send(challenge, folder)
    path = folder.parent.parent / "graded" / "entries" / "mine.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert staff(folder, "grade", "mine", str(folder.parent.parent / "drop")) == 1
    assert "mine.json: not a roster" in capsys.readouterr().err
    assert path.read_text() == text


def test_who_left_a_team_and_has_nothing_graded_is_told_of_no_team_result(
    challenge: Challenge, tmp_path: Path
) -> None:
    plan, folder = Plan.of(challenge, b"s" * 32), tmp_path / "graded"
    roster = enrol(Roster(), [said("ada", "Rocket"), said("bob", "Rocket")], SIZE)
    writer.write_team_feedback(plan, [result("ada", 9, 5)], roster, ResultsFolder(folder))
    assert [path.name for path in folder.rglob("*.ipynb")] == ["mine-team.ipynb"]
    roster = enrol(roster, [said("bob", hours=7)], SIZE)
    writer.write_team_feedback(plan, [result("ada", 9, 5)], roster, ResultsFolder(folder))
    assert list(folder.rglob("*.ipynb")) == []
