"""Who moves between two sets of grades, and what the reasons say."""

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
    made = result(student, accuracy, float(changes.pop("peak_mib", 200.0)))
    return msgspec.structs.replace(made, **{"cells": cells, "points": points, **changes})


def compare(
    before: list[Result],
    after: list[Result],
    spec: ChallengeSpec = CHALLENGE,
    known: Roster = NOBODY,
) -> dict[str, GradeChange]:
    old, new = ({r.identity.student: r for r in results} for results in (before, after))
    return {
        m.student: m for m in regrading_changes.compare(CHALLENGE, spec, old, new, SECRET, known)
    }


def only(before: Result, after: Result, spec: ChallengeSpec = CHALLENGE) -> GradeChange:
    return compare([before], [after], spec)[before.identity.student]


def other_work(made: Result) -> Result:
    identity = msgspec.structs.replace(made.identity, submission_sha="another")
    return msgspec.structs.replace(made, identity=identity)


def test_equal_results_stay() -> None:
    move = only(graded("ada", 0.9), graded("ada", 0.9))
    assert (move.way, move.reasons, move.noise, move.visible) == ("same", (), False, False)


def test_a_cell_that_is_judged_otherwise_is_named_with_its_finding() -> None:
    move = only(graded("ada", 0.9), graded("ada", 0.9, 5.0))
    assert (move.way, move.noise) == ("down", False)
    assert move.reasons == (f"cell holdout: 7 of 10 → 5 of 10, for the same answers: {GOOD}",)


def test_a_cell_with_another_finding_shows_both() -> None:
    said = (CellResult("holdout", 9.0, 10.0, "all bytes agree."),)
    move = only(graded("ada", 0.9), graded("ada", 0.9, 9.0, cells=said))
    assert move.reasons == (
        f"cell holdout: 7 of 10 → 9 of 10, before: {GOOD} Now: all bytes agree.",
    )


def test_a_cell_of_another_worth_with_the_same_score_moves_nobody() -> None:
    cells = (CellResult("holdout", 14.0, 20.0, GOOD),)
    move = only(graded("ada", 0.9), graded("ada", 0.9, 14.0, cells=cells, max_points=20.0))
    assert (move.way, move.visible) == ("same", True)
    assert move.reasons == ("cell holdout: 7 of 10 → 14 of 20, by its worth alone",)


def test_cells_that_came_and_went_are_named() -> None:
    cells = (CellResult("memory", 6.0, 10.0, "small."),)
    move = only(graded("ada", 0.9), graded("ada", 0.9, 6.0, cells=cells))
    assert "cell holdout is gone: it gave 7 of 10" in move.reasons
    assert "cell memory is new: 6 of 10. small." in move.reasons


def test_work_that_failed_before_tells_of_its_verdict_and_not_of_cells() -> None:
    failed = graded("ada", 0.0, 0.0, verdict=Verdict.ERROR, message="ValueError: x", cells=())
    failed = msgspec.structs.replace(failed, metrics={}, samples={}, tier="", division="")
    move = only(failed, graded("ada", 0.9))
    assert move.way == "up"
    assert move.reasons[0] == "verdict ERROR → OK (before: ValueError: x)"
    assert not any("cell" in reason for reason in move.reasons)


def test_a_share_within_its_interval_is_noise() -> None:
    move = only(graded("ada", 0.88, 7.0), graded("ada", 0.881, 7.01))
    assert (move.way, move.noise) == ("up", True)
    assert move.reasons == ("accuracy 88.0% → 88.1%, within noise",)


def test_a_figure_beyond_noise_is_named_with_the_tier_that_it_crossed() -> None:
    move = only(graded("ada", 0.88, 7.0), graded("ada", 0.95, 8.0))
    assert not move.noise
    assert "accuracy 88.0% → 95.0%, beyond noise" in move.reasons
    assert "tier advanced → expert: expert starts at accuracy 90.0%" in move.reasons


def test_a_tier_that_was_crossed_within_noise_is_noise() -> None:
    move = only(graded("ada", 0.8995), graded("ada", 0.9005))
    assert (move.way, move.noise) == ("up", True)


@pytest.mark.parametrize("back", [False, True])
def test_a_run_that_reached_no_tier_is_told_from_a_figure_that_moved(back: bool) -> None:
    whole = graded("ada", 0.9)
    fewer = {name: values[:4] for name, values in whole.samples.items()}
    whole = msgspec.structs.replace(whole, runs=5)
    failed = msgspec.structs.replace(
        whole, samples=fewer, tier="", division="", verdict=Verdict.OVER_TIME, message="too slow"
    )
    move = only(failed, whole) if back else only(whole, failed)
    said = "no tier → expert: not every run reached one before"
    assert f"tier {said}" in move.reasons or not back
    assert "tier expert → no tier: not every run reached one" in move.reasons or back


def test_a_difference_that_is_too_small_to_show_is_still_said() -> None:
    move = only(graded("ada", 0.9, 7.0), graded("ada", 0.90002, 7.01))
    assert (move.way, move.noise) == ("up", True)
    assert move.reasons == ("a figure differs by less than is shown",)


