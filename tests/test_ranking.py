"""Orders, ties, divisions and handles."""

from __future__ import annotations

import msgspec
from test_store import result as stored

from tinytorch_compete import metrics, pack, ranking
from tinytorch_compete.leaderboard.publish import as_csv
from tinytorch_compete.model import Result, Verdict, Withdrawal

CHALLENGE = pack.find()["efficient-training"].challenge
SECRET = b"secret"


def result(student: str, accuracy: float, peak_mib: float, verdict: Verdict = Verdict.OK) -> Result:
    made = stored(student, verdict)
    tier = metrics.tier(CHALLENGE, accuracy)
    return msgspec.structs.replace(
        made,
        metrics={"accuracy": accuracy},
        peak_mib=peak_mib,
        tier=tier,
        division=metrics.division(CHALLENGE, peak_mib) if tier else "",
    )


def ranked(*results: Result) -> list[tuple[str, int, str]]:
    names = {ranking.handle(r.identity.student, SECRET): r.identity.student for r in results}
    rows = ranking.board(CHALLENGE, list(results), SECRET)
    return [(row.division, row.rank, names[row.handle]) for row in rows]


def test_each_division_is_ranked_by_accuracy_then_memory() -> None:
    assert ranked(
        result("a", 0.80, 100),
        result("b", 0.90, 200),
        result("c", 0.90, 150),
        result("d", 0.95, 300),
        result("e", 0.30, 1000),
    ) == [
        ("256 MiB", 1, "c"),
        ("256 MiB", 2, "b"),
        ("256 MiB", 3, "a"),
        ("512 MiB", 1, "d"),
        ("1024 MiB", 1, "e"),
    ]


def test_equal_figures_share_a_rank() -> None:
    rows = ranked(result("a", 0.8, 100), result("b", 0.8, 100), result("c", 0.7, 100))
    assert [rank for _, rank, _ in rows] == [1, 1, 3]


def test_a_withdrawn_result_leaves_a_gap_and_nobody_else_moves() -> None:
    one, two, three = result("a", 0.9, 100), result("b", 0.8, 100), result("c", 0.7, 100)
    finding = Withdrawal(two.identity, "aa", "why", two.graded_at)
    rows = ranking.board(
        CHALLENGE, [one, msgspec.structs.replace(two, withdrawal=finding), three], SECRET
    )
    assert [(row.rank, row.withdrawn) for row in rows] == [(1, False), (2, True), (3, False)]
    table = as_csv(CHALLENGE, rows)
    assert ranking.handle("b", SECRET) not in table
    assert table.splitlines()[2] == "256 MiB,2,,,,"


def test_without_a_tier_or_a_grade_nobody_is_ranked() -> None:
    assert ranked(result("a", 0.1, 100), result("b", 0.9, 100, Verdict.FAULT)) == []


def test_handles_are_stable_secret_and_nobodys_name() -> None:
    assert ranking.handle("ada", SECRET) == ranking.handle("ada", SECRET)
    assert ranking.handle("ada", SECRET) != ranking.handle("ada", b"another")
    handles = {ranking.handle(f"student{n}", SECRET) for n in range(300)}
    assert len(handles) == 300
    table = as_csv(CHALLENGE, ranking.board(CHALLENGE, [result("lovelace", 0.9, 9)], SECRET))
    assert "lovelace" not in table
    assert table.splitlines()[0] == "division,rank,handle,tier,accuracy,peak_mib"


def test_tiers_and_divisions_start_exactly_at_their_figures() -> None:
    assert [metrics.tier(CHALLENGE, x) for x in (0.1999, 0.2, 0.8999, 0.9)] == [
        "",
        "beginner",
        "advanced",
        "expert",
    ]
    assert [metrics.division(CHALLENGE, x) for x in (256.0, 256.1, 1024.0, 1025.0)] == [
        "256 MiB",
        "512 MiB",
        "1024 MiB",
        "",
    ]
