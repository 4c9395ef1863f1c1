"""Feedback may show where a result stands in its class: coarsely, and without anybody's name."""

from __future__ import annotations

import msgspec
import pytest
from support.classes import CHALLENGE, LEVELS, NAMES, SLUG, attempt

from tinytorch_compete.feedback import class_position, notebook, writer
from tinytorch_compete.model import Result, Verdict, Withdrawal
from tinytorch_compete.rendering.markdown import GAP
from tinytorch_compete.results.folder import ResultsFolder

CLASS = [attempt(name, level) for name, level in zip(NAMES, LEVELS, strict=True)]


def section(mine: Result, latest: list[Result] = CLASS) -> str:
    return class_position.section(CHALLENGE, mine, latest).replace(GAP, "")


def line(name: str, mine: Result, latest: list[Result] = CLASS) -> str:
    return next(line for line in section(mine, latest).splitlines() if line.startswith(f"| {name}"))


def test_three_figures_stand_against_the_quarters_of_the_class() -> None:
    rows = [row for row in section(CLASS[-1]).splitlines() if "█" in row]
    assert len(rows) == 3
    assert [row.split("|")[1].strip() for row in rows][:2] == ["points", "speedup"]
    assert " 10 submissions" in section(CLASS[-1])


def test_the_best_is_in_the_first_quarter_and_the_worst_in_the_last() -> None:
    assert "`▁▁▁▁█` first quarter" in line("speedup", CLASS[-1])
    assert "`█▁▁▁▁` last quarter" in line("speedup", CLASS[0])


def test_less_is_better_where_the_metric_says_so() -> None:
    samples = [{**r.samples, "peak_mib": (50.0 + 10 * n,)} for n, r in enumerate(CLASS)]
    heavy = [msgspec.structs.replace(r, samples=s) for r, s in zip(CLASS, samples, strict=True)]
    assert "| 50 MiB | 118 MiB | 95 MiB | 72 MiB | `▁▁▁▁█` first" in line("peak", heavy[0], heavy)
    assert "`█▁▁▁▁` last quarter" in line("peak", heavy[-1], heavy)


def test_equal_figures_are_at_the_median() -> None:
    assert "`▁▁█▁▁` at the median" in line("points", CLASS[3])


def test_what_reached_no_tier_is_compared_in_points_alone() -> None:
    without = [msgspec.structs.replace(result, tier="") for result in CLASS[:6]]
    shown = section(without[0], [*without, *CLASS[6:]])
    assert "| points" in shown and "peak memory" not in shown
    best = section(CLASS[9], [*without, *CLASS[6:]])  # with four that have a tier
    assert "| points" in best and "speedup" not in best


def test_nobody_else_is_named() -> None:
    for mine in CLASS:
        shown = section(mine).lower()
        assert not [name for name in NAMES if name in shown]


def test_a_class_below_the_least_shows_nothing() -> None:
    assert section(CLASS[0], CLASS[:5])
    assert section(CLASS[0], CLASS[:4]) == ""


@pytest.mark.parametrize("kind", ["fault", "withdrawn", "other conditions"])
def test_a_result_that_does_not_count_is_no_part_of_the_class(kind: str) -> None:
    last = CLASS[4]
    changes = {
        "fault": {"points": None, "verdict": Verdict.FAULT},
        "withdrawn": {"withdrawal": Withdrawal(last.identity, "d", "why", last.graded_at)},
        "other conditions": {
            "identity": msgspec.structs.replace(last.identity, seed_sha="of another secret")
        },
    }
    gone = msgspec.structs.replace(last, **changes[kind])
    assert section(CLASS[0], [*CLASS[:4], gone]) == ""
    assert section(gone, [*CLASS[:4], gone]) == ""


def test_a_new_result_takes_the_place_of_the_students_older_one() -> None:
    better = attempt(NAMES[0], 9.0, 7)
    assert " 10 submissions" in section(better)
    assert "first quarter" in line("speedup", better)


def test_the_order_of_the_results_changes_nothing() -> None:
    assert section(CLASS[2], CLASS[::-1]) == section(CLASS[2])


def test_a_feedback_file_gains_and_loses_its_place_and_nothing_else(tmp_path) -> None:
    feedback = notebook.make(CHALLENGE, CLASS[0], None, handle="swift-heron-042")
    path = ResultsFolder(tmp_path).feedback(CLASS[0].identity)
    writer.write_notebook(path, feedback)
    before = path.read_bytes()

    def place(result: Result, allowed: bool) -> bytes:
        writer.place_in_class(CHALLENGE, result, CLASS, path, allowed)
        return path.read_bytes()

    placed = place(CLASS[0], True)
    assert b"last quarter" in placed and before != placed
    assert place(CLASS[0], True) == placed
    assert place(CLASS[0], False) == before
    assert place(CLASS[0], True) == placed
    assert place(attempt(NAMES[0], 2.0, 7), True) == before  # the file tells of an older result
    final = msgspec.structs.replace(CLASS[0].identity, final=True)
    place(CLASS[0], True)
    assert place(msgspec.structs.replace(CLASS[0], identity=final), False) == placed
    assert SLUG in str(path)
