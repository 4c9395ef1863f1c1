"""Ranks, tie groups, divisions, Pareto fronts, records and handles."""

from __future__ import annotations

import datetime as dt

import msgspec
import numpy as np
from support.scored import CHALLENGE, MONDAY, SECRET, scored

from tinytorch_compete.challenges import packs
from tinytorch_compete.judging import tiers
from tinytorch_compete.leaderboard import ranking
from tinytorch_compete.leaderboard.ranking import Row
from tinytorch_compete.model import ChallengeSpec, Requirement, Result, Verdict, Withdrawal
from tinytorch_compete.participants import pseudonyms
from tinytorch_compete.results import conditions, figures
from tinytorch_compete.util import stats

FAST = packs.find()["fast-convolution"].spec


def board(*results: Result, spec: ChallengeSpec = CHALLENGE) -> list[Row]:
    return ranking.board(spec, ranking.published(spec, results, SECRET))


def ranked(*results: Result, spec: ChallengeSpec = CHALLENGE) -> list[tuple[str, int, str]]:
    names = {pseudonyms.handle(r.identity.student, SECRET): r.identity.student for r in results}
    rows = board(*results, spec=spec)
    return [(row.division, row.rank, names[row.handle]) for row in rows]


def shuffled(seed: int) -> tuple[float, ...]:
    return tuple(np.random.default_rng(seed).normal(0, 0.02, 5))


def test_each_division_is_ranked_by_accuracy_then_memory() -> None:
    assert ranked(
        scored("a", 0.80, 100),
        scored("b", 0.90, 200),
        scored("c", 0.90, 150),
        scored("d", 0.95, 300),
        scored("e", 0.30, 1000),
    ) == [
        ("256 MiB", 1, "c"),
        ("256 MiB", 2, "b"),
        ("256 MiB", 3, "a"),
        ("512 MiB", 1, "d"),
        ("1024 MiB", 1, "e"),
    ]


def test_overlapping_results_share_a_rank_and_clearly_different_ones_do_not() -> None:
    rows = ranked(
        scored("a", 0.90, 100, noise=shuffled(1)),
        scored("b", 0.895, 100, noise=shuffled(2)),
        scored("c", 0.60, 100, noise=shuffled(3)),
        spec=msgspec.structs.replace(CHALLENGE, rank=("accuracy",)),
    )
    assert [(rank, name) for _, rank, name in rows][2] == (3, "c")
    assert [rank for _, rank, _ in rows] == [1, 1, 3]


def test_equal_figures_share_a_rank() -> None:
    rows = ranked(scored("a", 0.8, 100), scored("b", 0.8, 100), scored("c", 0.7, 100))
    assert [rank for _, rank, _ in rows] == [1, 1, 3]


def test_a_withdrawn_result_leaves_a_gap_and_nobody_else_moves() -> None:
    one, two, three = scored("a", 0.9, 100), scored("b", 0.8, 100), scored("c", 0.7, 100)
    withdrawal = Withdrawal(two.identity, "aa", "why", two.graded_at)
    rows = board(one, msgspec.structs.replace(two, withdrawal=withdrawal), three)
    assert [(row.rank, row.withdrawn) for row in rows] == [(1, False), (2, True), (3, False)]
    assert (rows[1].handle, rows[1].tier, rows[1].estimates, rows[1].samples) == ("", "", {}, {})


def test_the_luck_of_a_seed_cancels_between_submissions() -> None:
    lucky = (0.05, -0.05, 0.04, -0.04, 0.0)
    rows = ranked(
        scored("a", 0.80, 100, noise=lucky),
        scored("b", 0.78, 100, noise=tuple(x + 1e-4 * n for n, x in enumerate(lucky))),
    )
    assert [(rank, name) for _, rank, name in rows] == [(1, "a"), (2, "b")]


def test_single_runs_are_never_distinguishable() -> None:
    rows = ranked(scored("a", 0.5, 90, noise=(0.0,)), scored("b", 0.9, 100, noise=(0.0,)))
    assert [(rank, name) for _, rank, name in rows] == [(1, "b"), (1, "a")]


def test_a_missed_requirement_is_ranked_after_all_that_meet_it() -> None:
    challenge = msgspec.structs.replace(CHALLENGE, requires=(Requirement("peak_mib", 120),))
    rows = board(scored("a", 0.95, 200), scored("b", 0.3, 100), spec=challenge)
    assert [(row.rank, row.meets) for row in rows] == [(1, True), (2, False)]
    assert rows[0].handle == pseudonyms.handle("b", SECRET)
    assert ranking.separating(challenge, *rows) == ""


