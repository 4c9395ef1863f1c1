"""The facts of a challenge, as ``challenge.toml`` states them."""

from __future__ import annotations

import datetime as dt
import math
from typing import Literal

import msgspec

MIB = 1024 * 1024


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The resources that a run may use; the network is always off.

    ``memory_mib`` is counted for the whole process tree on top of the idle kernel with numpy
    imported, ``processes`` counts processes and threads on top of its own. ``disk_mib`` bounds each
    of the scratch folders and each file; ``wall_s`` is for all cells together, without the start of
    the kernel.
    """

    memory_mib: int
    wall_s: float
    processes: int = 32
    disk_mib: int = 64
    threads: int = 1

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not 0 < getattr(self, name) < math.inf:  # NaN fails both comparisons
                raise ValueError(f"{name} must be positive and finite")


class Metric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A declared figure: its name, its unit and which direction is better.

    Ratios live on the ``log`` scale. ``resolution`` is the smallest standard deviation between runs
    that is taken as real: in the metric's unit, or relative on the ``log`` scale.
    """

    name: str
    unit: str
    direction: Literal["higher", "lower"]
    scale: Literal["linear", "log"] = "linear"
    resolution: float = 0.0

    @property
    def sign(self) -> int:
        """The factor that turns a value into one of which less is better."""
        return -1 if self.direction == "higher" else 1


class Requirement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A metric that must be ``at`` or better; results that miss it rank after all others."""

    metric: str
    at: float


class Tier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A level of the ladder, reached when the first rank metric is ``at`` or better.

    A run that reaches it with less than ``least_cpu_s`` of CPU time is flagged for manual review; 0
    where nothing has to be trained.
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
    """When submissions are accepted, as TOML date-times; each end may be left open.

    A date-time without a zone is in UTC. ``per_day`` is how many of the submissions that a student
    or team sends on one day, in UTC, are graded; ``None`` sets no limit.
    """

    opens: dt.datetime | None = None
    closes: dt.datetime | None = None
    per_day: int | None = None

    def __post_init__(self) -> None:
        if self.per_day is not None and self.per_day < 1:
            raise ValueError("dates.per_day must be positive")


class ChallengeSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The facts of one challenge, as ``challenge.toml`` states them.

    ``datasets`` is in order of preference: the first is the default. ``rank`` names the metrics in
    the order in which they decide. ``tiers`` go from the easiest to the hardest. Each submission is
    run ``seeds`` times, each time with another secret seed: at least two for a confidence interval,
    five for meaningful ranks. ``team_size`` is how many students a team may have; 1 allows no
    teams.
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
        references = {"rank": self.rank, "requires": [needed.metric for needed in self.requires]}
        for key, metrics in references.items():
            if unknown := [name for name in metrics if name not in names]:
                raise ValueError(f"{key} names {', '.join(unknown)}, which metrics doesn't declare")
        if times := [name for name in self.rank if self.metric(name).unit == "s"]:
            raise ValueError(
                f"rank names {times[0]}, but seconds differ from machine to machine: "
                "rank by a ratio to the reference"
            )
        if self.seeds < 1:
            raise ValueError("seeds must be positive")
        if self.team_size < 1:
            raise ValueError("team_size must be positive")
        if not all(math.isfinite(tier.at) for tier in self.tiers):
            raise ValueError("tiers must begin at a finite figure")
        falling = self.metric(self.rank[0]).direction == "lower"
        if [t.at for t in self.tiers] != sorted((t.at for t in self.tiers), reverse=falling):
            raise ValueError("tiers must go from the easiest to the hardest")
        caps = [division.peak_mib for division in self.divisions]
        if caps != sorted(caps) or (caps and caps[-1] > self.limits.memory_mib):
            raise ValueError("divisions must grow, and end at or below limits.memory_mib")

    def metric(self, name: str) -> Metric:
        """Return the declared metric of that name; raises ``KeyError`` if there is none."""
        return {metric.name: metric for metric in self.metrics}[name]
