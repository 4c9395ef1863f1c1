"""The guide: a section for each insight, whose examples are what it says they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tinytorch_compete import insights
from tinytorch_compete.insights import DETECTORS
from tinytorch_compete.suggestions import guide

GUIDE = (Path(__file__).parents[2] / "docs" / "insights.md").read_text()
SECTIONS = dict(
    section.split("\n", 1) for section in re.split(r"^## ", GUIDE, flags=re.MULTILINE)[1:]
)
NAMES = [detector.name for detector in DETECTORS]


def examples(name: str) -> list[str]:
    """The examples before and after of an insight's section."""
    return re.findall(r"```python\n(.*?)```", SECTIONS[name], re.DOTALL)


def names_found(source: str) -> list[str]:
    return [insight.name for insight in insights.find({"cell:example": source})]


def test_each_insight_has_a_section_and_each_section_an_insight() -> None:
    assert sorted(SECTIONS) == sorted(NAMES)
    assert len(NAMES) >= 25


@pytest.mark.parametrize("name", NAMES)
def test_a_section_is_found_by_its_name_whole_and_alone(name: str) -> None:
    found = guide.find(name)
    assert found is not None and found.startswith(f"## {name}\n")
    assert found.removeprefix(f"## {name}\n").strip() in SECTIONS[name]
    assert len(re.findall(r"^## ", found, re.MULTILINE)) == 1
    assert found.count("```") == 4
    assert found.rstrip().endswith(".")


def test_the_guide_is_found_whole_and_other_words_are_not() -> None:
    assert guide.find("insights") == GUIDE
    assert guide.find("no-such-insight") is None


@pytest.mark.parametrize("name", NAMES)
def test_the_example_before_is_found_and_the_one_after_is_not(name: str) -> None:
    before, after = examples(name)
    assert names_found(before) == [name]
    assert names_found(after) == []
