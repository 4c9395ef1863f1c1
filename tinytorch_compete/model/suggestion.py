"""The advice on one submission, as frozen data."""

from __future__ import annotations

import msgspec

from tinytorch_compete.costs import Insight, Profile
from tinytorch_compete.profile.reasons import Reason


class Autopsy(msgspec.Struct, frozen=True):
    """What a run that the memory cap stopped would have needed.

    ``reached`` is the id of the cell in which it was stopped, empty if that isn't known.
    ``need_mib`` is the peak of the same code with more room; with ``more`` that room was too small
    as well, and the need is above it; 0 where the machine had no more room. ``fits`` is the
    smallest change under which the code was run to its end within ``cap_mib``; ``helped`` is how
    many changes were tried and helped.
    """

    reached: str
    cap_mib: int
    need_mib: float
    more: bool
    helped: int = 0
    fits: Insight | None = None


class Advice(msgspec.Struct, frozen=True):
    """A profile of the submission, and suggestions: those that were tried and helped come first.

    ``reasons`` say why the hottest lines cost what they cost, where the machine was measured.
    ``note`` says in one line why there is less than there could be, and is empty otherwise.
    """

    profile: Profile | None = None
    insights: tuple[Insight, ...] = ()
    autopsy: Autopsy | None = None
    note: str = ""
    reasons: tuple[Reason, ...] = ()
