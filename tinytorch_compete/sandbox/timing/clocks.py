"""Cross-checks of one clock by another: CPU seconds that hide from wall time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from tinytorch_compete.model import Cost, Round

# How far the shares of wall time in which student and reference had a core may differ.
ELSEWHERE = 1.5
LEAST_SHARE = 0.75


def vouched(rounds: Sequence[Round], *, exact: bool) -> list[Round]:
    """The rounds with CPU seconds that can be believed.

    Without a control group the seconds of a process that ended unseen are lost, and that is how
    work can be hidden. Where the student's tree then shows less than ``LEAST_SHARE`` of the core
    time that its wall time must have had, by what the reference got in the same rounds, no round
    counts for less than its wall time at the reference's share: less than that can't be hidden.
    """
    own, theirs = core_share(r.own for r in rounds), core_share(r.reference for r in rounds)
    if exact or own >= LEAST_SHARE * theirs:
        return list(rounds)
    least = [max(r.own.cpu_s, r.own.wall_s * theirs) for r in rounds]
    costs = [msgspec.structs.replace(r.own, cpu_s=s) for r, s in zip(rounds, least, strict=True)]
    return [msgspec.structs.replace(r, own=cost) for r, cost in zip(rounds, costs, strict=True)]


def clock_flags(rounds: Sequence[Round]) -> list[str]:
    """What a reader should know of timed answers whose clocks disagree; empty if they agree.

    In the same lane, in turn, both get the core for the same share of the wall time. Clearly less
    CPU time than that is waiting, or work that was done elsewhere; clearly more is work on more
    cores than the lane has.
    """
    own, theirs = core_share(r.own for r in rounds), core_share(r.reference for r in rounds)
    if own > theirs * ELSEWHERE:
        return [f"used {own:.2f} cores while timed, the reference {theirs:.2f}"]
    if own < theirs / ELSEWHERE:
        return [f"worked in {own:.0%} of the time it was timed, the reference in {theirs:.0%}"]
    return []


def core_share(costs: Iterable[Cost]) -> float:
    """CPU seconds for each second of wall time."""
    found = list(costs)
    return math.fsum(cost.cpu_s for cost in found) / math.fsum(cost.wall_s for cost in found)
