"""Which submissions are taken: a challenge's dates and its quota, by when each one was sent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec

from tinytorch_compete import submission
from tinytorch_compete.errors import CompeteError
from tinytorch_compete.model import Dates, Result
from tinytorch_compete.submission import Submission


class Admission(msgspec.Struct, frozen=True):
    """The submissions that are graded, those that aren't and why, and whose time isn't known.

    ``undated`` are students whose submission says no time, where the challenge asks for one; they
    are among the admitted.
    """

    admitted: tuple[Submission, ...]
    refused: tuple[tuple[Submission, str], ...]
    undated: tuple[str, ...]


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


def admit(dates: Dates, works: Sequence[Submission], history: Sequence[Result]) -> Admission:
    """Sort submissions into those that are taken and those that aren't.

    The quota counts what was graded: a submission that another took the place of before anybody
    graded it cost nothing. Grading the same files again never does.
    """
    admitted, refused, undated = [], [], []
    for work in works:
        sent_at = submission.sent_at(work)
        why = "" if sent_at is None else refusal(dates, sent_at, _earlier(work, sent_at, history))
        if why:
            refused.append((work, why))
        else:
            admitted.append(work)
        if sent_at is None and dates != Dates():
            undated.append(work.student)
    return Admission(tuple(admitted), tuple(refused), tuple(undated))


def in_utc(time: dt.datetime) -> dt.datetime:
    """A time in UTC; one without a zone is taken for UTC."""
    return time.replace(tzinfo=time.tzinfo or dt.UTC).astimezone(dt.UTC)


def shown(time: dt.datetime) -> str:
    """A time for people, such as ``2026-03-01 23:59 UTC``."""
    return f"{in_utc(time):%Y-%m-%d %H:%M} UTC"


def _earlier(work: Submission, sent_at: dt.datetime, history: Sequence[Result]) -> int:
    """How many other submissions of the same day were graded for this student."""
    try:
        own = submission.digest(work.files())
    except CompeteError:  # grading it will say what is wrong
        return 0
    return len(
        {
            result.identity.submission_sha
            for result in history
            if result.identity.student == work.student
            and result.submitted_at
            and in_utc(result.submitted_at).date() == in_utc(sent_at).date()
        }
        - {own}
    )