def test_the_front_holds_the_rows_that_no_row_dominates() -> None:
    rows = board(scored("a", 0.9, 200), scored("b", 0.8, 100), scored("c", 0.7, 150))
    front = {row.handle for row in rows if row.front}
    assert front == {pseudonyms.handle(name, SECRET) for name in "ab"}


def test_equal_rows_are_both_on_the_front() -> None:
    same = {"accuracy": (0.5,), "peak_mib": (9.0,)}
    assert ranking.front(CHALLENGE, [same, same], ("accuracy", "peak_mib")) == [True, True]


def test_a_row_without_a_figure_beats_no_row_in_it() -> None:
    one, other = {"accuracy": (0.5,), "peak_mib": ()}, {"accuracy": (0.4,), "peak_mib": (9.0,)}
    assert ranking.front(CHALLENGE, [one, other], ("accuracy", "peak_mib")) == [True, True]


def test_without_a_tier_or_a_grade_nobody_is_ranked() -> None:
    assert ranked(scored("a", 0.1, 100), scored("b", 0.9, 100, Verdict.FAULT)) == []


def test_the_first_day_at_a_tier_is_a_record_and_the_order_of_grading_is_none() -> None:
    later = MONDAY + dt.timedelta(days=1)
    history = [
        scored("ada", 0.6, 100),
        scored("zoe", 0.6, 100, at=MONDAY + dt.timedelta(hours=3)),
        scored("ben", 0.95, 100, at=later),
    ]
    firsts = ranking.records(CHALLENGE, ranking.published(CHALLENGE, history, SECRET))
    both = tuple(sorted(pseudonyms.handle(name, SECRET) for name in ("ada", "zoe")))
    ben = (pseudonyms.handle("ben", SECRET),)
    assert [(r.tier, r.day.day, r.handles) for r in firsts] == [
        ("beginner", 2, both),
        ("intermediate", 2, both),
        ("advanced", 3, ben),
        ("expert", 3, ben),
    ]


def test_only_results_under_the_newest_results_conditions_are_comparable() -> None:
    old, new = scored("a", 0.9, 100), scored("b", 0.9, 100, at=MONDAY + dt.timedelta(days=9))
    regraded = msgspec.structs.replace(new.identity, seed_sha="another")
    new = msgspec.structs.replace(new, identity=regraded)
    assert conditions.comparable([old, new]) == ([new], 1)
    assert conditions.comparable([old, scored("c", 0.5, 90)])[1] == 0
    assert conditions.comparable([]) == ([], 0)


def test_a_fault_under_a_new_grader_leaves_the_board_as_it_is() -> None:
    old = scored("a", 0.9, 100)
    fault = scored("b", 0.9, 100, at=MONDAY + dt.timedelta(days=9))
    regraded = msgspec.structs.replace(fault.identity, grader_sha="another")
    fault = msgspec.structs.replace(fault, identity=regraded, verdict=Verdict.FAULT, tier="")
    assert conditions.comparable([old, fault]) == ([old], 1)


def test_memory_seen_by_a_watcher_is_not_ranked_beside_memory_counted_by_a_control_group() -> None:
    counted = msgspec.structs.replace(scored("a", 0.9, 100), layers=("bubblewrap", "cgroup v2"))
    watched = msgspec.structs.replace(
        scored("b", 0.9, 1, at=MONDAY + dt.timedelta(days=9)), layers=("bubblewrap", "watcher")
    )
    assert conditions.comparable([counted, watched]) == ([watched], 1)


def test_pairs_that_are_equal_in_all_metrics_are_tied_in_19_of_20_boards() -> None:
    generator, wrong, times = np.random.default_rng(2), 0, 1000
    for _ in range(times):
        attempts = [
            ranking.Attempt(
                f"{pair}-{one}",
                CHALLENGE.divisions[0].name,
                "expert",
                {
                    "accuracy": tuple(0.1 + 0.15 * pair + generator.normal(0, 0.01, 5)),
                    "peak_mib": tuple(100 + generator.normal(0, 10, 5)),
                },
            )
            for pair in range(5)
            for one in range(2)
        ]
        ranks = {row.handle: row.rank for row in ranking.board(CHALLENGE, attempts)}
        wrong += any(ranks[f"{pair}-0"] != ranks[f"{pair}-1"] for pair in range(5))
    assert wrong / times <= 0.05 + 1.96 * (0.05 * 0.95 / times) ** 0.5


