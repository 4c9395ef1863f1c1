"""Decide by a challenge's dates and quota which submissions are graded."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

import msgspec

from tinytorch_compete.model import Dates, Result
from tinytorch_compete.participants.roster import NEVER, Roster
from tinytorch_compete.submissions.snapshot import Snapshot
from tinytorch_compete.util.times import in_utc, shown


class Admission(msgspec.Struct, frozen=True):
    """The submissions that are graded, and those that aren't, each with the reason.

    ``undated`` are the students whose submission has no known time, where the challenge needs one;
    their submissions are admitted.
    """

    admitted: tuple[Snapshot, ...]
    refused: tuple[tuple[Snapshot, str], ...]
    undated: tuple[str, ...]


class _Accepted(msgspec.Struct, frozen=True):
    """A submission that was or will be graded: its student, its time and its files' sha256."""

    student: str
    sent_at: dt.datetime | None
    sha: str


def refusal(dates: Dates, sent_at: dt.datetime, earlier: int) -> str:
    """Return why a submission isn't graded; empty if it is.

    ``earlier`` is the number of submissions accepted on the same day, in UTC. Dates without a time
    zone are in UTC.
    """
    if dates.opens and sent_at < in_utc(dates.opens):
        return f"sent {shown(sent_at)}, before the challenge opens: {shown(dates.opens)}"
    if dates.closes and sent_at > in_utc(dates.closes):
        return f"sent {shown(sent_at)}, after the challenge closed: {shown(dates.closes)}"
    if dates.per_day and earlier >= dates.per_day:
        day = in_utc(sent_at).date()
        return f"{earlier} were already accepted on {day} (UTC); the limit is {dates.per_day} a day"
    return ""


def admit(
    dates: Dates, snapshots: Sequence[Snapshot], history: Sequence[Result], roster: Roster
) -> Admission:
    """Divide submissions into those that are graded and those that aren't, in their order.

    The quota counts graded submissions: one that was replaced before it was graded costs nothing,
    and neither does grading the same files again. A team has one quota; of the submissions that
    wait together, those sent first use it up.
    """
    reasons: dict[str, str] = {}
    undated: list[str] = []
    accepted = {
        _Accepted(r.identity.student, r.submitted_at, r.identity.submission_sha) for r in history
    }
    for snapshot in sorted(snapshots, key=lambda each: (each.sent_at or NEVER, each.student)):
        student, sent_at = snapshot.student, snapshot.sent_at
        if sent_at is None:
            undated += [student] if dates != Dates() else []
            continue
        # Without a digest it costs no quota; grading it says what is wrong.
        own = _Accepted(student, sent_at, "" if snapshot.problem else snapshot.sha)
        if reason := refusal(dates, sent_at, _earlier(own, accepted, roster)):
            reasons[student] = reason
        else:
            accepted.add(own)
    return Admission(
        tuple(each for each in snapshots if each.student not in reasons),
        tuple((each, reasons[each.student]) for each in snapshots if each.student in reasons),
        tuple(sorted(undated)),
    )


def _earlier(own: _Accepted, accepted: Collection[_Accepted], roster: Roster) -> int:
    """Count the other submissions accepted on the same day, of the student and all teammates.

    For a submission that was itself accepted before, it is 0: teammates who joined since don't
    push it over the quota.
    """
    if not own.sha or own.sent_at is None or own in accepted:
        return 0
    side, day = roster.side(own.student), in_utc(own.sent_at).date()
    same_day = {
        (other.student, other.sha)
        for other in accepted
        if other.student in side and other.sent_at and in_utc(other.sent_at).date() == day
    }
    return len(same_day - {(own.student, own.sha)})