def test_work_that_was_run_more_often_says_so() -> None:
    once = graded("ada", 0.1, 0.0, runs=1, verdict=Verdict.WRONG)
    assert "runs 1 → 5" in only(once, graded("ada", 0.9, runs=5)).reasons


def test_a_peak_that_crossed_a_division_is_named() -> None:
    move = only(graded("ada", 0.9, 8.0), graded("ada", 0.9, 7.0, peak_mib=300.0))
    assert "division 256 MiB → 512 MiB" in move.reasons
    assert "peak_mib 200 → 300 MiB, beyond noise" in move.reasons


def test_a_tier_that_starts_elsewhere_is_told_from_a_figure_that_moved() -> None:
    tiers = (*CHALLENGE.tiers[:-1], msgspec.structs.replace(CHALLENGE.tiers[-1], at=0.95))
    harder = msgspec.structs.replace(CHALLENGE, tiers=tiers)
    move = only(graded("ada", 0.92), graded("ada", 0.92, tier="advanced"), harder)
    assert move.way == "down"
    assert move.reasons == ("the tiers changed: accuracy 92.0% was expert, and is advanced now",)
    assert only(graded("bob", 0.97), graded("bob", 0.97), harder).reasons == ()


def test_a_division_that_ends_elsewhere_is_told_from_a_peak_that_moved() -> None:
    first = msgspec.structs.replace(CHALLENGE.divisions[0], peak_mib=150)
    smaller = msgspec.structs.replace(CHALLENGE, divisions=(first, *CHALLENGE.divisions[1:]))
    move = only(graded("ada", 0.9), graded("ada", 0.9, division="512 MiB"), smaller)
    assert move.reasons == (
        "the divisions changed: a peak of 200 MiB was in 256 MiB, and is in 512 MiB now",
    )


def test_who_is_only_overtaken_has_no_reasons_of_their_own() -> None:
    before = [graded("ada", 0.80), graded("bob", 0.85)]
    found = compare(before, [graded("ada", 0.95, 9.0), graded("bob", 0.85)])
    assert found["ada"].places == ("2", "1")
    assert found["bob"].places == ("1", "2")
    assert (found["bob"].way, found["bob"].reasons, found["bob"].visible) == ("same", (), True)


def test_tied_places_say_so() -> None:
    before = [graded("ada", 0.80), graded("bob", 0.80)]
    found = compare(before, [graded("ada", 0.80), graded("bob", 0.70, 6.0)])
    assert [found[name].places for name in ("ada", "bob")] == [("1=", "1"), ("1=", "2")]


def test_who_loses_most_comes_first_and_the_unmoved_last() -> None:
    names = {"ada": 0.0, "bob": -1.0, "cy": -3.0, "di": 2.0, "eve": 1.0}
    before = {name: graded(name, 0.9) for name in names}
    after = {name: graded(name, 0.9, 7.0 + gain) for name, gain in names.items()}
    found = regrading_changes.compare(CHALLENGE, CHALLENGE, before, after, SECRET, NOBODY)
    assert [move.student for move in found] == ["cy", "bob", "di", "eve", "ada"]


def test_another_submission_is_said() -> None:
    move = only(graded("ada", 0.9), other_work(graded("ada", 0.9, 8.0)))
    assert move.reasons[0] == "another submission than the one that was graded before"


@pytest.mark.parametrize("same", [True, False])
def test_a_withdrawal_stands_for_the_same_submission_alone(same: bool) -> None:
    old = graded("ada", 0.9)
    old = msgspec.structs.replace(
        old, withdrawal=Withdrawal(old.identity, "aa", "copied", old.graded_at)
    )
    new = graded("ada", 0.9) if same else other_work(graded("ada", 0.9))
    move = only(old, new)
    assert move.way == ("left" if same else "new")
    assert "withdrawn" in move.reasons[0]


def test_who_is_in_one_of_the_two_alone_is_named() -> None:
    found = compare([graded("ada", 0.9)], [graded("bob", 0.9)])
    assert (found["ada"].way, found["ada"].reasons) == ("left", ("without a staged grade",))
    assert (found["bob"].way, found["bob"].reasons) == ("new", ("had no grade before",))


def test_the_table_has_a_row_for_everybody() -> None:
    found = compare([graded("ada", 0.9), graded("bob", 0.9)], [graded("ada", 0.9, 8.0)])
    table = regrading_changes.frame(list(found.values())).set_index("student")
    assert table["way"].to_dict() == {"ada": "up", "bob": "left"}
    assert table.loc["ada", ["points_before", "points_after"]].tolist() == [7.0, 8.0]
    assert "holdout" in table.loc["ada", "why"]


def test_a_team_has_one_place_and_its_members_share_it() -> None:
    team = Participant("", team="rocket")
    known = Roster({"rocket": Team("Rocket", "", "ada")}, {"ada": team, "bob": team})
    before = [graded("ada", 0.5), graded("bob", 0.6), graded("cy", 0.9)]
    after = [graded("ada", 0.95), graded("bob", 0.97), graded("cy", 0.9)]
    found = compare(before, after, known=known)
    assert [found[name].places for name in ("ada", "bob", "cy")] == [("2", "1")] * 2 + [("1", "2")]
    alone = compare(before, after)
    assert alone["ada"].places != alone["bob"].places
