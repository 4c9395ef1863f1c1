"""Joining and leaving: what a student's folder holds afterwards."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from support.student import write_answer

from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.errors import CompeteError, DataError
from tinytorch_compete.model import DatasetChoice
from tinytorch_compete.participants import registration
from tinytorch_compete.student import join
from tinytorch_compete.student.join_options import JoinOptions


def test_joining_brings_all_that_is_needed_and_nothing_hidden(
    challenge: Challenge, home: Path
) -> None:
    join.join(challenge, home, JoinOptions(handle="Ada Lo"))
    folder = home / "mine"
    names = {path.name for path in folder.iterdir()}
    assert names == {"mine.ipynb", "data", "tinytorch", "hints.md", "guide.md", registration.FILE}
    assert "HIDDEN" not in (folder / "mine.ipynb").read_text()
    assert registration.read(folder).handle == "Ada Lo"


def test_joining_again_changes_what_is_said_and_keeps_the_work(
    challenge: Challenge, home: Path
) -> None:
    join.join(challenge, home, JoinOptions(handle="Ada Lo"))
    write_answer(home / "mine")
    work = (home / "mine" / "mine.ipynb").read_bytes()
    join.join(challenge, home / "mine", JoinOptions(to=home / "drop"))
    changed = registration.read(home / "mine")
    assert (changed.handle, changed.to) == ("Ada Lo", str(home / "drop"))
    join.join(challenge, home, JoinOptions(handle=""))
    assert registration.read(home / "mine").handle == ""
    assert (home / "mine" / "mine.ipynb").read_bytes() == work


def test_a_folder_with_work_in_it_is_adopted(challenge: Challenge, home: Path) -> None:
    (home / "own").mkdir()
    (home / "own" / "mine.ipynb").write_text("my work")
    panel = join.join(challenge, home, JoinOptions(folder=home / "own"))
    assert (home / "own" / "mine.ipynb").read_text() == "my work"
    assert "Kept as they were: mine.ipynb." in panel.lines
    assert (home / "own" / "data" / "train_images.npy").is_file()


def test_another_challenges_folder_is_refused(challenge: Challenge, home: Path) -> None:
    registration.write(home, registration.Registration("other", "digits"))
    with pytest.raises(CompeteError, match="other was joined there"):
        join.join(challenge, home, JoinOptions(folder=home))


def test_a_handle_with_markup_is_refused_and_nothing_is_made(
    challenge: Challenge, home: Path
) -> None:
    with pytest.raises(CompeteError, match="--handle '<script>'"):
        join.join(challenge, home, JoinOptions(handle="<script>"))
    assert list(home.iterdir()) == []


def test_a_data_set_that_cannot_be_had_gives_way_to_the_next_and_that_is_said(
    challenge: Challenge, home: Path
) -> None:
    absent = DatasetChoice("cifar10", train=100, public=10, holdout=10)
    datasets = (absent, *challenge.spec.datasets)
    both = msgspec.structs.replace(
        challenge, spec=msgspec.structs.replace(challenge.spec, datasets=datasets)
    )
    panel = join.join(both, home, JoinOptions(source=home / "nowhere"))
    assert registration.read(home / "mine").dataset == "digits"
    assert panel.lines[0].startswith("cifar10 ")
    assert "You have digits" in panel.lines[0]
    assert "--data FOLDER" in panel.lines[0]
    with pytest.raises(DataError):
        join.join(both, home, JoinOptions(dataset="cifar10", source=home / "nowhere"))


def test_leaving_removes_the_record_and_keeps_the_work(challenge: Challenge, home: Path) -> None:
    join.join(challenge, home, JoinOptions())
    join.leave(challenge, home)
    assert not (home / "mine" / registration.FILE).exists()
    assert (home / "mine" / "mine.ipynb").is_file()
    with pytest.raises(CompeteError, match="mine wasn't joined here"):
        join.leave(challenge, home)
