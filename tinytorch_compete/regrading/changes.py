"""Who moves from one set of grades to another: from the published ones to a shadow's."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import pandas as pd

from tinytorch_compete.leaderboard import ranking
from tinytorch_compete.model import ChallengeSpec, Result
from tinytorch_compete.participants import pseudonyms, roster
from tinytorch_compete.participants.roster import Roster
from tinytorch_compete.regrading import reasons as regrading_reasons
from tinytorch_compete.results import conditions

Direction = Literal["up", "down", "same", "new", "left"]


class GradeChange(msgspec.Struct, frozen=True):
    """One student's change: the two results and places, which way it goes, and why.

    ``way`` is by the share of the points, then by tier. ``new`` had no grade that counts, and
    ``left`` has none in the shadow and keeps the old one. A place is a rank in its division, with
    ``=`` where others share it, and empty without one. ``noise`` says that the figures differ by no
    more than those of two gradings of the same work do. ``reasons`` are empty if nothing of the
    student's own changed.
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
        """Whether anything that a board or a gradebook shows changes."""
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
    known: Roster,
) -> list[GradeChange]:
    """Each student's move, those who lose the most first; the unmoved last, by name.

    ``known`` says who is in a team. ``old`` are the facts that the old places are counted by,
    ``challenge`` today's. Results are by student, without faults.
    """
    counted = {s: r for s, r in after.items() if not _stays(before.get(s), r)}
    under = {conditions.conditions(result.identity) for result in counted.values()}
    alike = {s: r for s, r in before.items() if conditions.conditions(r.identity) in under}
    was = places(old, before, secret, known)
    is_now = places(spec, {**alike, **counted}, secret, known)
    found = []
    for student in sorted({*before, *after}):
        where = was.get(student, ""), is_now.get(student, "")
        found.append(_move(spec, student, before.get(student), counted.get(student), where))
    return sorted(found, key=_order)


def places(
    spec: ChallengeSpec, results: Mapping[str, Result], secret: bytes, known: Roster
) -> dict[str, str]:
    """Each ranked student's place on the board of these results, such as ``3`` or ``3=``.

    A team's members have its place.
    """
    lines, sides = [], {}
    for result in roster.competing(known, results.values()):
        student = result.identity.student
        one = roster.competitor(known, result.identity.challenge, student, result.handle)
        if one.show != "nothing":
            lines.append(roster.attribute(result, one))
            sides[pseudonyms.handle(one.id, secret, one.name)] = known.side(student)
    alike, _ = conditions.comparable(lines)
    rows = ranking.board(spec, ranking.published(spec, alike, secret))
    shared = Counter((row.division, row.rank) for row in rows)
    return {
        student: f"{row.rank}=" if shared[row.division, row.rank] > 1 else str(row.rank)
        for row in rows
        if row.handle
        for student in sides[row.handle]
    }


def frame(moves: Sequence[GradeChange]) -> pd.DataFrame:
    """The moves as a table, one row each; what isn't there is missing."""
    return pd.DataFrame([_row(move) for move in moves])


def _row(move: GradeChange) -> dict[str, object]:
    sides = zip(("before", "after"), (move.before, move.after), move.places, strict=True)
    found: dict[str, object] = {"student": move.student, "way": move.way}
    for side, result, place in sides:
        found |= {
            f"verdict_{side}": str(result.verdict) if result else None,
            f"points_{side}": result.points if result else None,
            f"max_points_{side}": result.max_points if result else None,
            f"tier_{side}": result.tier if result else None,
            f"place_{side}": place or None,
        }
    return {**found, "noise": move.noise, "why": "; ".join(move.reasons)}


def _move(
    spec: ChallengeSpec,
    student: str,
    before: Result | None,
    after: Result | None,
    places: tuple[str, str],
) -> GradeChange:
    if before is None:
        return GradeChange(student, "new", None, after, places, ("had no grade before",))
    if after is None:
        why = "withdrawn before" if before.withdrawal else "not in the shadow"
        return GradeChange(student, "left", before, None, places, (why,))
    if before.withdrawal:
        why = "the withdrawn result was of another submission"
        return GradeChange(student, "new", None, after, places, (why,))
    reasons, noise = regrading_reasons.reasons(spec, before, after)
    return GradeChange(student, _way(spec, before, after), before, after, places, reasons, noise)


def _stays(before: Result | None, after: Result) -> bool:
    """Whether a result is of work whose published result was withdrawn: that isn't undone."""
    return (
        before is not None
        and before.withdrawal is not None
        and regrading_reasons.same_work(before, after)
    )


def _order(move: GradeChange) -> tuple[int, float, str]:
    change = 0.0
    if move.before and move.after:
        change = -abs(_share(move.after) - _share(move.before))
    return (("down", "up", "new", "same", "left").index(move.way), change, move.student)


def _way(spec: ChallengeSpec, before: Result, after: Result) -> Direction:
    gain = _share(after) - _share(before)
    if math.isclose(gain, 0, abs_tol=1e-9):
        gain = _level(spec, after.tier) - _level(spec, before.tier)
    return "same" if gain == 0 else "up" if gain > 0 else "down"


def _share(result: Result) -> float:
    return (result.points or 0.0) / (result.max_points or 1.0)


def _level(spec: ChallengeSpec, tier: str) -> int:
    """How hard a tier is; 0 for none, and for one that today's challenge doesn't have."""
    names = [tier.name for tier in spec.tiers]
    return names.index(tier) + 1 if tier in names else 0
