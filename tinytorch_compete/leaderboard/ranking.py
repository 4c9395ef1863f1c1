"""Who stands where: order, tie groups and intervals by a challenge's rank rule."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from tinytorch_compete.model import ChallengeSpec, Metric, Result, Verdict
from tinytorch_compete.participants.pseudonyms import handle
from tinytorch_compete.results.figures import columns, declared, estimate_samples, samples_of
from tinytorch_compete.util import stats
from tinytorch_compete.util.stats import Estimate

Place = tuple[int, ...]


class Attempt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One graded submission that reached a tier, as it may be published: a handle, never a name.

    ``samples`` has each figure's raw values, one a run. ``day`` is when it was graded (UTC), where
    that is told at all, and nothing finer: a class is graded in the order of its names, so that the
    order of the handles would tell them. A ``withdrawn`` one keeps its place on the board and has
    no handle.
    """

    handle: str
    division: str
    tier: str
    samples: dict[str, tuple[float, ...]]
    day: dt.date | None = None
    withdrawn: bool = False


class Row(msgspec.Struct, frozen=True):
    """One line of a leaderboard.

    Rows of equal ``rank`` are tied: no test tells them from the first of their group. ``group``
    says how they came there: 0 or 1 for meeting all requirements or not, then the place of the tie
    group in each rank metric in turn. ``front`` says whether no other row is better in one
    figure and as good in all others. A ``withdrawn`` row has its rank alone.
    """

    division: str
    rank: int
    group: tuple[int, ...]
    handle: str
    tier: str
    meets: bool
    front: bool
    estimates: dict[str, Estimate]
    samples: dict[str, tuple[float, ...]]
    withdrawn: bool = False


class Record(msgspec.Struct, frozen=True):
    """The first day on which a tier was reached, and by whom."""

    tier: str
    day: dt.date
    handles: tuple[str, ...]


def published(spec: ChallengeSpec, results: Sequence[Result], secret: bytes) -> list[Attempt]:
    """What may be published of results: those that reached a tier, in the order of handles."""
    counted = [r for r in results if r.tier and r.verdict != Verdict.FAULT]
    chosen = {r.identity.student: r.handle for r in counted}  # the newest one's, for all
    found = [
        Attempt(
            handle=""
            if result.withdrawal
            else handle(result.identity.student, secret, chosen[result.identity.student]),
            division=result.division,
            tier=result.tier,
            day=result.graded_at.astimezone(dt.UTC).date(),
            samples={name: samples_of(result, name) for name in columns(spec)},
            withdrawn=result.withdrawal is not None,
        )
        for result in counted
    ]
    return sorted(found, key=lambda attempt: attempt.handle)


def board(spec: ChallengeSpec, attempts: Sequence[Attempt]) -> list[Row]:
    """The leaderboard: divisions in their order, the best first in each.

    ``attempts`` has each handle's newest one. In a challenge with divisions only those are ranked
    that fit one; what meets all requirements stands before what doesn't. The metrics named in
    ``rank`` decide in turn: a tie group ends at the first row that one of them tells from the
    group's own first row, by a paired t test over the secret seeds, with Holm's correction for all
    pairs of a metric and an equal part of the error rate for each metric (see ``inference``).
    """
    rows = []
    for name in [division.name for division in spec.divisions] or [""]:
        rivals = [attempt for attempt in attempts if attempt.division == name]
        counted = [attempt for attempt in rivals if not attempt.withdrawn]
        best = front(spec, [attempt.samples for attempt in counted], columns(spec))
        leading = {a.handle for a, leads in zip(counted, best, strict=True) if leads}
        rank = 1
        for path, group in _in_order(spec, rivals):
            rows += [_row(spec, a, rank, path, a.handle in leading) for a in group]
            rank += len(group)
    return rows


def records(spec: ChallengeSpec, history: Sequence[Attempt]) -> list[Record]:
    """Who reached each tier on the first day that anybody did, the easiest tier first.

    Attempts without a day set no record.
    """
    names = [tier.name for tier in spec.tiers]
    found = []
    for place, name in enumerate(names):
        live = [a for a in history if not a.withdrawn and names.index(a.tier) >= place]
        there = [(a.day, a.handle) for a in live if a.day is not None]
        if there:
            day = min(there)[0]
            first = sorted({handle for when, handle in there if when == day})
            found.append(Record(name, day, tuple(first)))
    return found


