"""Challenges are data; a mistake is one error that names the file, the key and the fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinytorch_compete.authoring.scaffold import CHALLENGE, scaffold
from tinytorch_compete.challenges import packs
from tinytorch_compete.errors import PackError
from tinytorch_compete.judging import grader


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pack with one challenge."""
    scaffold("mine", tmp_path)
    return tmp_path


def rewrite(folder: Path, old: str, new: str) -> Path:
    path = folder / "challenge_notebooks" / "mine" / "challenge.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


def test_the_promised_aliases_lead_to_the_sprint() -> None:
    challenges = packs.find()
    for word in ("cifar10-sprint", "accuracy-sprint", "cifar10"):
        assert packs.resolve(challenges, word).slug == "cifar10-sprint"


def test_an_unknown_challenge_names_the_known_ones() -> None:
    with pytest.raises(PackError, match=r"'x'.*efficient-training"):
        packs.resolve(packs.find(), "x")


def test_a_courses_own_pack_joins_the_built_in_one(folder: Path) -> None:
    challenges = packs.find([folder])
    assert {"mine", "efficient-training"} <= set(challenges)
    assert packs.find([folder, folder]).keys() == challenges.keys()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("version = 1 ", "versoin = 1 ", "versoin"),
        ("version = 1 ", 'version = "one" ', r"Expected `int`, got `str` - at `\$.version`"),
        ('title = "Mine"\n', "", "`title`"),
        ('category = "accuracy"', 'category = "speed"', r"'speed' - at `\$.category`"),
        ("memory_mib = 256", "memory_mib = -1", "memory_mib"),
        ("memory_mib = 256", "memory_mb = 256", "memory_mb"),
        ('rank = ["accuracy"]', 'rank = ["speed"]', "rank .*speed.* metrics"),
        ("at = 0.20", "at = 0.95", "tiers"),
        ("[limits]", "[limits", "challenge.toml"),
    ],
)
def test_a_wrong_challenge_toml_is_one_error(folder: Path, old: str, new: str, words: str) -> None:
    path = rewrite(folder, old, new)
    with pytest.raises(PackError, match=words) as caught:
        packs.load(folder)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["hints.md", "guide.md", "mine.ipynb"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / "challenge_notebooks" / "mine" / name).unlink()
    with pytest.raises(PackError, match=f"{name}: missing"):
        packs.load(folder)


def test_a_grader_without_its_functions_is_named(folder: Path) -> None:
    path = folder / "graders" / "mine" / "grader.py"
    path.write_text("def inputs(exam): return {}\n")
    with pytest.raises(PackError, match=r"grader\.py: judge"):
        grader.Grader(path)
    path.write_text("def inputs(exam:\n")
    with pytest.raises(PackError, match=r"grader\.py: .*line 1"):
        grader.Grader(path)


def test_two_packs_with_one_slug_are_refused(folder: Path, tmp_path: Path) -> None:
    scaffold("mine", tmp_path / "other")
    with pytest.raises(PackError, match=r"'mine'.*/other/"):
        packs.find([folder, tmp_path / "other"])


def test_an_alias_belongs_to_one_challenge(folder: Path) -> None:
    rewrite(folder, "version = 1 ", 'aliases = ["cifar10"]\nversion = 1 ')
    with pytest.raises(PackError, match=r"challenge\.toml: .*'cifar10'.*cifar10-sprint"):
        packs.find([folder])


def test_a_folder_that_is_no_pack_says_what_a_pack_is(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="challenge_notebooks/ and graders/"):
        packs.find([tmp_path])


def test_scaffolding_never_overwrites(folder: Path) -> None:
    with pytest.raises(PackError, match="exists already"):
        scaffold("mine", folder)
    for slug in ("Mine", "a_b", "../x", "", "-a"):
        with pytest.raises(PackError, match=r"slug.*my-challenge"):
            scaffold(slug, folder)
    path = folder / "challenge_notebooks" / "mine" / "challenge.toml"
    assert path.read_text() == CHALLENGE.format(title="Mine")


def test_a_third_partys_pack_comes_by_its_entry_point(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    (folder / "challenge_notebooks").rename(folder / "x")
    package = site / "their_pack"
    package.mkdir(parents=True)
    (folder / "x").rename(package / "challenge_notebooks")
    (folder / "graders").rename(package / "graders")
    (package / "__init__.py").write_text("")
    facts = site / "their_pack-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: their-pack\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[tinytorch_compete.packs]\ntheirs = their_pack\n")
    monkeypatch.syspath_prepend(str(site))
    assert packs.find()["mine"].folder == package / "challenge_notebooks" / "mine"