def test_another_machine_is_comparable() -> None:
    here = scored("a", 0.9, 100)
    there = msgspec.structs.replace(scored("b", 0.9, 100), machine="elsewhere")
    assert conditions.comparable([here, there]) == ([here, there], 0)


def test_the_next_group_is_the_one_above_in_the_same_division() -> None:
    rows = board(
        scored("a", 0.9, 100), scored("b", 0.8, 100), scored("c", 0.8, 100), scored("d", 0.3, 300)
    )
    first, *tied, other = rows
    assert [ranking.next_group(rows, row) for row in tied] == [first, first]
    assert ranking.next_group(rows, first) is None
    assert ranking.next_group(rows, other) is None


def test_the_separating_metric_is_the_first_that_distinguishes_two_rows() -> None:
    a, b, c = board(scored("a", 0.9, 100), scored("b", 0.8, 100), scored("c", 0.8, 200))
    assert ranking.separating(CHALLENGE, a, b) == "accuracy"
    assert ranking.separating(CHALLENGE, b, c) == "peak_mib"
    assert ranking.separating(CHALLENGE, a, a) == ""


def test_a_withdrawn_attempt_keeps_its_rank_and_nothing_else() -> None:
    results = [scored("a", 0.9, 100), scored("b", 0.8, 100), scored("c", 0.7, 100)]
    attempts = ranking.published(CHALLENGE, results, SECRET)
    withdrawn = pseudonyms.handle("b", SECRET)
    attempts = [
        msgspec.structs.replace(a, handle="", withdrawn=True) if a.handle == withdrawn else a
        for a in attempts
    ]
    rows = ranking.board(CHALLENGE, attempts)
    assert [(row.rank, row.withdrawn) for row in rows] == [(1, False), (2, True), (3, False)]
    assert (rows[1].handle, rows[1].tier, rows[1].estimates, rows[1].samples) == ("", "", {}, {})
    assert ranking.next_group(rows, rows[2]) == rows[0]


def test_a_withdrawn_attempt_keeps_nobody_off_the_front() -> None:
    attempts = ranking.published(CHALLENGE, [scored("a", 0.9, 100), scored("b", 0.8, 150)], SECRET)
    best = pseudonyms.handle("a", SECRET)
    attempts = [
        msgspec.structs.replace(a, handle="", withdrawn=True) if a.handle == best else a
        for a in attempts
    ]
    assert [row.front for row in ranking.board(CHALLENGE, attempts)] == [False, True]


def test_handles_are_stable_secret_and_nobodys_name() -> None:
    assert pseudonyms.handle("ada", SECRET) == pseudonyms.handle("ada", SECRET)
    assert pseudonyms.handle("ada", SECRET) != pseudonyms.handle("ada", b"another")
    handles = {pseudonyms.handle(f"student{n}", SECRET) for n in range(300)}
    assert len(handles) == 300


def test_published_attempts_reveal_neither_names_nor_their_order() -> None:
    names = [f"student{n:02}" for n in range(20)]
    results = [
        scored(name, 0.9, 100, at=MONDAY + dt.timedelta(minutes=n)) for n, name in enumerate(names)
    ]
    attempts = ranking.published(CHALLENGE, results, SECRET)
    text = msgspec.json.encode(attempts).decode()
    assert "student" not in text
    assert "T09" not in text
    assert "09:" not in text
    assert [a.handle for a in attempts] == sorted(pseudonyms.handle(name, SECRET) for name in names)


def test_a_ratio_is_shown_with_its_interval() -> None:
    metric = FAST.metric("speedup")
    estimate = stats.estimate((2.0, 2.1, 1.9, 2.0, 2.0), "log", metric.resolution)
    assert figures.format_estimate(metric, estimate) == "2 x reference (1.91 to 2.09)"


def test_tiers_and_divisions_start_exactly_at_their_figures() -> None:
    assert [tiers.tier(CHALLENGE, x) for x in (0.1999, 0.2, 0.8999, 0.9)] == [
        "",
        "beginner",
        "advanced",
        "expert",
    ]
    assert [tiers.division(CHALLENGE, x) for x in (256.0, 256.1, 1024.0, 1025.0)] == [
        "256 MiB",
        "512 MiB",
        "1024 MiB",
        "",
    ]
