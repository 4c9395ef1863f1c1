"""The nouns of the project, as frozen data; units are in the names, 1 MiB is 1024 * 1024 bytes."""

from __future__ import annotations

import datetime as dt
import enum
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

MIB = 1024 * 1024


class Verdict(enum.StrEnum):
    """How a run ended; all but ``FAULT`` are the student's, ``FAULT`` is ours and never scored."""

    OK = "OK"
    WRONG = "WRONG"
    ERROR = "ERROR"
    OVER_MEMORY = "OVER_MEMORY"
    OVER_TIME = "OVER_TIME"
    FAULT = "FAULT"


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a run may use; the network is always off.

    ``memory_mib`` is counted for the whole process tree on top of the idle kernel with numpy
    imported, ``processes`` are processes and threads on top of its own. ``disk_mib`` bounds each of
    the scratch folders and each file; ``wall_s`` is for all cells together, without the kernel's
    start.
    """

    memory_mib: int
    wall_s: float
    processes: int = 32
    disk_mib: int = 64
    threads: int = 1

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not 0 < getattr(self, name) < math.inf:  # not a number is neither
                raise ValueError(f"{name} must be positive and finite")


class Metric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A declared figure: its name, its unit and which direction is better.

    Ratios live on the ``log`` scale. ``resolution`` is the smallest standard deviation between runs
    that is believed: in the metric's unit, or relative on the ``log`` scale.
    """

    name: str
    unit: str
    direction: Literal["higher", "lower"]
    scale: Literal["linear", "log"] = "linear"
    resolution: float = 0.0

    @property
    def sign(self) -> int:
        """What to multiply a value by so that less is better."""
        return -1 if self.direction == "higher" else 1


class Requirement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a result must reach to be ranked before all that don't: a metric ``at`` or better."""

    metric: str
    at: float


class Tier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A level of the ladder, reached when the first rank metric is ``at`` or better.

    A run that reaches it with less than ``least_cpu_s`` is flagged for a person to look at; 0 where
    nothing has to be trained.
    """

    name: str
    at: float
    least_cpu_s: float = 0.0


class Division(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A class of competitors: those whose measured peak is at most ``peak_mib``."""

    name: str
    peak_mib: int


class DatasetChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A data set that the challenge can be run on, and the sizes of its splits."""

    name: str
    train: int
    public: int
    holdout: int


class Dates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When submissions are taken, as TOML date-times; each end may be left open.

    A date-time without a zone is in UTC. ``per_day`` is how many of a student's or team's works are
    graded that were sent on one day, in UTC; ``None`` sets no bound.
    """

    opens: dt.datetime | None = None
    closes: dt.datetime | None = None
    per_day: int | None = None

    def __post_init__(self) -> None:
        if self.per_day is not None and self.per_day < 1:
            raise ValueError("dates.per_day must be positive")


