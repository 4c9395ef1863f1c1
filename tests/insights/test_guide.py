"""The guide: one section per insight, with an example that has it and one that doesn't."""

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
    """Return the examples in an insight's section, before and after the change."""
    return re.findall(r"```python\n(.*?)```", SECTIONS[name], re.DOTALL)


def names_of_findings(source: str) -> list[str]:
    return [insight.name for insight in insights.find({"cell:example": source})]


def test_each_insight_has_a_section_and_each_section_an_insight() -> None:
    assert sorted(SECTIONS) == sorted(NAMES)
    assert len(NAMES) >= 25


@pytest.mark.parametrize("name", NAMES)
def test_a_name_gives_its_whole_section_and_no_other(name: str) -> None:
    section = guide.find(name)
    assert section is not None and section.startswith(f"## {name}\n")
    assert section.removeprefix(f"## {name}\n").strip() in SECTIONS[name]
    assert len(re.findall(r"^## ", section, re.MULTILINE)) == 1
    assert section.count("```") == 4
    assert section.rstrip().endswith(".")


def test_insights_gives_the_whole_guide_and_an_unknown_name_nothing() -> None:
    assert guide.find("insights") == GUIDE
    assert guide.find("no-such-insight") is None


@pytest.mark.parametrize("name", NAMES)
def test_the_example_before_has_only_the_finding_and_the_one_after_has_none(name: str) -> None:
    before, after = examples(name)
    assert names_of_findings(before) == [name]
    assert names_of_findings(after) == []
