"""Create a course, or add to one: which files are written, and which are left alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import numpy as np
import pytest
from support.coursework import GOLD, PACK, compete, nbgrader, submit

from tinytorch_compete.cli.app import run
from tinytorch_compete.results.store import Store


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
    assert (
        run(["course", "init", str(course)], "tito compete") == 0
    )  # the configuration names its pack now
    assert files(course) == before


def test_an_existing_course_keeps_its_files_and_settings(
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


def test_a_course_keeps_to_the_data_set_that_was_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On both ways to grade, and when the command is rerun; another data set is refused."""
    shutil.copytree(PACK, tmp_path / "pack")
    toml = tmp_path / "pack" / "challenge_notebooks" / "target" / "challenge.toml"
    facts = toml.read_text()
    first = '[[datasets]]\nname = "shapes32"\ntrain = 90\npublic = 9\nholdout = 9\n\n'
    toml.write_text(facts.replace("[[datasets]]", first + "[[datasets]]"))

    def compete(*words: object) -> int:
        return run(["--pack", str(tmp_path / "pack"), *map(str, words)], "tito compete")

    course = tmp_path / "course"
    assert compete("course", "init", course, "target", "--dataset", "none") == 1
    assert "shapes32, digits" in capsys.readouterr().err
    assert compete("course", "init", course, "target", "--dataset", "digits") == 0
    images = np.load(course / "source" / "target" / "data" / "train_images.npy")
    assert len(images) == 1000
    before = files(course)
    assert compete("course", "init", course) == 0
    assert files(course) == before
    assert compete("course", "init", course, "target", "--dataset", "shapes32") == 1
    assert "--dataset shapes32" in capsys.readouterr().err

    (course / "nbgrader_config.py").open("a").write(f"c.Exchange.root = {str(tmp_path)!r}\n")
    tmp_path.chmod(0o777)
    assert compete("course", "release", "target", "--course", course) == 0
    submit(course, "ada", GOLD)
    submit(course, "bob", GOLD)
    assert compete("grade", "target", "--course", course, "--no-insights") == 0
    assert nbgrader(course, "autograde", "target", "--student", "bob", "--force").returncode == 0
    results = Store(course / "graded" / "results.sqlite").history("target")
    assert len(results) == 3
    assert {result.identity.dataset.partition(":")[0] for result in results} == {"digits"}
    assert {result.points for result in results} == {10}


def test_a_block_that_was_changed_by_hand_is_not_overwritten(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = course / "nbgrader_config.py"
    config.write_text(config.read_text().replace("LimitOutput", "ClearOutput"))
    before = config.read_text()
    assert compete("course", "init", course, "training") == 1
    assert "block was changed" in capsys.readouterr().err
    assert config.read_text() == before


def test_an_assignment_with_other_cells_is_not_mistaken_for_the_challenge(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    master = course / "source" / "target" / "target.ipynb"
    master.write_text(master.read_text().replace('"points": 5', '"points": 7', 1))
    assert compete("course", "init", course, "target") == 1
    assert compete("course", "release", "target", "--course", course) == 1
    assert "cells differ" in capsys.readouterr().err