def front(
    spec: ChallengeSpec, rows: Sequence[Mapping[str, Sequence[float]]], names: Sequence[str]
) -> list[bool]:
    """Which rows of samples are on the Pareto front of the figures ``names``.

    On it is what no other row equals in all of them and betters in one, by the estimates alone.
    """
    metrics = [declared(spec, name) for name in names]
    keys = [tuple(_sort_key(row, metric) for metric in metrics) for row in rows]
    return [not any(_dominates(other, key) for other in keys) for key in keys]


def next_group(rows: Sequence[Row], mine: Row) -> Row | None:
    """The last row of the tie group before ``mine`` in its division; ``None`` if it leads."""
    before = [
        row
        for row in rows
        if row.division == mine.division and row.rank < mine.rank and not row.withdrawn
    ]
    return before[-1] if before else None


def separating(spec: ChallengeSpec, one: Row, other: Row) -> str:
    """The rank metric that put two rows of a division into different groups.

    Empty if they are tied, or if only one of them meets all requirements.
    """
    pairs = enumerate(zip(one.group, other.group, strict=False))
    depth = next((place for place, (a, b) in pairs if a != b), 0)
    return spec.rank[depth - 1] if depth else ""


def error_rate(spec: ChallengeSpec) -> float:
    """Each rank metric's equal part of ``inference.ALPHA`` (Bonferroni): a board keeps to it."""
    return stats.ALPHA / len(spec.rank)


def _in_order(
    spec: ChallengeSpec, attempts: Sequence[Attempt]
) -> Iterator[tuple[Place, list[Attempt]]]:
    """The tie groups, the best first; those that miss a requirement after all others."""
    groups: list[tuple[Place, list[Attempt]]] = [
        ((place,), [attempt for attempt in attempts if _meets(spec, attempt) == wanted])
        for place, wanted in enumerate((True, False))
    ]
    for name in spec.rank:
        groups = _split(spec, groups, spec.metric(name))
    yield from ((path, _by_estimates(spec, group)) for path, group in groups if group)


def _split(
    spec: ChallengeSpec, groups: Sequence[tuple[Place, list[Attempt]]], metric: Metric
) -> list[tuple[Place, list[Attempt]]]:
    """Split each group by one metric; the pairs of all groups are one family of tests.

    A group reaches down to the first row that is apart from the group's own first row.
    """
    ordered = [
        sorted(group, key=lambda attempt: _sort_key(attempt.samples, metric)) for _, group in groups
    ]
    rows = [[attempt.samples.get(metric.name, ()) for attempt in group] for group in ordered]
    found = []
    apart = stats.apart(rows, metric.scale, metric.resolution, error_rate(spec))
    for (path, _), group, told in zip(groups, ordered, apart, strict=True):
        starts = [0]
        for place in range(1, len(group)):
            if (starts[-1], place) in told:
                starts.append(place)
        ends = [*starts[1:], len(group)]
        for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
            found.append(((*path, number), group[start:end]))
    return found


def _by_estimates(spec: ChallengeSpec, attempts: Sequence[Attempt]) -> list[Attempt]:
    """A tie group in the order that a reader looks for, which decides nothing."""
    metrics = [spec.metric(name) for name in spec.rank]
    return sorted(attempts, key=lambda a: [_sort_key(a.samples, metric) for metric in metrics])


def _sort_key(samples: Mapping[str, Sequence[float]], metric: Metric) -> tuple[bool, float]:
    """Where samples stand in one metric; without a value, last."""
    found = estimate_samples(samples, metric)
    return (found is None, metric.sign * found.value if found else 0.0)


def _dominates(one: Sequence[tuple[bool, float]], other: Sequence[tuple[bool, float]]) -> bool:
    """Whether one row of sort keys is as good in all and better in one (Pareto)."""
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def _meets(spec: ChallengeSpec, attempt: Attempt) -> bool:
    for needed in spec.requires:
        metric = spec.metric(needed.metric)
        found = estimate_samples(attempt.samples, metric)
        if found is None or metric.sign * found.value > metric.sign * needed.at:
            return False
    return True


def _row(spec: ChallengeSpec, attempt: Attempt, rank: int, path: Place, leads: bool) -> Row:
    figures = {n: estimate_samples(attempt.samples, declared(spec, n)) for n in columns(spec)}
    made = Row(
        division=attempt.division,
        rank=rank,
        group=path,
        handle=attempt.handle,
        tier=attempt.tier,
        meets=_meets(spec, attempt),
        front=leads,
        estimates={name: found for name, found in figures.items() if found},
        samples=attempt.samples,
    )
    if not attempt.withdrawn:
        return made
    gone = {"handle": "", "tier": "", "front": False, "estimates": {}, "samples": {}}
    return msgspec.structs.replace(made, withdrawn=True, **gone)
