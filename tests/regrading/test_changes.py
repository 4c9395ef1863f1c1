"""Whose grade changes between two sets of grades, and for which reasons."""

from __future__ import annotations

import msgspec
import pytest
from support.scored import CHALLENGE, SECRET
from support.scored import scored as result

from tinytorch_compete.model import CellResult, ChallengeSpec, Result, Verdict, Withdrawal
from tinytorch_compete.participants.roster import Participant, Roster, Team
from tinytorch_compete.regrading import changes as regrading_changes
from tinytorch_compete.regrading.changes import GradeChange

NOBODY = Roster()
GOOD = "90.0% of the images never seen before are right."


def graded(student: str, accuracy: float, points: float = 7.0, **changes: object) -> Result:
    """A result whose one cell has these points of ten."""
    cells = (CellResult("holdout", points, 10.0, GOOD),)
    scored = result(student, accuracy, float(changes.pop("peak_mib", 200.0)))
    return msgspec.structs.replace(scored, **{"cells": cells, "points": points, **changes})


def compare(
    before: list[Result],
    after: list[Result],
    spec: ChallengeSpec = CHALLENGE,
    roster: Roster = NOBODY,
) -> dict[str, GradeChange]:
    old, new = ({r.identity.student: r for r in results} for results in (before, after))
    return {
        m.student: m for m in regrading_changes.compare(CHALLENGE, spec, old, new, SECRET, roster)
    }


def only(before: Result, after: Result, spec: ChallengeSpec = CHALLENGE) -> GradeChange:
    return compare([before], [after], spec)[before.identity.student]


def other_work(scored: Result) -> Result:
    identity = msgspec.structs.replace(scored.identity, submission_sha="another")
    return msgspec.structs.replace(scored, identity=identity)


def test_equal_results_stay() -> None:
    change = only(graded("ada", 0.9), graded("ada", 0.9))
    assert (change.way, change.reasons, change.noise, change.visible) == ("same", (), False, False)


def test_a_cell_that_is_judged_otherwise_is_named_with_its_finding() -> None:
    change = only(graded("ada", 0.9), graded("ada", 0.9, 5.0))
    assert (change.way, change.noise) == ("down", False)
    assert change.reasons == (f"cell holdout: 7 of 10 → 5 of 10, for the same answers: {GOOD}",)


def test_a_cell_with_another_finding_shows_both() -> None:
    cells = (CellResult("holdout", 9.0, 10.0, "all bytes agree."),)
    change = only(graded("ada", 0.9), graded("ada", 0.9, 9.0, cells=cells))
    assert change.reasons == (
        f"cell holdout: 7 of 10 → 9 of 10, before: {GOOD} Now: all bytes agree.",
    )


def test_a_cell_of_another_worth_with_the_same_score_moves_nobody() -> None:
    cells = (CellResult("holdout", 14.0, 20.0, GOOD),)
    change = only(graded("ada", 0.9), graded("ada", 0.9, 14.0, cells=cells, max_points=20.0))
    assert (change.way, change.visible) == ("same", True)
    assert change.reasons == ("cell holdout: 7 of 10 → 14 of 20, only because its worth changed",)


def test_cells_that_came_and_went_are_named() -> None:
    cells = (CellResult("memory", 6.0, 10.0, "small."),)
    change = only(graded("ada", 0.9), graded("ada", 0.9, 6.0, cells=cells))
    assert "cell holdout is gone: it gave 7 of 10" in change.reasons
    assert "cell memory is new: 6 of 10. small." in change.reasons


def test_work_that_failed_before_tells_of_its_verdict_and_not_of_cells() -> None:
    failed = graded("ada", 0.0, 0.0, verdict=Verdict.ERROR, message="ValueError: x", cells=())
    failed = msgspec.structs.replace(failed, metrics={}, samples={}, tier="", division="")
    change = only(failed, graded("ada", 0.9))
    assert change.way == "up"
    assert change.reasons[0] == "verdict ERROR → OK (before: ValueError: x)"
    assert not any("cell" in reason for reason in change.reasons)


def test_a_share_within_its_interval_is_noise() -> None:
    change = only(graded("ada", 0.88, 7.0), graded("ada", 0.881, 7.01))
    assert (change.way, change.noise) == ("up", True)
    assert change.reasons == ("accuracy 88.0% → 88.1%, within noise",)


def test_a_figure_beyond_noise_is_named_with_the_tier_that_it_crossed() -> None:
    change = only(graded("ada", 0.88, 7.0), graded("ada", 0.95, 8.0))
    assert not change.noise
    assert "accuracy 88.0% → 95.0%, beyond noise" in change.reasons
    assert "tier advanced → expert: expert starts at accuracy 90.0%" in change.reasons


def test_a_tier_that_was_crossed_within_noise_is_noise() -> None:
    change = only(graded("ada", 0.8995), graded("ada", 0.9005))
    assert (change.way, change.noise) == ("up", True)


@pytest.mark.parametrize("back", [False, True])
def test_a_run_that_reached_no_tier_is_told_from_a_figure_that_moved(back: bool) -> None:
    whole = graded("ada", 0.9)
    fewer = {name: values[:4] for name, values in whole.samples.items()}
    whole = msgspec.structs.replace(whole, runs=5)
    failed = msgspec.structs.replace(
        whole, samples=fewer, tier="", division="", verdict=Verdict.OVER_TIME, message="too slow"
    )
    change = only(failed, whole) if back else only(whole, failed)
    tiers = "no tier → expert" if back else "expert → no tier"
    (reason,) = (reason for reason in change.reasons if reason.startswith(f"tier {tiers}: "))
    assert "every run" in reason and reason.endswith("before") == back


