"""Select suggestions: their order, the changes to try, and a short description of each."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from tinytorch_compete import insights
from tinytorch_compete.insights import gain
from tinytorch_compete.model import FixTrial, Insight, Profile, Verdict
from tinytorch_compete.profiling import view

AT_FIRST = 3


def ordered(unordered: Iterable[Insight], verdict: Verdict = Verdict.OK) -> tuple[Insight, ...]:
    """Order insights: those that were tried by their measured gain, largest first; then the rest.

    If the run was stopped, the rest begins with insights about what stopped it and ends with those
    about learning.
    """
    unordered = list(unordered)
    tried = [(gain(insight.trial), insight) for insight in unordered if insight.trial]
    best = sorted(tried, key=lambda pair: -pair[0])
    untried = [insight for insight in unordered if insight.trial is None]
    rest = sorted(untried, key=lambda insight: _rank(insight.name, verdict))
    return (*(insight for _, insight in best), *rest)


def _rank(name: str, verdict: Verdict) -> int:
    """The place of a kind of insight among those not tried, after a run with that verdict."""
    if verdict not in (Verdict.OVER_MEMORY, Verdict.OVER_TIME):
        return 0
    if name in insights.ABOUT_LEARNING:
        return 2
    return int(verdict == Verdict.OVER_MEMORY and name not in insights.ABOUT_MEMORY)


def candidates(
    ordered_insights: Sequence[Insight], sources: Mapping[str, str], most: int
) -> list[tuple[Insight, str]]:
    """Return the first ``most`` insights with a mechanical change, each with its changed source."""
    rewritten = (
        (insight, insights.rewrite(sources[insight.source], insight))
        for insight in ordered_insights
    )
    changeable = ((insight, source) for insight, source in rewritten if source is not None)
    return list(itertools.islice(changeable, most))


def lowest(one: FixTrial, other: FixTrial) -> FixTrial:
    """Merge two trials of one change: the lowest figures are the least disturbed by noise."""
    return FixTrial(
        min(one.seconds_before, other.seconds_before),
        min(one.seconds_after, other.seconds_after),
        min(one.peak_mib_before, other.peak_mib_before),
        min(one.peak_mib_after, other.peak_mib_after),
        one.same and other.same,
    )


def smallest_first(candidates: Iterable[Insight]) -> list[Insight]:
    """Order the insights that have a diff by the number of lines that it adds or removes."""
    return sorted((i for i in candidates if i.diff), key=lambda insight: _size(insight.diff))


def where(insight: Insight) -> str:
    """Name the source and the lines of an insight."""
    numbers = ", ".join(str(number) for number in insight.lines[:6])
    more = " …" if len(insight.lines) > 6 else ""
    lines = "line" if len(insight.lines) == 1 else "lines"
    return f"{view.title(insight.source)}, {lines} {numbers}{more}"


def gained(trial: FixTrial) -> str:
    """Describe what a trial saved beyond noise, such as ``peak 412 → 258 MiB, same answers``."""
    peak = f"peak {trial.peak_mib_before:.0f} → {trial.peak_mib_after:.0f} MiB"
    cpu = f"CPU time {view.seconds(trial.seconds_before)} → {view.seconds(trial.seconds_after)}"
    gains = [peak] if insights.saves_memory(trial) else []
    gains += [cpu] if insights.saves_time(trial) else []
    return ", ".join([*gains, "same answers"])


def largest(profile: Profile, count: int) -> list[tuple[str, view.Row]]:
    """Return the lines with the largest peaks, largest first, with their source's name."""
    least_mib = max(1.0, view.HOT * view.whole(profile).peak_mib)
    rows = [pair for pair in view.rows(profile) if pair[1].peak_mib >= least_mib]
    return sorted(rows, key=lambda pair: -pair[1].peak_mib)[:count]


def _size(diff: str) -> int:
    lines = diff.split("\n")[2:]
    return sum(line[:1] in ("+", "-") for line in lines)
