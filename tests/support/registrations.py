"""Fictitious registrations as sent with submissions, and results of the same hours."""

from __future__ import annotations

import datetime as dt

import msgspec

from support.results import result as stored
from tinytorch_compete.model import Result, Verdict
from tinytorch_compete.participants.registration import Registration
from tinytorch_compete.participants.roster import SubmittedRegistration

MONDAY = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)
SIZE = 3


def at(hours: float) -> dt.datetime:
    return MONDAY + dt.timedelta(hours=hours)


def registered(
    student: str, name: str = "", word: str = "open sesame", hours: float = 0, **more: object
) -> SubmittedRegistration:
    """A student's registration, as sent with a submission some hours after ``MONDAY``."""
    facts = {"team": name, "word": word if name else "", **more}
    who = msgspec.convert({"challenge": "mine", "dataset": "digits", **facts}, Registration)
    return SubmittedRegistration(student, who.shown(), at(hours))


def result_at(student: str, points: float, hours: float, verdict: Verdict = Verdict.OK) -> Result:
    return msgspec.structs.replace(
        stored(student),
        points=None if verdict == Verdict.FAULT else points,
        verdict=verdict,
        submitted_at=at(hours),
    )
