"""Cross-checks of one clock by another: CPU seconds that hide from wall time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from tinytorch_compete.model import Cost, Round

# The ratio by which the shares of wall time in which student and reference had a core may differ.
ELSEWHERE = 1.5
LEAST_SHARE = 0.75


def vouched(rounds: Sequence[Round]) -> list[Round]:
    """The rounds with CPU seconds that can be trusted.

    Without a control group the seconds of a process that ended unseen are lost, and work can be
    hidden that way. Take the rounds in which a process can have ended so, and the core time that
    their wall time must have had by the share that the reference got in them. Where together they
    show less than ``LEAST_SHARE`` of it, each counts for its wall time at the reference's share, or
    more: that leaves no room for hidden work.
    """
    doubtful = [r for r in rounds if not r.own.whole]
    if not doubtful:
        return list(rounds)
    own, theirs = core_share(r.own for r in doubtful), core_share(r.reference for r in doubtful)
    if own >= LEAST_SHARE * theirs:
        return list(rounds)
    return [r if r.own.whole else _at_share(r, theirs) for r in rounds]


def _at_share(round_: Round, share: float) -> Round:
    """A round that counts for no less than its wall time at a share of a core."""
    own = round_.own
    own = msgspec.structs.replace(own, cpu_s=max(own.cpu_s, own.wall_s * share))
    return msgspec.structs.replace(round_, own=own)


def clock_flags(rounds: Sequence[Round]) -> list[str]:
    """Flag timed answers whose clocks disagree; empty if they agree.

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
    costs = list(costs)
    return math.fsum(cost.cpu_s for cost in costs) / math.fsum(cost.wall_s for cost in costs)
