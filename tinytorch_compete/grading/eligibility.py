"""Which submissions are taken: a challenge's dates and its quota, by when each one was sent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

import msgspec

from tinytorch_compete.model import Dates, Result
from tinytorch_compete.participants.roster import NEVER, Roster
from tinytorch_compete.submissions.snapshot import Snapshot
from tinytorch_compete.util.times import in_utc, shown


class Admission(msgspec.Struct, frozen=True):
    """The submissions that are graded, those that aren't and why, and whose time isn't known.

    ``undated`` are students whose submission says no time, where the challenge asks for one; they
    are among the admitted.
    """

    admitted: tuple[Snapshot, ...]
    refused: tuple[tuple[Snapshot, str], ...]
    undated: tuple[str, ...]


class _Taken(msgspec.Struct, frozen=True):
    """Work that was graded or will be: whose, when it was sent, and a sha256 of its files."""

    student: str
    sent_at: dt.datetime | None
    sha: str


def refusal(dates: Dates, sent_at: dt.datetime, earlier: int) -> str:
    """Why a submission isn't taken; empty if it is. ``earlier`` ones were sent on that day, in UTC.

    Dates without a time zone are in UTC.
    """
    if dates.opens and sent_at < in_utc(dates.opens):
        return f"sent {shown(sent_at)}, before the challenge opens: {shown(dates.opens)}"
    if dates.closes and sent_at > in_utc(dates.closes):
        return f"sent {shown(sent_at)}, after the challenge closed: {shown(dates.closes)}"
    if dates.per_day and earlier >= dates.per_day:
        day = in_utc(sent_at).date()
        return f"{earlier} were taken on {day} (UTC) already, and {dates.per_day} a day are allowed"
    return ""


def admit(
    dates: Dates, snapshots: Sequence[Snapshot], history: Sequence[Result], roster: Roster
) -> Admission:
    """Sort submissions into those that are taken and those that aren't, in their order.

    The quota counts what was graded: a submission that another took the place of before anybody
    graded it cost nothing. Grading the same files again never does. A team has one quota; of those
    who wait together, the ones that were sent first use it up.
    """
    refused: dict[str, str] = {}
    undated: list[str] = []
    taken = {_Taken(r.identity.student, r.submitted_at, r.identity.submission_sha) for r in history}
    for snapshot in sorted(snapshots, key=lambda one: (one.sent_at or NEVER, one.student)):
        student, sent_at = snapshot.student, snapshot.sent_at
        if sent_at is None:
            undated += [student] if dates != Dates() else []
            continue
        # Without a digest it costs no quota; grading it will say what is wrong.
        own = _Taken(student, sent_at, "" if snapshot.problem else snapshot.sha)
        if why := refusal(dates, sent_at, _earlier(own, taken, roster)):
            refused[student] = why
        else:
            taken.add(own)
    return Admission(
        tuple(one for one in snapshots if one.student not in refused),
        tuple((one, refused[one.student]) for one in snapshots if one.student in refused),
        tuple(sorted(undated)),
    )


def _earlier(own: _Taken, taken: Collection[_Taken], roster: Roster) -> int:
    """How much other work of the same day was taken, of the student and all teammates.

    None for work that was taken itself: who joined a team since doesn't make it too much.
    """
    if not own.sha or own.sent_at is None or own in taken:
        return 0
    side, day = roster.side(own.student), in_utc(own.sent_at).date()
    same = {
        (one.student, one.sha)
        for one in taken
        if one.student in side and one.sent_at and in_utc(one.sent_at).date() == day
    }
    return len(same - {(own.student, own.sha)})
