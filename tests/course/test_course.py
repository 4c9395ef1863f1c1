"""Making a course, or adding to one: what is written, and what is left alone."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from coursework import compete

from tinytorch_compete.cli.app import run


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_nbgrader_takes_the_course_and_students_get_nothing_hidden(course: Path) -> None:
    outbound = course.parent / "exchange" / "course" / "outbound" / "target"
    for folder in (course / "release" / "target", outbound):
        assert (folder / "tinytorch" / "tensor.py").exists()
        assert (folder / "data" / "train_images.npy").exists()
        text = (folder / "target.ipynb").read_text()
        nbformat.validate(nbformat.reads(text, 4))
        assert "def predict" in text
        for hidden in ("SOLUTION", "HIDDEN", "compete_probe", "argmin"):
            assert hidden not in text


def test_a_second_run_changes_nothing(course: Path) -> None:
    before = files(course)
    assert compete("course", "init", course, "target") == 0
    assert compete("course", "init", course) == 0
    assert run(["course", "init", str(course)], "tito compete") == 0  # its pack is known by now
    assert files(course) == before


def test_an_existing_course_keeps_all_that_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old"
    config = old / "nbgrader_config.py"
    (old / "source" / "ps1").mkdir(parents=True)
    (old / "source" / "ps1" / "problem1.ipynb").write_text("{}")
    own = "c = get_config()\nc.CourseDirectory.course_id = 'old'\n"
    own += "c.Autograde.autograde_preprocessors = []\n"
    config.write_text(own)
    before = files(old)
    assert compete("course", "init", old, "target") == 0
    after = files(old)
    assert {name for name in before if before[name] != after[name]} == {"nbgrader_config.py"}
    assert config.read_text().startswith(own.rstrip())
    assert "sets Autograde.autograde_preprocessors itself" in capsys.readouterr().out


def test_a_second_challenge_joins_the_first(tmp_path: Path) -> None:
    assert compete("course", "init", tmp_path, "target") == 0
    assert compete("course", "init", tmp_path, "training") == 0
    text = (tmp_path / "nbgrader_config.py").read_text()
    assert "['target', 'training']" in text
    assert text.count("tinytorch-compete, written by") == 1


def test_a_block_that_was_changed_by_hand_is_not_overwritten(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = course / "nbgrader_config.py"
    config.write_text(config.read_text().replace("LimitOutput", "ClearOutput"))
    before = config.read_text()
    assert compete("course", "init", course, "training") == 1
    assert "changed by hand" in capsys.readouterr().err
    assert config.read_text() == before


def test_an_assignment_that_is_another_is_not_taken_for_the_challenge(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    master = course / "source" / "target" / "target.ipynb"
    master.write_text(master.read_text().replace('"points": 5', '"points": 7', 1))
    assert compete("course", "init", course, "target") == 1
    assert compete("course", "release", "target", "--course", course) == 1
    assert "differ from those of the challenge" in capsys.readouterr().err
