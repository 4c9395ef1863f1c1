"""A kernel's report on its own code is read as hostile data."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tinytorch_compete.errors import EvidenceError
from tinytorch_compete.model import LineAllocation, MemoryPeak, StackFrame
from tinytorch_compete.profiling.report import parse

TEXTS = {"cell:c0": "a = 1\nb = 2", "tinytorch/__init__.py": "c = 3"}
ROW = [0, 1, 1, 0.5, 1.0, 2.0, False]


def report(**changes: Any) -> bytes:
    fields = {"backends": ["memray"], "sources": ["cell:c0"], "lines": [ROW]}
    return json.dumps(fields | changes).encode()


def test_operands_are_read_by_the_names_that_were_watched() -> None:
    texts = {"cell:c0": "a = b * c"}
    row = [0, 1, 3, [["<f4", 5], ["<f4", 2, 5], None]]
    (operands,) = parse(report(operands=[row]), texts, []).operands
    assert (operands.looks, operands.arrays) == (3, {"a": ("<f4", (5,)), "b": ("<f4", (2, 5))})
    assert parse(report(operands=[[0, 1, 3, [None]], [5, 1, 1, []]]), texts, []).operands == ()


def test_a_report_becomes_a_profile() -> None:
    profile = parse(report(lines=[ROW, [0, 0, 1, 0.6, 1.0, 2.5, False]]), TEXTS, ["cell:c0"])
    assert profile.sources == {"cell:c0": TEXTS["cell:c0"]}
    assert [(line.line, line.seconds, line.peak_mib) for line in profile.lines] == [(1, 0.5, 2.0)]
    assert [(cell.source, cell.seconds) for cell in profile.cells] == [("cell:c0", 0.6)]


def test_the_moment_has_lines_that_were_handed_in() -> None:
    sent = [300.0, [[0, 0, 1], [0, 1, 4], [9, 1, 1]], [[0, 2, 200.0], [0, 3, 1.0], [9, 1, 1.0]]]
    moment = parse(report(moment=sent), TEXTS, ["cell:c0"]).moment
    assert moment == MemoryPeak(
        300.0, (StackFrame("cell:c0", 1, 4),), (LineAllocation("cell:c0", 2, 200.0),)
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        report()[:-1],
        report(lines=[[*ROW, 1]]),
        report(lines=[ROW[:-1]]),
        report(operands=[[0, 1, 1, [["O8", 2]]]]),
        report(operands=[[0, 1, 1, [["<f4", -2]]]]),
        report(operands=[[0, 1, 1, [["<f4", *[1] * 40]]]]),
        report(lines=[[-1, *ROW[1:]]]),
        report(lines=[[0, -1, *ROW[2:]]]),
        report(lines=[[0, 1, 2**60, *ROW[3:]]]),
        report(lines=[[0, 1, 1, -1.0, *ROW[4:]]]),
        report(lines=[[0, 1, 1, float("nan"), *ROW[4:]]]),
        report(lines=[[0, 1, 1, "1", *ROW[4:]]]),
        report(lines=[[0, 1, 1, 0.5, 1e300, 2.0, False]]),
        report(lines=[[0, 1, 1, 0.5, 1.0, -2.0, False]]),
        report(lines=[ROW] * 20_001),
        report(backends=["<script>"]),
        report(backends=["memray"] * 5),
        report(sources=["x" * 301]),
        report(sources=["x"] * 1001),
        report(more=1),
        report(moment=[1.0, [[0, 1, 1]]]),
        report(moment=[-1.0, [], []]),
        report(moment=[1.0, [[0, 1, -1]], []]),
        report(moment=[1.0, [], [[0, 1, 1e300]]]),
        report(moment=[1.0, [], [[0, 1, 1.0]] * 101]),
    ],
)
def test_what_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse(data, TEXTS, ["cell:c0"])


@pytest.mark.parametrize(
    "changes",
    [
        {"sources": ["cell:other"]},
        {"sources": ["../../etc/passwd"]},
        {"sources": []},
        {"lines": [[0, 3, *ROW[2:]]]},
        {"lines": [[7, 1, *ROW[2:]]]},
    ],
)
def test_lines_that_nobody_handed_in_are_left_out(changes: dict[str, Any]) -> None:
    profile = parse(report(**changes), TEXTS, ["cell:c0"])
    assert (profile.lines, profile.sources) == ((), {})


def test_a_line_counts_once() -> None:
    profile = parse(report(lines=[ROW, ROW]), TEXTS, [])
    assert len(profile.lines) == 1
