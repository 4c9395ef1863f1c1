"""Dates as people read them and as they are compared."""

from __future__ import annotations

import datetime as dt


def in_utc(time: dt.datetime) -> dt.datetime:
    """A time in UTC; one without a zone is taken for UTC."""
    return time.replace(tzinfo=time.tzinfo or dt.UTC).astimezone(dt.UTC)


def shown(time: dt.datetime) -> str:
    """A time for people, such as ``2026-03-01 23:59 UTC``."""
    return f"{in_utc(time):%Y-%m-%d %H:%M} UTC"
