"""Findings in notebooks with one planted inefficiency each, and in clean ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tinytorch_compete import insights
from tinytorch_compete.insights import DETECTORS, RunContext
from tinytorch_compete.model import Insight

NOTEBOOKS = sorted((Path(__file__).parent / "notebooks").glob("*.ipynb"))
PLANTED = [path for path in NOTEBOOKS if not path.stem.startswith("clean_")]
CLEAN = [path for path in NOTEBOOKS if path.stem.startswith("clean_")]
AT_LEAST = 0.95


def plant(path: Path) -> tuple[str, set[tuple[str, int]]]:
    """Return the insight planted in a notebook, and its lines as pairs of source and line."""
    planted: Any = nbformat.read(path, 4).metadata["planted"]
    return planted["insight"], {(source, line) for source, line in planted["lines"]}


def findings_in(path: Path) -> list[Insight]:
    """Return the findings in a notebook's code and outputs, and in the files beside it."""
    notebook: Any = nbformat.read(path, 4)
    sources, outputs = dict(notebook.metadata["planted"].get("beside", {})), {}
    for cell in notebook.cells:
        name = "cell:" + cell.metadata["nbgrader"]["grade_id"]
        sources[name] = cell.source
        outputs[name] = "".join(output.text for output in cell.outputs)
    return insights.find(sources, RunContext(outputs))


def is_right(insight: Insight, name: str, lines: set[tuple[str, int]]) -> bool:
    """Whether a finding is the planted insight, on one of its lines."""
    return insight.name == name and any((insight.source, line) in lines for line in insight.lines)


def test_there_are_forty_planted_and_twenty_clean_notebooks() -> None:
    assert len(PLANTED) >= 40
    assert len(CLEAN) >= 20


def test_every_insight_is_planted_at_least_twice() -> None:
    counts = Counter(plant(path)[0] for path in PLANTED)
    assert {d.name for d in DETECTORS if counts[d.name] < 2} == set()


def test_recall_and_precision_are_at_least_95_percent(capsys: pytest.CaptureFixture[str]) -> None:
    recalled, right, false = 0, 0, []
    for path in NOTEBOOKS:
        name, lines = plant(path)
        findings = findings_in(path)
        hits = [is_right(insight, name, lines) for insight in findings]
        recalled += any(hits)
        right += sum(hits)
        false += [(path.stem, i.name) for i, hit in zip(findings, hits, strict=True) if not hit]
    recall, precision = recalled / len(PLANTED), right / (right + len(false))
    with capsys.disabled():
        print(f"\nrecall {recalled}/{len(PLANTED)} = {recall:.1%}, {len(CLEAN)} clean notebooks,")
        print(f"precision {right}/{right + len(false)} = {precision:.1%}, false: {false}")
    assert recall >= AT_LEAST
    assert precision >= AT_LEAST


@pytest.mark.parametrize("path", PLANTED, ids=lambda path: path.stem)
def test_a_finding_says_where_to_look_why_and_what_to_change(path: Path) -> None:
    for insight in findings_in(path):
        assert insight.look.endswith("?") or insight.look.endswith(".")
        assert len(insight.why.split()) > 15
        assert insight.change.endswith(".")
        assert insight.guide == insight.name
        assert insight.diff == "" and insight.trial is None
