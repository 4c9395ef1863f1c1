"""Format times for people, and convert them to UTC for comparison."""

from __future__ import annotations

import datetime as dt


def in_utc(time: dt.datetime) -> dt.datetime:
    """Convert a time to UTC; a time without a zone is taken as UTC."""
    return time.replace(tzinfo=time.tzinfo or dt.UTC).astimezone(dt.UTC)


def shown(time: dt.datetime) -> str:
    """Format a time for people, such as ``2026-03-01 23:59 UTC``."""
    return f"{in_utc(time):%Y-%m-%d %H:%M} UTC"
