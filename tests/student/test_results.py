"""A student's own results, hints and guide."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from support.student import GOLD, write_answer

from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.cli.app import run
from tinytorch_compete.errors import CompeteError
from tinytorch_compete.feedback import record
from tinytorch_compete.participants import registration
from tinytorch_compete.rendering.panel import Panel
from tinytorch_compete.student import exchange, hints, join, results, submit
from tinytorch_compete.student.join_options import JoinOptions
from tinytorch_compete.submissions import submission
from tinytorch_compete.submissions.snapshot import load

WRONG = "def predict(train_images, train_labels, images):\n    return np.zeros(len(images), int)\n"


@pytest.fixture
def folder(challenge: Challenge, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the challenge was joined, with a place to send to."""
    (home.parent / "drop").mkdir()
    join.join(challenge, home, JoinOptions(handle="Ada Lo", to=home.parent / "drop"))
    monkeypatch.chdir(home / "mine")
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(home / "config"))
    monkeypatch.setenv("COLUMNS", "80")
    return home / "mine"


def send_and_grade(challenge: Challenge, folder: Path, answer: str) -> None:
    top = folder.parent.parent
    write_answer(folder, answer)
    assert submit.submit({"mine": challenge}, folder, None, None, None, lambda _: True)
    words = ["--pack", str(top / "pack"), "grade", "mine", str(top / "drop")]
    assert run([*words, "--results", str(top / "graded")], "tito compete") == 0


def own(challenge: Challenge, folder: Path, *, detailed: bool = False) -> Panel:
    feedback = folder.parent.parent / "graded" / "feedback"
    (panel,) = results.panels({"mine": challenge}, folder, None, feedback, detailed)
    return panel


def test_results_show_what_came_back_what_changed_and_what_is_waiting(
    challenge: Challenge, folder: Path
) -> None:
    assert own(challenge, folder).lines == ("No feedback has come back yet.",)
    send_and_grade(challenge, folder, WRONG)
    assert [row[1] for row in own(challenge, folder).rows] == ["WRONG"]
    send_and_grade(challenge, folder, GOLD)
    assert submit.submit({"mine": challenge}, folder, None, None, None, lambda _: True)
    panel = own(challenge, folder, detailed=True)
    assert [row[1] for row in panel.rows] == ["WRONG", "OK", "sent"]
    text = "\n".join(panel.lines)
    assert "accuracy 10.0% → " in text
    assert "tier none → " in text
    assert "On the leaderboard you are Ada Lo-" in text
    assert "Hints taken: 0." in text
    assert "feedback/" in text
    (work,) = submission.find(folder.parent.parent / "drop", "mine")
    assert load(work).sent_at == registration.read(folder).receipts[-1].sent_at


def test_the_results_command_is_the_students_own_where_an_entry_is(
    challenge: Challenge, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = ["--pack", str(folder.parent.parent / "pack")]
    assert run([*pack, "results", "--detailed"], "tito compete") == 0
    assert "Your results: mine" in capsys.readouterr().out
    join.leave(challenge, folder)
    assert run([*pack, "results"], "tito compete") == 1
    assert "tito compete join SLUG" in " ".join(capsys.readouterr().err.split())


def test_the_leaderboard_shows_the_handle_that_was_chosen(
    challenge: Challenge, folder: Path
) -> None:
    send_and_grade(challenge, folder, GOLD)
    top = folder.parent.parent
    words = ["--pack", str(top / "pack"), "leaderboard", "mine", "--results", str(top / "graded")]
    assert run(words, "tito compete") == 0
    board = (top / "graded" / "leaderboard" / "mine.ipynb").read_text()
    assert "Ada Lo-" in board
    assert f'"{exchange.username()}"' not in board


def test_a_damaged_entry_in_a_submission_leaves_a_pseudonym(
    challenge: Challenge, folder: Path
) -> None:
    write_answer(folder)
    (folder / "compete.json").write_text('{"handle": "<b>x"}')
    exchange.put(folder.parent.parent / "drop", folder)
    top = folder.parent.parent
    words = ["--pack", str(top / "pack"), "grade", "mine", str(top / "drop")]
    assert run([*words, "--results", str(top / "graded")], "tito compete") == 0
    ((_, result),) = record.history(top / "graded" / "feedback", "mine")
    assert result.verdict == "OK"
    assert "<" not in result.handle


def test_an_entry_is_no_reason_to_look_unless_it_says_more_than_it_must(
    challenge: Challenge, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    send_and_grade(challenge, folder, GOLD)
    assert "flags" not in capsys.readouterr().out
    exchange.put(folder.parent.parent / "drop", folder)  # with the whole record
    top = folder.parent.parent
    words = ["--pack", str(top / "pack"), "grade", "mine", str(top / "drop")]
    assert run([*words, "--results", str(top / "graded")], "tito compete") == 0
    assert "1 result has flags" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["e30=", "AAAA", "W1tbW1tb"])
def test_feedback_that_is_not_ours_tells_of_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.html"
    path.write_text(f"<p>x</p><!-- tinytorch-compete {text} -->")
    assert record.read(path) is None
    assert record.history(tmp_path, "mine") == []


def test_a_result_is_read_from_a_page_as_from_a_notebook(
    challenge: Challenge, folder: Path
) -> None:
    send_and_grade(challenge, folder, GOLD)
    ((path, result),) = record.history(folder.parent.parent / "graded" / "feedback", "mine")
    page = folder / "feedback" / "2026" / "mine.html"
    page.parent.mkdir(parents=True)
    page.write_text(path.read_text())
    assert record.history(folder / "feedback", "mine") == [(page, result)]
    assert result.graded_at.tzinfo is dt.UTC


def test_hints_come_one_at_a_time_and_are_counted(challenge: Challenge, folder: Path) -> None:
    (challenge.folder / "hints.md").write_text("# Mild\n\nlook\n\n# Strong\n\n## inner\n\ndo\n")
    first, second, third = (hints.hint({"mine": challenge}, folder, None) for _ in range(3))
    assert first.markdown == "# Mild\n\nlook"
    assert first.lines == ("1 more: ask again.",)
    assert second.markdown.startswith("# Strong")
    assert "## inner" in second.markdown
    assert third == second
    assert registration.read(folder).hints == 2


def test_a_guide_can_be_read_by_name_or_from_inside(challenge: Challenge, folder: Path) -> None:
    text = (challenge.folder / "guide.md").read_text()
    assert hints.guide({"mine": challenge}, folder.parent.parent, "mine").markdown == text
    assert hints.guide({"mine": challenge}, folder, None).markdown == text
    assert hints.guide({"mine": challenge}, folder, "float64").markdown.startswith("## float64")
    with pytest.raises(CompeteError, match="no challenge 'float65'"):
        hints.guide({"mine": challenge}, folder, "float65")
    with pytest.raises(CompeteError, match="nothing was joined here"):
        hints.guide({"mine": challenge}, folder.parent.parent / "pack", None)