def test_a_difference_that_is_too_small_to_show_is_still_said() -> None:
    change = only(graded("ada", 0.9, 7.0), graded("ada", 0.90002, 7.01))
    assert (change.way, change.noise) == ("up", True)
    assert change.reasons == ("a figure differs by less than is shown",)


def test_work_that_was_run_more_often_says_so() -> None:
    once = graded("ada", 0.1, 0.0, runs=1, verdict=Verdict.WRONG)
    assert "runs 1 → 5" in only(once, graded("ada", 0.9, runs=5)).reasons


def test_a_peak_that_crossed_a_division_is_named() -> None:
    change = only(graded("ada", 0.9, 8.0), graded("ada", 0.9, 7.0, peak_mib=300.0))
    assert "division 256 MiB → 512 MiB" in change.reasons
    assert "peak_mib 200 → 300 MiB, beyond noise" in change.reasons


def test_a_tier_that_starts_elsewhere_is_told_from_a_figure_that_moved() -> None:
    tiers = (*CHALLENGE.tiers[:-1], msgspec.structs.replace(CHALLENGE.tiers[-1], at=0.95))
    harder = msgspec.structs.replace(CHALLENGE, tiers=tiers)
    change = only(graded("ada", 0.92), graded("ada", 0.92, tier="advanced"), harder)
    assert change.way == "down"
    assert change.reasons == ("the tiers changed: accuracy 92.0% was expert, and is advanced now",)
    assert only(graded("bob", 0.97), graded("bob", 0.97), harder).reasons == ()


def test_a_division_that_ends_elsewhere_is_told_from_a_peak_that_moved() -> None:
    first = msgspec.structs.replace(CHALLENGE.divisions[0], peak_mib=150)
    smaller = msgspec.structs.replace(CHALLENGE, divisions=(first, *CHALLENGE.divisions[1:]))
    change = only(graded("ada", 0.9), graded("ada", 0.9, division="512 MiB"), smaller)
    assert change.reasons == (
        "the divisions changed: a peak of 200 MiB was in 256 MiB, and is in 512 MiB now",
    )


def test_who_is_only_overtaken_has_no_reasons_of_their_own() -> None:
    before = [graded("ada", 0.80), graded("bob", 0.85)]
    changes = compare(before, [graded("ada", 0.95, 9.0), graded("bob", 0.85)])
    assert changes["ada"].places == ("2", "1")
    assert changes["bob"].places == ("1", "2")
    assert (changes["bob"].way, changes["bob"].reasons, changes["bob"].visible) == (
        "same",
        (),
        True,
    )


def test_tied_places_say_so() -> None:
    before = [graded("ada", 0.80), graded("bob", 0.80)]
    changes = compare(before, [graded("ada", 0.80), graded("bob", 0.70, 6.0)])
    assert [changes[name].places for name in ("ada", "bob")] == [("1=", "1"), ("1=", "2")]


def test_who_loses_most_comes_first_and_the_unmoved_last() -> None:
    names = {"ada": 0.0, "bob": -1.0, "cy": -3.0, "di": 2.0, "eve": 1.0}
    before = {name: graded(name, 0.9) for name in names}
    after = {name: graded(name, 0.9, 7.0 + gain) for name, gain in names.items()}
    changes = regrading_changes.compare(CHALLENGE, CHALLENGE, before, after, SECRET, NOBODY)
    assert [change.student for change in changes] == ["cy", "bob", "di", "eve", "ada"]


def test_another_submission_is_said() -> None:
    change = only(graded("ada", 0.9), other_work(graded("ada", 0.9, 8.0)))
    assert change.reasons[0] == "another submission than the one that was graded before"


@pytest.mark.parametrize("same", [True, False])
def test_a_withdrawal_stands_for_the_same_submission_alone(same: bool) -> None:
    old = graded("ada", 0.9)
    old = msgspec.structs.replace(
        old, withdrawal=Withdrawal(old.identity, "aa", "copied", old.graded_at)
    )
    new = graded("ada", 0.9) if same else other_work(graded("ada", 0.9))
    change = only(old, new)
    assert change.way == ("left" if same else "new")
    assert "withdrawn" in change.reasons[0]


def test_who_is_in_one_of_the_two_alone_is_named() -> None:
    changes = compare([graded("ada", 0.9)], [graded("bob", 0.9)])
    assert (changes["ada"].way, changes["ada"].reasons) == ("left", ("without a staged grade",))
    assert (changes["bob"].way, changes["bob"].reasons) == ("new", ("had no grade before",))


def test_the_table_has_a_row_for_everybody() -> None:
    changes = compare([graded("ada", 0.9), graded("bob", 0.9)], [graded("ada", 0.9, 8.0)])
    table = regrading_changes.frame(list(changes.values())).set_index("student")
    assert table["way"].to_dict() == {"ada": "up", "bob": "left"}
    assert table.loc["ada", ["points_before", "points_after"]].tolist() == [7.0, 8.0]
    assert "holdout" in table.loc["ada", "why"]


def test_a_team_has_one_place_and_its_members_share_it() -> None:
    team = Participant("", team="rocket")
    roster = Roster({"rocket": Team("Rocket", "", "ada")}, {"ada": team, "bob": team})
    before = [graded("ada", 0.5), graded("bob", 0.6), graded("cy", 0.9)]
    after = [graded("ada", 0.95), graded("bob", 0.97), graded("cy", 0.9)]
    changes = compare(before, after, roster=roster)
    assert [changes[name].places for name in ("ada", "bob", "cy")] == [("2", "1")] * 2 + [
        ("1", "2")
    ]
    alone = compare(before, after)
    assert alone["ada"].places != alone["bob"].places
