"""The leaderboard and detailed results on the command line, from a synthetic class."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from support.classes import NAMES, SECRET, SLUG, attempt, history

from tinytorch_compete.authoring.scaffold import scaffold
from tinytorch_compete.cli import console
from tinytorch_compete.cli.app import run
from tinytorch_compete.model import Verdict
from tinytorch_compete.participants import pseudonyms
from tinytorch_compete.results.folder import ResultsFolder
from tinytorch_compete.results.store import Store
from tinytorch_compete.util import files


@pytest.fixture
def graded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of results, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console.console, "width", 100)
    folder = tmp_path / "graded"
    files.write_text(folder / "secret", SECRET.hex().ljust(64, "0") + "\n")
    store = Store(folder / "results.sqlite")
    for result in history(6):
        store.append(result)
    lost = attempt("galois", 0.01)
    store.append(msgspec.structs.replace(lost, verdict=Verdict.WRONG, message="values are off"))
    store.close()
    return folder


def tito(*words: str) -> int:
    return run(words, "tito compete")


def add(folder: Path, *names: str) -> None:
    """Add final results."""
    store = Store(folder / "results.sqlite")
    for name in names:
        store.append(attempt(name, 1.0, 20, final=True))
    store.close()


def test_details_say_where_each_student_stands(
    graded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tito("results", SLUG, "--detailed") == 0
    output = capsys.readouterr().out
    for name in NAMES[:6]:
        assert name in output
    franklin, lovelace = (output.split(f"{name}  ")[1] for name in ("franklin", "lovelace"))
    for words in ("of 6", "x reference (", "5 runs", "advanced"):
        assert words in franklin
    assert "times in speedup from" in lovelace
    assert "its last" in lovelace
    assert "this is the first" in output
    assert "more runs each" in output
    assert "not ranked" in output.split("galois")[1]


@pytest.mark.parametrize("width", [40, 60])
def test_details_fit_a_narrow_terminal(
    graded: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(console.console, "width", width)
    assert tito("results", "--detailed") == 0
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines())) <= width
    assert "…" not in output


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (["leaderboard"], ["challenge", "--all"]),
        (["leaderboard", SLUG, "--all"], ["challenge", "--all"]),
        (["leaderboard", "--all", "--me", "x"], ["challenge", "--me", "--all"]),
        (["leaderboard", SLUG, "--me", "calm-owl-999"], ["'calm-owl-999'", "not on"]),
        (["leaderboard", "efficient-training"], ["no results", "'efficient-training'"]),
        (["leaderboard", SLUG, "--final"], ["no final results", f"'{SLUG}'"]),
        (["leaderboard", "--all", "--final"], ["no final results"]),
        (["results", "--final"], ["no final results"]),
        (["results", "--detailed", "--history"], ["--detailed", "newest"]),
    ],
)
def test_a_command_with_nothing_to_show_prints_one_clear_error(
    graded: Path, capsys: pytest.CaptureFixture[str], words: list[str], facts: list[str]
) -> None:
    assert tito(*words) == 1
    output = capsys.readouterr()
    for fact in facts:
        assert fact in output.err
    assert output.err.count("\n") == 1
    assert output.out == ""
    assert not (graded / "leaderboard").exists()


def test_all_boards_are_written_and_the_final_ones_beside_them(
    graded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(graded, "hopper", "curie")
    assert tito("leaderboard", "--all") == 0
    assert tito("leaderboard", SLUG, "--final") == 0
    names = {path.name for path in (graded / "leaderboard").iterdir()}
    assert names == {f"{SLUG}{kind}.{end}" for kind in ("", "-final") for end in ("ipynb", "json")}
    public, final = (
        (graded / "leaderboard" / f"{SLUG}{k}.json").read_text() for k in ("", "-final")
    )
    secret = ResultsFolder(graded).secret()
    lovelace, curie = (pseudonyms.handle(name, secret) for name in ("lovelace", "curie"))
    assert lovelace in public
    assert lovelace not in final
    assert curie in final


def test_final_results_are_shown_apart(graded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(graded, "hopper")
    assert tito("results", "--final") == 0
    final = capsys.readouterr().out
    assert "hopper" in final
    assert "lovelace" not in final
    assert tito("results") == 0
    assert "lovelace" in capsys.readouterr().out
    assert tito("results", "--history", "--final") == 0
    assert capsys.readouterr().out == final


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pack with one challenge, in the current folder."""
    monkeypatch.chdir(tmp_path)
    scaffold("mine", tmp_path / "course")
    return tmp_path / "course"


@pytest.mark.parametrize("closes", ["2999-01-01T00:00:00Z", "2999-01-01T00:00:00"])
def test_final_grading_waits_for_the_closing(
    course: Path, capsys: pytest.CaptureFixture[str], closes: str
) -> None:
    facts = course / "challenge_notebooks" / "mine" / "challenge.toml"
    facts.write_text(f"{facts.read_text()}\n[dates]\ncloses = {closes}\n")
    assert tito("--pack", str(course), "grade", "mine", "class", "--final") == 1
    error = capsys.readouterr().err
    assert "mine is open" in error and "2999-01-01 00:00 UTC" in error
    assert not Path("graded").exists()


@pytest.mark.parametrize("dates", ["", "[dates]\ncloses = 2020-01-01T00:00:00Z\n"])
def test_final_grading_goes_on_after_the_closing(
    course: Path, capsys: pytest.CaptureFixture[str], dates: str
) -> None:
    facts = course / "challenge_notebooks" / "mine" / "challenge.toml"
    facts.write_text(f"{facts.read_text()}\n{dates}")
    assert tito("--pack", str(course), "grade", "mine", "class", "--final") == 1
    assert "class: no such folder" in capsys.readouterr().err
