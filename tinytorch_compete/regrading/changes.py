"""Compare published grades with a staged regrade."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import pandas as pd

from tinytorch_compete.leaderboard import ranking
from tinytorch_compete.model import ChallengeSpec, Result
from tinytorch_compete.participants import pseudonyms
from tinytorch_compete.participants.roster import Roster, attribute, competing, competitor
from tinytorch_compete.regrading import reasons as regrading_reasons
from tinytorch_compete.results import conditions

Direction = Literal["up", "down", "same", "new", "left"]


class GradeChange(msgspec.Struct, frozen=True):
    """One student's two results and places, the direction of the change, and its reasons.

    ``way`` is decided by the share of the points, then by tier. ``new`` means that no grade counted
    before, ``left`` that there is no staged grade, so that the old one stays. A place is a rank
    within its division, with ``=`` if it is shared, and empty without one. ``noise`` says that the
    figures differ by no more than two gradings of the same work may. ``reasons`` are empty if
    nothing of the student's own changed.
    """

    student: str
    way: Direction
    before: Result | None
    after: Result | None
    places: tuple[str, str]
    reasons: tuple[str, ...]
    noise: bool = False

    @property
    def visible(self) -> bool:
        """Return whether anything changes that a leaderboard or a gradebook shows."""
        if not (self.before and self.after):
            return self.way == "new"
        other_points = self.before.points != self.after.points
        return self.way != "same" or other_points or self.places[0] != self.places[1]


def compare(
    old: ChallengeSpec,
    spec: ChallengeSpec,
    before: Mapping[str, Result],
    after: Mapping[str, Result],
    secret: bytes,
    roster: Roster,
) -> list[GradeChange]:
    """Return each student's change, the largest loss first, and those without a change last.

    ``roster`` has the teams. Old places are ranked under the rules of ``old``, new ones under
    ``spec``, today's challenge. Results are by student, without faults.
    """
    counting = {s: r for s, r in after.items() if not _stays(before.get(s), r)}
    under = {conditions.conditions(result.identity) for result in counting.values()}
    alike = {s: r for s, r in before.items() if conditions.conditions(r.identity) in under}
    old_places = places(old, before, secret, roster)
    new_places = places(spec, {**alike, **counting}, secret, roster)
    grade_changes = []
    for student in sorted({*before, *after}):
        pair = old_places.get(student, ""), new_places.get(student, "")
        grade_changes.append(
            _change(spec, student, before.get(student), counting.get(student), pair)
        )
    return sorted(grade_changes, key=_order)


def places(
    spec: ChallengeSpec, results: Mapping[str, Result], secret: bytes, roster: Roster
) -> dict[str, str]:
    """Return each ranked student's place on the board of these results, such as ``3`` or ``3=``.

    A team's members have its place.
    """
    attributed, students = [], {}
    for result in competing(roster, results.values()):
        student = result.identity.student
        owner = competitor(roster, result.identity.challenge, student, result.handle)
        if owner.show != "nothing":
            attributed.append(attribute(result, owner))
            students[pseudonyms.handle(owner.id, secret, owner.name)] = roster.side(student)
    alike, _ = conditions.comparable(attributed)
    rows = ranking.board(spec, ranking.published(spec, alike, secret))
    shared = Counter((row.division, row.rank) for row in rows)
    return {
        student: f"{row.rank}=" if shared[row.division, row.rank] > 1 else str(row.rank)
        for row in rows
        if row.handle
        for student in students[row.handle]
    }


def frame(grade_changes: Sequence[GradeChange]) -> pd.DataFrame:
    """Return the changes as a table, one row each; absent values are missing."""
    return pd.DataFrame([_row(change) for change in grade_changes])


def _row(change: GradeChange) -> dict[str, object]:
    sides = zip(("before", "after"), (change.before, change.after), change.places, strict=True)
    row: dict[str, object] = {"student": change.student, "way": change.way}
    for side, result, place in sides:
        row |= {
            f"verdict_{side}": str(result.verdict) if result else None,
            f"points_{side}": result.points if result else None,
            f"max_points_{side}": result.max_points if result else None,
            f"tier_{side}": result.tier if result else None,
            f"place_{side}": place or None,
        }
    return {**row, "noise": change.noise, "why": "; ".join(change.reasons)}


def _change(
    spec: ChallengeSpec,
    student: str,
    before: Result | None,
    after: Result | None,
    places: tuple[str, str],
) -> GradeChange:
    if before is None:
        return GradeChange(student, "new", None, after, places, ("had no grade before",))
    if after is None:
        why = "withdrawn before" if before.withdrawal else "without a staged grade"
        return GradeChange(student, "left", before, None, places, (why,))
    if before.withdrawal:
        why = "the withdrawn result was of another submission"
        return GradeChange(student, "new", None, after, places, (why,))
    reasons, noise = regrading_reasons.reasons(spec, before, after)
    return GradeChange(student, _way(spec, before, after), before, after, places, reasons, noise)


def _stays(before: Result | None, after: Result) -> bool:
    """Return whether a result is of work whose published result was withdrawn, and stays so."""
    return (
        before is not None
        and before.withdrawal is not None
        and regrading_reasons.same_work(before, after)
    )


def _order(change: GradeChange) -> tuple[int, float, str]:
    difference = 0.0
    if change.before and change.after:
        difference = abs(_share(change.after) - _share(change.before))
    rank = ("down", "up", "new", "same", "left").index(change.way)
    return rank, -difference, change.student


def _way(spec: ChallengeSpec, before: Result, after: Result) -> Direction:
    gain = _share(after) - _share(before)
    if math.isclose(gain, 0, abs_tol=1e-9):
        gain = _level(spec, after.tier) - _level(spec, before.tier)
    return "same" if gain == 0 else "up" if gain > 0 else "down"


def _share(result: Result) -> float:
    return (result.points or 0.0) / (result.max_points or 1.0)


def _level(spec: ChallengeSpec, tier: str) -> int:
    """Return how hard a tier is, from 1; 0 for none or one that today's challenge doesn't have."""
    names = [tier.name for tier in spec.tiers]
    return names.index(tier) + 1 if tier in names else 0
