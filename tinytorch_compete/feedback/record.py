"""Record a result's figures in the feedback, in a line that a program can read."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tinytorch_compete.model import MIB, Result

# A comment, which is visible in neither notebooks nor pages; in base64 it is the same in both.
MARK = re.compile(rb"<!-- tinytorch-compete ([A-Za-z0-9+/=]{1,20000}) -->")
MAX_MIB = 64


class ResultRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The part of a result that its student may see; units as in ``Result``.

    ``note`` is about the student's team.
    """

    challenge: str
    verdict: str
    message: str
    points: float | None
    max_points: float
    tier: str
    division: str
    metrics: Mapping[str, float]
    peak_mib: float
    wall_s: float
    runs: int
    cells: tuple[tuple[str, float, float], ...]
    graded_at: dt.datetime
    submitted_at: dt.datetime | None
    final: bool
    handle: str
    note: str = ""


def line(result: Result, handle: str, note: str = "") -> str:
    """Return the comment that records a result; ``handle`` is the student's leaderboard name."""
    record = ResultRecord(
        challenge=result.identity.challenge,
        verdict=str(result.verdict),
        message=result.message[:2000],
        points=result.points,
        max_points=result.max_points,
        tier=result.tier,
        division=result.division,
        metrics=result.metrics,
        peak_mib=result.peak_mib,
        wall_s=result.wall_s,
        runs=result.runs,
        cells=tuple((cell.grade_id, cell.points, cell.max_points) for cell in result.cells),
        graded_at=result.graded_at,
        submitted_at=result.submitted_at,
        final=result.identity.final,
        handle=handle,
        note=note,
    )
    return f"<!-- tinytorch-compete {base64.b64encode(msgspec.json.encode(record)).decode()} -->"


def read(path: Path) -> ResultRecord | None:
    """Return the result recorded in a feedback file; ``None`` if there is none."""
    try:
        if path.stat().st_size > MAX_MIB * MIB or not (match := MARK.search(path.read_bytes())):
            return None
        return msgspec.json.decode(base64.b64decode(match[1]), type=ResultRecord)
    except (OSError, ValueError, RecursionError, binascii.Error, msgspec.MsgspecError):
        return None


def history(folder: Path, slug: str) -> list[tuple[Path, ResultRecord]]:
    """Return all results for a challenge recorded in feedback below a folder, by submission time.

    A team's newest result is thus the last one for each member, whenever their own was graded.
    """
    paths = sorted([*folder.rglob("*.ipynb"), *folder.rglob("*.html")])
    records = ((path, read(path)) for path in paths)
    matching = [(path, each) for path, each in records if each and each.challenge == slug]
    return sorted(matching, key=lambda item: (_sent(item[1]), item[1].graded_at))


def _sent(record: ResultRecord) -> dt.datetime:
    return record.submitted_at or record.graded_at