class Challenge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The facts of one challenge, as ``challenge.toml`` states them.

    ``datasets`` is in order of preference: the first is the default. ``rank`` names the metrics in
    the order in which they decide. ``tiers`` go from the easiest to the hardest. Each submission is
    run ``seeds`` times, each time with another secret seed: two at least for an interval, five for
    ranks that say something. ``team_size`` students may compete as one; 1 allows no teams.
    """

    title: str
    summary: str
    category: Literal["accuracy", "performance", "systems", "innovation"]
    version: int
    datasets: tuple[DatasetChoice, ...]
    limits: Limits
    metrics: tuple[Metric, ...]
    rank: tuple[str, ...]
    tiers: tuple[Tier, ...]
    seeds: int = 1
    requires: tuple[Requirement, ...] = ()
    aliases: tuple[str, ...] = ()
    divisions: tuple[Division, ...] = ()
    dates: Dates = Dates()
    team_size: int = 4

    def __post_init__(self) -> None:
        names = [metric.name for metric in self.metrics]
        if not (self.datasets and self.rank and self.tiers):
            raise ValueError("datasets, rank and tiers need at least one entry each")
        named = {"rank": self.rank, "requires": [needed.metric for needed in self.requires]}
        for key, wanted in named.items():
            if unknown := [name for name in wanted if name not in names]:
                raise ValueError(f"{key} names {', '.join(unknown)}, which metrics doesn't declare")
        if raw := [name for name in self.rank if self.metric(name).unit == "s"]:
            raise ValueError(
                f"rank names {raw[0]}, but seconds differ from machine to machine: "
                "rank by a ratio to the reference"
            )
        if self.seeds < 1:
            raise ValueError("seeds must be positive")
        if self.team_size < 1:
            raise ValueError("team_size must be positive")
        if not all(math.isfinite(tier.at) for tier in self.tiers):
            raise ValueError("tiers must be reached at a finite figure")
        falling = self.metric(self.rank[0]).direction == "lower"
        if [t.at for t in self.tiers] != sorted((t.at for t in self.tiers), reverse=falling):
            raise ValueError("tiers must go from the easiest to the hardest")
        caps = [division.peak_mib for division in self.divisions]
        if caps != sorted(caps) or (caps and caps[-1] > self.limits.memory_mib):
            raise ValueError("divisions must grow, and end at or below limits.memory_mib")

    def metric(self, name: str) -> Metric:
        """The declared metric of that name; raises ``KeyError`` for an undeclared one."""
        return {metric.name: metric for metric in self.metrics}[name]


class Inputs(msgspec.Struct, frozen=True):
    """What a probe is handed: arrays as read-only memory-mapped files, and small JSON values."""

    arrays: Mapping[str, Any] = {}
    values: Mapping[str, Any] = {}


class Timed(msgspec.Struct, frozen=True):
    """What a timed probe is handed: ``make(i)`` gives the inputs of question ``i``, each new.

    Question ``i`` is the same for the student and for the reference, and takes the reference some
    20 ms or more. The grader asks as many questions as its own measurements call for.
    """

    make: Callable[[int], Inputs]


class Cost(msgspec.Struct, frozen=True):
    """What one question cost, from the release of its inputs to the last byte of the answer.

    ``cpu_s`` is that of the whole process tree since its previous answer; ``instructions`` are
    those that it retired in user mode, ``None`` where they can't be counted. ``whole`` says that no
    process can have ended with CPU seconds that nobody saw.
    """

    wall_s: float
    cpu_s: float
    instructions: int | None = None
    whole: bool = True


class Round(msgspec.Struct, frozen=True):
    """One question to both: the student's arrays, what they cost, and what the reference's did."""

    question: int
    arrays: Mapping[str, Any]
    own: Cost
    reference: Cost


class Answer(msgspec.Struct, frozen=True):
    """What one probe sent back: raw arrays, and how long they took by the grader's clock.

    ``wall_s`` runs from the release of the inputs to the last byte of the answer. ``problem`` says
    why there is no answer, and is empty if it came whole. A timed probe's answers are in
    ``rounds``, and ``flags`` say of them what a person should look at.
    """

    arrays: Mapping[str, Any] = {}
    wall_s: float = 0.0
    problem: str = ""
    rounds: tuple[Round, ...] = ()
    flags: tuple[str, ...] = ()


class Evidence(msgspec.Struct, frozen=True):
    """All that left the box and that a judge may look at."""

    answers: Mapping[str, Answer]
    peak_mib: float


class CellRun(msgspec.Struct, frozen=True):
    """How one cell of the assembled notebook ended; ``status`` is ``None`` if it never ran."""

    grade_id: str
    status: Verdict | None
    wall_s: float = 0.0
    message: str = ""


class Run(msgspec.Struct, frozen=True):
    """The facts of one execution, as seen from outside the box.

    ``peak_mib`` is the tree's highest use above ``baseline_mib``, the idle kernel's.
    ``notebook`` is the executed copy (a notebook as nested dictionaries). ``layers`` names what
    held the limits. ``noise`` is how quiet the machine was, see ``sandbox.noise``.
    ``flags`` say what a person should look at, for staff alone.
    ``timeline`` is seconds since the first cell and the tree's MiB above the
    baseline, at up to 50 looks a second.
    """

    verdict: Verdict
    message: str
    cells: tuple[CellRun, ...]
    answers: Mapping[str, Answer]
    wall_s: float
    cpu_s: float
    peak_mib: float
    baseline_mib: float
    layers: tuple[str, ...]
    notebook: Any = None
    noise: Mapping[str, float] = {}
    flags: tuple[str, ...] = ()
    timeline: tuple[tuple[float, float], ...] = ()


class CellJudgement(msgspec.Struct, frozen=True):
    """What a judge says of one grading cell: a score from 0 to 1 and a sentence for the student."""

    score: float
    message: str


class Judgement(msgspec.Struct, frozen=True):
    """A judge's word on one run: a judgement per grading cell, and the metrics."""

    cells: Mapping[str, CellJudgement]
    metrics: Mapping[str, float] = {}


class CellResult(msgspec.Struct, frozen=True):
    """Points of one grading cell, with the sentence that explains them."""

    grade_id: str
    points: float
    max_points: float
    message: str


class Identity(msgspec.Struct, frozen=True):
    """What was graded under what: two results with equal identities are the same work.

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
    """A later finding that a result doesn't count: whose it was, why, and when that was said.

    ``digest`` is that of the result's row in the store.
    """

    identity: Identity
    digest: str
    reason: str
    withdrawn_at: dt.datetime


class Result(msgspec.Struct, frozen=True):
    """One graded submission: a row of the results table. ``points`` is ``None`` for a fault.

    A submission was run ``runs`` times, with another secret seed each time. ``samples`` has each
    figure's raw values, one a run that gave it; ``metrics`` their means, geometric ones for ratios.
    Times are sums over the runs, the peak is the highest.

    ``flags`` are sentences on what a person should look at. They are for staff alone and change
    nothing else. ``submitted_at`` and ``handle``, a name that was chosen for the
    leaderboard, are what the submission says of itself, if it does.
    ``withdrawal`` is what was found later; it is a row of its own in the store, never
    part of this. ``findings`` are the kinds of insight that the code gave, in the order of their
    names, ``None`` if nobody looked; they change nothing else.
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
