"""A class is regraded beside its published grades, compared with them, and promoted at once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import batch
import pandas as pd
import pytest
from support.regrades import (
    HARSH,
    change,
    diff,
    feedback,
    grade,
    make,
    points,
    public,
    staged,
    stored,
)

from tinytorch_compete.cli import console
from tinytorch_compete.cli import grade as cli_grade
from tinytorch_compete.model import Result
from tinytorch_compete.results.folder import STAGED
from tinytorch_compete.results.store import Store
from tinytorch_compete.sandbox.fake import FakeSandbox


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("published"))


@pytest.fixture
def root(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the class, whose grader is harsher now."""
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(cli_grade, "LocalSandbox", FakeSandbox)
    monkeypatch.setattr(console.console, "width", 80)
    change(tmp_path, *HARSH)
    return tmp_path


def test_a_staged_regrade_changes_nothing_published(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = public(root)
    assert grade(root, "--shadow") == 0
    assert "Nothing was published" in capsys.readouterr().out
    assert diff(root) == 0
    assert public(root) == before


def test_the_comparison_says_whose_grade_changes_and_why(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert grade(root, "--shadow") == 0
    capsys.readouterr()
    assert diff(root) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "4 regraded, under another grader." in output
    old = points(root)["ada"]
    assert f"ada {old:g}/10 → {old / 2:g}/10" in output
    assert f"cell holdout: {old:g} of 10 → {old / 2:g} of 10, for the same answers:" in output
    assert "0 up, 3 down, 1 stay." in output
    assert "bob" not in output


@pytest.mark.parametrize("width", [40, 80])
def test_the_comparison_fits_the_terminal(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(console.console, "width", width)
    assert grade(root, "--shadow") == 0
    capsys.readouterr()
    assert diff(root) == 0
    table = capsys.readouterr().out.partition("down, ")[0]
    assert "…" not in table
    assert max(map(len, table.splitlines())) <= width


def test_the_comparison_is_written_for_scripts(root: Path) -> None:
    assert grade(root, "--shadow") == 0
    assert diff(root, "--csv", str(root / "moves.csv")) == 0
    table = pd.read_csv(root / "moves.csv").set_index("student")
    assert table["way"].to_dict() == {"ada": "down", "bob": "same", "di": "down", "flo": "down"}
    assert (table["points_after"] == table["points_before"] / 2).all()


def test_promoting_publishes_results_and_feedback_and_keeps_the_old_results(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, old_feedback = points(root), feedback(root, "ada")
    assert grade(root, "--shadow") == 0
    new_feedback = (staged(root) / "feedback/ada/mine.ipynb").read_text()
    assert grade(root, "--promote") == 0
    assert "4 grades" in capsys.readouterr().out
    assert points(root) == {name: earned / 2 for name, earned in before.items()}
    assert feedback(root, "ada") == new_feedback != old_feedback
    store = stored(root)
    assert store.check_chain() == 8
    assert [r.points for r in store.history()[:4]] == [before[n] for n in before]
    assert not staged(root).exists()
    assert grade(root) == 0
    assert "4 graded already" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["diff", "promote"])
def test_without_staged_grades_there_is_one_clear_error(
    root: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    before = public(root)
    assert (diff(root) if command == "diff" else grade(root, "--promote")) == 1
    error = capsys.readouterr().err.strip()
    assert "no staged grades" in error and "--shadow" in error
    assert "\n" not in error
    assert public(root) == before


def test_without_published_results_nothing_is_staged(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "graded" / "results.sqlite").unlink()
    assert grade(root, "--shadow") == 1
    assert "no results there" in capsys.readouterr().err
    assert not (root / "graded" / STAGED).exists()


def arrive(root: Path) -> None:
    batch.submit(root / "class" / "new" / "mine" / "mine.ipynb", batch.GOLD)


def replace(root: Path) -> None:
    path = root / "class" / "ada" / "mine" / "mine.ipynb"
    path.unlink()
    path.parent.rmdir()
    batch.submit(path, batch.GOLD + "# better\n")


def change_again(root: Path) -> None:
    change(root, "share / 2", "share / 3")


@pytest.mark.parametrize(
    ("happens", "problem"),
    [
        (arrive, "no staged grade yet: new."),
        (replace, "no staged grade yet: ada."),
        (change_again, "under another grader"),
    ],
)
def test_outdated_staged_grades_are_not_promoted_until_they_are_completed(
    root: Path,
    capsys: pytest.CaptureFixture[str],
    happens: Callable[[Path], None],
    problem: str,
) -> None:
    assert grade(root, "--shadow") == 0
    happens(root)
    before = public(root)
    assert grade(root, "--promote") == 1
    error = capsys.readouterr().err
    assert problem in error and "--shadow" in error
    assert public(root) == before
    assert grade(root, "--shadow") == 0
    assert grade(root, "--promote") == 0
    assert points(root).keys() >= {"ada", "bob", "di", "flo"}


def test_staged_grades_under_an_older_grader_are_not_compared(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert grade(root, "--shadow") == 0
    change_again(root)
    assert diff(root) == 1
    error = capsys.readouterr().err
    assert "results.sqlite: no grades" in error and "--shadow" in error


def test_an_interrupted_staged_regrade_continues(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    append, results = Store.append, []

    def interrupted(store: Store, result: Result) -> None:
        results.append(result)
        if len(results) == 3:
            raise KeyboardInterrupt
        append(store, result)

    before = public(root)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "append", interrupted)
        assert grade(root, "--shadow") == 130
    assert grade(root, "--promote") == 1
    assert "no staged grade yet" in capsys.readouterr().err
    assert diff(root) == 0
    assert "2 without a staged grade, " in capsys.readouterr().out
    assert public(root) == before
    assert grade(root, "--shadow") == 0
    assert "2 graded already" in capsys.readouterr().out
    assert grade(root, "--promote") == 0
    assert stored(root).check_chain() == 8


def test_a_fault_in_a_staged_regrade_is_reported_and_not_promoted(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinytorch_compete.grading.pipeline.BACK_OFF_S", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(cli_grade, "LocalSandbox", lambda: FakeSandbox(faults=3))
        assert grade(root, "--shadow") == 1
    output = capsys.readouterr()
    assert "FAULT" in output.out and "1 of 4" in output.err
    assert grade(root, "--promote") == 1
    assert "no staged grade yet: ada." in capsys.readouterr().err


def test_plain_grading_does_not_publish_staged_grades(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert grade(root, "--shadow") == 0
    before = public(root)
    assert grade(root) == 1
    error = capsys.readouterr().err
    assert "--promote" in error and "delete" in error
    assert public(root) == before
    change(root, HARSH[1], HARSH[0])  # as it was published
    assert grade(root) == 0
    assert "4 graded already" in capsys.readouterr().out


def test_a_withdrawn_result_stays_withdrawn(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = stored(root)
    assert grade(root, "--shadow") == 0
    store.withdraw("flo", "mine", "the same code as ada's")
    capsys.readouterr()
    assert diff(root) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.endswith(": flo"))
    assert line.startswith("1 withdrawn")
    assert grade(root, "--promote") == 0
    output = capsys.readouterr().out
    assert "3 grades" in output and "leaderboard: flo" in output
    newest = {r.identity.student: r for r in store.latest()}
    assert newest["flo"].withdrawal is not None
    assert newest["ada"].withdrawal is None


def test_a_student_without_a_submission_keeps_the_old_result(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = points(root)
    shutil.rmtree(root / "class" / "flo")
    assert grade(root, "--shadow") == 0
    capsys.readouterr()
    assert diff(root) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.endswith(": flo"))
    assert line.startswith("1 without")
    assert grade(root, "--promote") == 0
    assert points(root)["flo"] == before["flo"]


def test_a_part_of_the_class_is_not_promoted_and_the_rest_not_discarded(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert grade(root, "--shadow") == 0
    (root / "apart").mkdir()
    for student in ("bob", "flo"):
        (root / "class" / student).rename(root / "apart" / student)
    before = public(root)
    assert grade(root, "--promote") == 1
    assert ": bob, flo. " in capsys.readouterr().err
    assert public(root) == before
    stored(root).withdraw("flo", "mine", "the same code as ada's")
    (root / "apart" / "bob").rename(root / "class" / "bob")
    assert grade(root, "--promote") == 0
    assert "3 grades" in capsys.readouterr().out


def test_staged_final_grades_are_separate_from_the_public_ones(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert grade(root, "--final") == 0
    change_again(root)
    before = public(root)
    assert grade(root, "--final", "--shadow") == 0
    assert public(root) == before
    assert diff(root) == 1
    assert "no staged grades" in capsys.readouterr().err
    assert diff(root, "--final") == 0
    assert "--final FOLDER --promote" in capsys.readouterr().out
    old = points(root)
    assert grade(root, "--final", "--promote") == 0
    assert points(root) == old
    final = {r.identity.student: r.points for r in stored(root).latest(final=True)}
    assert final["ada"] < old["ada"] / 2


def test_staging_and_promoting_are_two_steps(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert grade(root, "--shadow", "--promote") == 1
    assert "--shadow" in (error := capsys.readouterr().err) and "--promote" in error
