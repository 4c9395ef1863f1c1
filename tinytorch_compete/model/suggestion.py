"""Findings, fixes that were tried, and advice on one submission, as frozen data."""

from __future__ import annotations

from typing import Literal

import msgspec

from tinytorch_compete.model.profile import Profile


class Autopsy(msgspec.Struct, frozen=True):
    """The memory that a run would have needed, had the cap not stopped it.

    ``reached`` is the id of the cell in which it was stopped, empty if that isn't known.
    ``need_mib`` is the peak of the same code with more memory; with ``more`` that was too little
    as well, and the need is above it; 0 where the machine had no more. ``fits`` is the smallest
    change with which the code ran to its end within ``cap_mib``; ``helped`` is how many of the
    changes that were tried helped.
    """

    reached: str
    cap_mib: int
    need_mib: float
    more: bool
    helped: int = 0
    fits: Insight | None = None


class Advice(msgspec.Struct, frozen=True):
    """A profile of the submission, and suggestions: those that helped when tried come first.

    ``reasons`` say why the hottest lines cost what they cost, where the machine was measured.
    ``note`` says in one line why the advice is incomplete, and is empty otherwise.
    """

    profile: Profile | None = None
    insights: tuple[Insight, ...] = ()
    autopsy: Autopsy | None = None
    note: str = ""
    reasons: tuple[Reason, ...] = ()


class FixTrial(msgspec.Struct, frozen=True):
    """A change that was applied to a copy and run, with the costs before and after.

    ``same`` says whether the answers were equal within tolerance.
    """

    seconds_before: float
    seconds_after: float
    peak_mib_before: float
    peak_mib_after: float
    same: bool


class Insight(msgspec.Struct, frozen=True):
    """A finding about lines of one source, from a mild hint to the answer.

    ``look`` says what to look at, ``why`` what happens there and why it costs, ``change`` what to
    do. ``guide`` names the guide's section about it. ``diff`` is the change as a unified diff where
    it can be made mechanically, and ``trial`` what it gained; ``None`` means not tried.
    """

    name: str
    source: str
    lines: tuple[int, ...]
    look: str
    why: str
    change: str
    guide: str
    diff: str = ""
    trial: FixTrial | None = None


Kind = Literal["call-overhead-bound", "memory-bound", "compute-bound", "below the roof"]


class Reason(msgspec.Struct, frozen=True):
    """Why a line costs what it costs; ``source`` and ``line`` as in ``LineCost``."""

    source: str
    line: int
    kind: Kind
    words: str
