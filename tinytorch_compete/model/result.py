"""Judgements, results, and the identity of graded work, as frozen data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import msgspec

from tinytorch_compete.model.challenge import Limits
from tinytorch_compete.model.run import Verdict


class CellJudgement(msgspec.Struct, frozen=True):
    """The judgement of one grading cell: a score from 0 to 1 and a sentence for the student."""

    score: float
    message: str


class Judgement(msgspec.Struct, frozen=True):
    """The judgement of one run: a judgement per grading cell, and the metrics."""

    cells: Mapping[str, CellJudgement]
    metrics: Mapping[str, float] = {}


class CellResult(msgspec.Struct, frozen=True):
    """Points of one grading cell, with the sentence that explains them."""

    grade_id: str
    points: float
    max_points: float
    message: str


class Identity(msgspec.Struct, frozen=True):
    """The work and the conditions of a grading: equal identities mean the same work.

    Each ``*_sha`` is a sha256 in hexadecimal; ``seed_sha`` stands for the secret seeds. ``final``
    work is graded with seeds that were used for nothing else before.
    """

    student: str
    challenge: str
    challenge_sha: str
    grader_sha: str
    submission_sha: str
    seed_sha: str
    dataset: str
    limits: Limits
    final: bool = False


class Withdrawal(msgspec.Struct, frozen=True):
    """A later decision that a result doesn't count: whose it was, why, and when that was decided.

    ``digest`` is that of the result's row in the store.
    """

    identity: Identity
    digest: str
    reason: str
    withdrawn_at: dt.datetime


class Result(msgspec.Struct, frozen=True):
    """One graded submission: a row of the results table. ``points`` is ``None`` for a fault.

    A submission was run ``runs`` times, with another secret seed each time. ``samples`` has each
    figure's raw values, one per run that gave it; ``metrics`` has their means, geometric for
    ratios. Times are sums over the runs, the peak is the highest.

    ``flags`` are sentences that ask for manual review. They are for staff alone and change nothing
    else. ``submitted_at`` and ``handle``, the name chosen for the leaderboard, are the submission's
    own statements, if it makes them. ``withdrawal`` was decided later; it is a row of its own in
    the store, never part of this row. ``findings`` are the kinds of insight found in the code,
    sorted by name, ``None`` if it wasn't inspected; they change nothing else.
    """

    identity: Identity
    verdict: Verdict
    message: str
    points: float | None
    max_points: float
    tier: str
    division: str
    metrics: Mapping[str, float]
    cells: tuple[CellResult, ...]
    wall_s: float
    cpu_s: float
    peak_mib: float
    baseline_mib: float
    layers: tuple[str, ...]
    versions: Mapping[str, str]
    files: Mapping[str, str]
    graded_at: dt.datetime
    runs: int = 1
    samples: Mapping[str, tuple[float, ...]] = {}
    noise: Mapping[str, float] = {}
    machine: str = ""
    withdrawal: Withdrawal | None = None
    flags: tuple[str, ...] = ()
    submitted_at: dt.datetime | None = None
    handle: str = ""
    findings: tuple[str, ...] | None = None
