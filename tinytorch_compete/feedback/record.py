"""What comes back to a student as figures: a line inside the feedback that a program can read."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tinytorch_compete.model import MIB, Result

# A comment, which neither a notebook nor a page shows; base64, so that it is the same in both.
MARK = re.compile(rb"<!-- tinytorch-compete ([A-Za-z0-9+/=]{1,20000}) -->")
MAX_MIB = 64


class ResultRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The part of a result that is its student's business; units as in ``Result``.

    ``note`` is what there is to say of the student's team.
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
    """The comment that stands for a result, ``handle`` the student's name on the leaderboard."""
    made = ResultRecord(
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
    return f"<!-- tinytorch-compete {base64.b64encode(msgspec.json.encode(made)).decode()} -->"


def read(path: Path) -> ResultRecord | None:
    """The result that a feedback file tells of; ``None`` if it is none, or tells of none."""
    try:
        if path.stat().st_size > MAX_MIB * MIB or not (found := MARK.search(path.read_bytes())):
            return None
        return msgspec.json.decode(base64.b64decode(found[1]), type=ResultRecord)
    except (OSError, ValueError, RecursionError, binascii.Error, msgspec.MsgspecError):
        return None


def history(folder: Path, slug: str) -> list[tuple[Path, ResultRecord]]:
    """All results for a challenge that feedback below a folder tells of, what was sent last, last.

    So a team's newest result stands last with each member, whenever their own was graded.
    """
    paths = sorted([*folder.rglob("*.ipynb"), *folder.rglob("*.html")])
    told = [(path, found) for path in paths if (found := read(path)) and found.challenge == slug]
    return sorted(told, key=lambda item: (_sent(item[1]), item[1].graded_at))


def _sent(told: ResultRecord) -> dt.datetime:
    return told.submitted_at or told.graded_at
