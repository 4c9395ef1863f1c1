"""Which suggestions come first, in how few words, and which change is the smallest."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from tinytorch_compete import insights
from tinytorch_compete.insights import gain
from tinytorch_compete.model import FixTrial, Insight, Profile, Verdict
from tinytorch_compete.profiling import view

AT_FIRST = 3


def ordered(found: Iterable[Insight], verdict: Verdict = Verdict.OK) -> tuple[Insight, ...]:
    """Those that were tried by the gain that was measured, largest first; then the others.

    Where the run was stopped, of those what stopped it comes first, and learning last.
    """
    found = list(found)
    tried = [(gain(insight.trial), insight) for insight in found if insight.trial]
    best = sorted(tried, key=lambda pair: -pair[0])
    others = sorted((i for i in found if i.trial is None), key=lambda i: _later(i.name, verdict))
    return (*(insight for _, insight in best), *others)


def _later(name: str, verdict: Verdict) -> int:
    """How far behind the others a kind of finding stands, after a run with that verdict."""
    if verdict not in (Verdict.OVER_MEMORY, Verdict.OVER_TIME):
        return 0
    if name in insights.ABOUT_LEARNING:
        return 2
    return int(verdict == Verdict.OVER_MEMORY and name not in insights.ABOUT_MEMORY)


def candidates(
    found: Sequence[Insight], sources: Mapping[str, str], most: int
) -> list[tuple[Insight, str]]:
    """The first ``most`` that can be changed mechanically, each with its changed source."""
    rewritten = ((insight, insights.rewrite(sources[insight.source], insight)) for insight in found)
    changeable = ((insight, source) for insight, source in rewritten if source is not None)
    return list(itertools.islice(changeable, most))


def lowest(one: FixTrial, other: FixTrial) -> FixTrial:
    """Two trials of one change as one: what costs the least is the least disturbed."""
    return FixTrial(
        min(one.seconds_before, other.seconds_before),
        min(one.seconds_after, other.seconds_after),
        min(one.peak_mib_before, other.peak_mib_before),
        min(one.peak_mib_after, other.peak_mib_after),
        one.same and other.same,
    )


def smallest_first(found: Iterable[Insight]) -> list[Insight]:
    """Those with a diff by how many lines it adds or takes away."""
    return sorted((i for i in found if i.diff), key=lambda insight: _size(insight.diff))


def where(insight: Insight) -> str:
    """The place in words: its source and lines."""
    numbers = ", ".join(str(number) for number in insight.lines[:6])
    more = " …" if len(insight.lines) > 6 else ""
    lines = "line" if len(insight.lines) == 1 else "lines"
    return f"{view.title(insight.source)}, {lines} {numbers}{more}"


def gained(trial: FixTrial) -> str:
    """What a trial saved beyond noise in words, such as ``peak 412 → 258 MiB, same answers``."""
    peak = f"peak {trial.peak_mib_before:.0f} → {trial.peak_mib_after:.0f} MiB"
    cpu = f"CPU time {view.seconds(trial.seconds_before)} → {view.seconds(trial.seconds_after)}"
    worth = [peak] if insights.saves_memory(trial) else []
    worth += [cpu] if insights.saves_time(trial) else []
    return ", ".join([*worth, "same answers"])


def largest(profile: Profile, count: int) -> list[tuple[str, view.Row]]:
    """The lines with the largest peaks, largest first, with their source's name."""
    least = max(1.0, view.HOT * view.whole(profile).peak_mib)
    rows = [pair for pair in view.rows(profile) if pair[1].peak_mib >= least]
    return sorted(rows, key=lambda pair: -pair[1].peak_mib)[:count]


def _size(diff: str) -> int:
    lines = diff.split("\n")[2:]
    return sum(line[:1] in ("+", "-") for line in lines)
