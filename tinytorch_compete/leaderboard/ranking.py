"""Rank submissions by a challenge's rank rule: order, tie groups, confidence intervals."""

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
    """One graded submission that reached a tier, as published: under a handle, never a name.

    ``samples`` has each figure's raw values, one per run. ``day`` is the day of grading (UTC), or
    ``None`` where it isn't published, and nothing finer: a class is graded in the order of its
    names, so times would reveal whose handle is whose. A ``withdrawn`` attempt keeps its place on
    the board and has no handle.
    """

    handle: str
    division: str
    tier: str
    samples: dict[str, tuple[float, ...]]
    day: dt.date | None = None
    withdrawn: bool = False


class Row(msgspec.Struct, frozen=True):
    """One row of a leaderboard.

    Rows of equal ``rank`` are tied: no test distinguishes them from the first of their group.
    ``group`` is the path to the tie group: 0 or 1 for meeting all requirements or not, then the
    place of the tie group in each rank metric in turn. ``front`` is true if no other row is better
    in one figure and as good in all others. A ``withdrawn`` row has only its rank.
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
    """Return the attempts to publish: the results that reached a tier, sorted by handle."""
    counted = [r for r in results if r.tier and r.verdict != Verdict.FAULT]
    chosen = {r.identity.student: r.handle for r in counted}  # the newest result's name, for all
    attempts = [
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
    return sorted(attempts, key=lambda attempt: attempt.handle)


def board(spec: ChallengeSpec, attempts: Sequence[Attempt]) -> list[Row]:
    """Return the leaderboard: divisions in their order, the best row of each first.

    ``attempts`` has each handle's newest attempt. In a challenge with divisions only attempts that
    fit one are ranked; those that meet all requirements come before those that don't. The metrics
    in ``rank`` decide in turn: a tie group ends at the first row that one of them distinguishes
    from the group's own first row, by a paired t test over the secret seeds, with Holm's correction
    for all pairs of a metric and an equal share of the error rate for each metric (see
    ``util.stats``).
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
    """List who reached each tier on the first day that anybody did, the easiest tier first.

    Attempts without a day set no record.
    """
    names = [tier.name for tier in spec.tiers]
    firsts = []
    for place, name in enumerate(names):
        live = [a for a in history if not a.withdrawn and names.index(a.tier) >= place]
        dated = [(a.day, a.handle) for a in live if a.day is not None]
        if dated:
            day = min(dated)[0]
            handles = sorted({handle for when, handle in dated if when == day})
            firsts.append(Record(name, day, tuple(handles)))
    return firsts


def front(
    spec: ChallengeSpec, rows: Sequence[Mapping[str, Sequence[float]]], names: Sequence[str]
) -> list[bool]:
    """Say for each row of samples whether it is on the Pareto front of the figures ``names``.

    A row is on it if no other row is as good in all of them and better in one, by the estimates
    alone.
    """
    metrics = [declared(spec, name) for name in names]
    keys = [tuple(_sort_key(row, metric) for metric in metrics) for row in rows]
    return [not any(_dominates(other, key) for other in keys) for key in keys]


def next_group(rows: Sequence[Row], mine: Row) -> Row | None:
    """Return the last row of the tie group before ``mine`` in its division, if there is one."""
    before = [
        row
        for row in rows
        if row.division == mine.division and row.rank < mine.rank and not row.withdrawn
    ]
    return before[-1] if before else None


def separating(spec: ChallengeSpec, row: Row, other: Row) -> str:
    """Return the rank metric that put two rows of a division into different groups.

    Empty if they are tied, or if only one of them meets all requirements.
    """
    pairs = enumerate(zip(row.group, other.group, strict=False))
    depth = next((place for place, (a, b) in pairs if a != b), 0)
    return spec.rank[depth - 1] if depth else ""


def error_rate(spec: ChallengeSpec) -> float:
    """Return each rank metric's equal share of ``stats.ALPHA``, the board's rate (Bonferroni)."""
    return stats.ALPHA / len(spec.rank)


def _in_order(
    spec: ChallengeSpec, attempts: Sequence[Attempt]
) -> Iterator[tuple[Place, list[Attempt]]]:
    """Yield the tie groups, the best first; groups that miss a requirement come last."""
    groups: list[tuple[Place, list[Attempt]]] = [
        ((place,), [attempt for attempt in attempts if _meets(spec, attempt) == meets])
        for place, meets in enumerate((True, False))
    ]
    for name in spec.rank:
        groups = _split(spec, groups, spec.metric(name))
    yield from ((path, _by_estimates(spec, group)) for path, group in groups if group)


def _split(
    spec: ChallengeSpec, groups: Sequence[tuple[Place, list[Attempt]]], metric: Metric
) -> list[tuple[Place, list[Attempt]]]:
    """Split each group by one metric; the pairs of all groups are one family of tests.

    A group extends down to the first row that is distinguishable from its own first row.
    """
    ordered = [
        sorted(group, key=lambda attempt: _sort_key(attempt.samples, metric)) for _, group in groups
    ]
    rows = [[attempt.samples.get(metric.name, ()) for attempt in group] for group in ordered]
    parts = []
    apart = stats.apart(rows, metric.scale, metric.resolution, error_rate(spec))
    for (path, _), group, pairs in zip(groups, ordered, apart, strict=True):
        starts = [0]
        for place in range(1, len(group)):
            if (starts[-1], place) in pairs:
                starts.append(place)
        ends = [*starts[1:], len(group)]
        for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
            parts.append(((*path, number), group[start:end]))
    return parts


def _by_estimates(spec: ChallengeSpec, attempts: Sequence[Attempt]) -> list[Attempt]:
    """Sort a tie group by its estimates, for the reader's sake: the order decides nothing."""
    metrics = [spec.metric(name) for name in spec.rank]
    return sorted(attempts, key=lambda a: [_sort_key(a.samples, metric) for metric in metrics])


def _sort_key(samples: Mapping[str, Sequence[float]], metric: Metric) -> tuple[bool, float]:
    """Return the sort key of samples in one metric; samples without a value sort last."""
    estimate = estimate_samples(samples, metric)
    return (estimate is None, metric.sign * estimate.value if estimate else 0.0)


def _dominates(keys: Sequence[tuple[bool, float]], others: Sequence[tuple[bool, float]]) -> bool:
    """Whether a row's sort keys are as good as another row's in all and better in one (Pareto)."""
    pairs = list(zip(keys, others, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def _meets(spec: ChallengeSpec, attempt: Attempt) -> bool:
    for requirement in spec.requires:
        metric = spec.metric(requirement.metric)
        estimate = estimate_samples(attempt.samples, metric)
        if estimate is None or metric.sign * estimate.value > metric.sign * requirement.at:
            return False
    return True


def _row(spec: ChallengeSpec, attempt: Attempt, rank: int, path: Place, leads: bool) -> Row:
    estimates = {n: estimate_samples(attempt.samples, declared(spec, n)) for n in columns(spec)}
    row = Row(
        division=attempt.division,
        rank=rank,
        group=path,
        handle=attempt.handle,
        tier=attempt.tier,
        meets=_meets(spec, attempt),
        front=leads,
        estimates={name: estimate for name, estimate in estimates.items() if estimate},
        samples=attempt.samples,
    )
    if not attempt.withdrawn:
        return row
    blank = {"handle": "", "tier": "", "front": False, "estimates": {}, "samples": {}}
    return msgspec.structs.replace(row, withdrawn=True, **blank)
