"""Which submissions are taken: a challenge's dates and its quota, by when each one was sent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

import msgspec

from tinytorch_compete.errors import CompeteError
from tinytorch_compete.model import Dates, Result
from tinytorch_compete.participants.roster import NEVER, Roster
from tinytorch_compete.submissions import submission
from tinytorch_compete.submissions.submission import Submission
from tinytorch_compete.util.times import in_utc, shown


class Admission(msgspec.Struct, frozen=True):
    """The submissions that are graded, those that aren't and why, and whose time isn't known.

    ``undated`` are students whose submission says no time, where the challenge asks for one; they
    are among the admitted.
    """

    admitted: tuple[Submission, ...]
    refused: tuple[tuple[Submission, str], ...]
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
    dates: Dates, works: Sequence[Submission], history: Sequence[Result], roster: Roster
) -> Admission:
    """Sort submissions into those that are taken and those that aren't, in their order.

    The quota counts what was graded: a submission that another took the place of before anybody
    graded it cost nothing. Grading the same files again never does. A team has one quota; of those
    who wait together, the ones that were sent first use it up.
    """
    refused: dict[str, str] = {}
    undated: list[str] = []
    taken = {_Taken(r.identity.student, r.submitted_at, r.identity.submission_sha) for r in history}
    for sent_at, work in sorted(
        ((submission.sent_at(work), work) for work in works),
        key=lambda pair: (pair[0] or NEVER, pair[1].student),
    ):
        if sent_at is None:
            undated += [work.student] if dates != Dates() else []
            continue
        own = _Taken(work.student, sent_at, _digest(work))
        if why := refusal(dates, sent_at, _earlier(own, taken, roster)):
            refused[work.student] = why
        else:
            taken.add(own)
    return Admission(
        tuple(work for work in works if work.student not in refused),
        tuple((work, refused[work.student]) for work in works if work.student in refused),
        tuple(sorted(undated)),
    )


def _digest(work: Submission) -> str:
    try:
        return submission.digest(work.files())
    except CompeteError:  # grading it will say what is wrong
        return ""


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
