"""Who stands where: order, tie groups and intervals by a challenge's rank rule."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from tinytorch_compete.model import Challenge, Identity, Metric, Result, Verdict
from tinytorch_compete.util import stats
from tinytorch_compete.util.stats import Estimate

# Word lists for pseudonyms: short, neutral, easy to tell apart when read aloud.
ADJECTIVES = (
    "amber brave bright calm clever coral crisp deep eager early fair fleet fond gentle golden "
    "happy hardy keen kind light lively lucid merry mild noble olive plain polite proud quick "
    "quiet rapid ready rosy royal silver smart solid steady sunny swift tidy violet vivid warm wise"
).split()
ANIMALS = (
    "badger beaver bison crane deer dolphin eagle egret falcon finch fox gecko goose hare hawk "
    "heron ibis jay kestrel kite koala lark lemur lynx magpie marten mole moose newt otter owl "
    "panda pika plover puffin raven robin seal shrew sparrow stork swan tapir tern toad trout "
    "turtle vole whale wren yak zebra"
).split()


# In a smaller class, who was seen to work when, or to be content, is easily told from a picture.
FEWEST = 5

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


def published(challenge: Challenge, results: Sequence[Result], secret: bytes) -> list[Attempt]:
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
            samples={name: samples_of(result, name) for name in columns(challenge)},
            withdrawn=result.withdrawal is not None,
        )
        for result in counted
    ]
    return sorted(found, key=lambda attempt: attempt.handle)


def board(challenge: Challenge, attempts: Sequence[Attempt]) -> list[Row]:
    """The leaderboard: divisions in their order, the best first in each.

    ``attempts`` has each handle's newest one. In a challenge with divisions only those are ranked
    that fit one; what meets all requirements stands before what doesn't. The metrics named in
    ``rank`` decide in turn: a tie group ends at the first row that one of them tells from the
    group's own first row, by a paired t test over the secret seeds, with Holm's correction for all
    pairs of a metric and an equal part of the error rate for each metric (see ``inference``).
    """
    rows = []
    for name in [division.name for division in challenge.divisions] or [""]:
        rivals = [attempt for attempt in attempts if attempt.division == name]
        counted = [attempt for attempt in rivals if not attempt.withdrawn]
        best = front(challenge, [attempt.samples for attempt in counted], columns(challenge))
        leading = {a.handle for a, leads in zip(counted, best, strict=True) if leads}
        rank = 1
        for path, group in _in_order(challenge, rivals):
            rows += [_row(challenge, a, rank, path, a.handle in leading) for a in group]
            rank += len(group)
    return rows


def comparable(results: Sequence[Result]) -> tuple[list[Result], int]:
    """The results graded under the newest one's conditions, and how many there are beside them.

    The newest is one that was graded, if any was: a fault is no grade. Machines may differ: what is
    ranked doesn't depend on them or is a ratio to the same reference. How memory was taken may not:
    a watcher sees less than a control group.
    """
    graded = [result for result in results if result.verdict != Verdict.FAULT] or results
    if not graded:
        return [], 0
    in_time = sorted(graded, key=lambda result: result.graded_at)
    newest, ran = in_time[-1], [result for result in in_time if result.layers]
    kept = [
        result
        for result in results
        if conditions(result.identity) == conditions(newest.identity)
        and (not result.layers or counts_memory(result) == counts_memory(ran[-1]))
    ]
    return kept, len(results) - len(kept)


def counts_memory(result: Result) -> bool:
    """Whether the operating system counted a result's memory, and no watcher had to look at it."""
    return any(layer.startswith("cgroup") for layer in result.layers)


def conditions(identity: Identity) -> Identity:
    """What a result was graded under: figures under other conditions answer other questions.

    That is the challenge, its grader and reference, the secret seeds, the data set and the limits.
    """
    return msgspec.structs.replace(identity, student="", submission_sha="")


def records(challenge: Challenge, history: Sequence[Attempt]) -> list[Record]:
    """Who reached each tier on the first day that anybody did, the easiest tier first.

    Attempts without a day set no record.
    """
    names = [tier.name for tier in challenge.tiers]
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
    challenge: Challenge, rows: Sequence[Mapping[str, Sequence[float]]], names: Sequence[str]
) -> list[bool]:
    """Which rows of samples are on the Pareto front of the figures ``names``.

    On it is what no other row equals in all of them and betters in one, by the estimates alone.
    """
    metrics = [declared(challenge, name) for name in names]
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


def separating(challenge: Challenge, one: Row, other: Row) -> str:
    """The rank metric that put two rows of a division into different groups.

    Empty if they are tied, or if only one of them meets all requirements.
    """
    pairs = enumerate(zip(one.group, other.group, strict=False))
    depth = next((place for place, (a, b) in pairs if a != b), 0)
    return challenge.rank[depth - 1] if depth else ""


def columns(challenge: Challenge) -> list[str]:
    """The figures that a board shows: the declared metrics, and memory in any case."""
    return list(dict.fromkeys([*(metric.name for metric in challenge.metrics), "peak_mib"]))


def declared(challenge: Challenge, name: str) -> Metric:
    """The metric of that name: a declared one, or the peak memory that every board shows."""
    known = {metric.name: metric for metric in challenge.metrics}
    return known.get(name) or Metric(name, "MiB", "lower")


def handle(student: str, secret: bytes, chosen: str = "") -> str:
    """A pseudonym such as ``swift-heron-042``, which only the holder of ``secret`` can trace back.

    HMAC-SHA256 (RFC 2104) of the student's name picks the words. A name that the student chose
    takes their place and gets the same number, so that nobody passes for another.
    """
    digest = hmac.new(secret, student.encode(), hashlib.sha256).digest()
    number = int.from_bytes(digest[:8])
    number, adjective = divmod(number, len(ADJECTIVES))
    number, animal = divmod(number, len(ANIMALS))
    return f"{chosen or f'{ADJECTIVES[adjective]}-{ANIMALS[animal]}'}-{number % 1000:03d}"


def samples_of(result: Result, name: str) -> tuple[float, ...]:
    """A figure's raw values, one a run; empty if no run gave it."""
    if name in result.samples:
        return tuple(result.samples[name])
    value = result.metrics.get(name, getattr(result, name, None))  # of a format without samples
    return () if value is None else (float(value),)


def estimate_of(challenge: Challenge, result: Result, name: str) -> Estimate | None:
    """A figure of a result with its interval; ``None`` if no run gave it."""
    return _estimate({name: samples_of(result, name)}, declared(challenge, name))


def format_figure(metric: Metric, value: float) -> str:
    """A metric's value with its unit: shares in per cent, ratios to three digits."""
    if metric.unit.startswith("share"):
        return f"{value:.1%}"
    return f"{value:.3g} {metric.unit}" if metric.scale == "log" else f"{value:.0f} {metric.unit}"


def format_estimate(metric: Metric, estimate: Estimate) -> str:
    """A metric's value with its unit and its 95 % interval, where it has one."""
    shown = format_figure(metric, estimate.value)
    if estimate.low is None or estimate.high is None:
        return shown
    low, high = (format_figure(metric, v).split()[0] for v in (estimate.low, estimate.high))
    return f"{shown} ({low} to {high})"


def error_rate(challenge: Challenge) -> float:
    """Each rank metric's equal part of ``inference.ALPHA`` (Bonferroni): a board keeps to it."""
    return stats.ALPHA / len(challenge.rank)


def _in_order(
    challenge: Challenge, attempts: Sequence[Attempt]
) -> Iterator[tuple[Place, list[Attempt]]]:
    """The tie groups, the best first; those that miss a requirement after all others."""
    groups: list[tuple[Place, list[Attempt]]] = [
        ((place,), [attempt for attempt in attempts if _meets(challenge, attempt) == wanted])
        for place, wanted in enumerate((True, False))
    ]
    for name in challenge.rank:
        groups = _split(challenge, groups, challenge.metric(name))
    yield from ((path, _by_estimates(challenge, group)) for path, group in groups if group)


def _split(
    challenge: Challenge, groups: Sequence[tuple[Place, list[Attempt]]], metric: Metric
) -> list[tuple[Place, list[Attempt]]]:
    """Split each group by one metric; the pairs of all groups are one family of tests.

    A group reaches down to the first row that is apart from the group's own first row.
    """
    ordered = [
        sorted(group, key=lambda attempt: _sort_key(attempt.samples, metric)) for _, group in groups
    ]
    rows = [[attempt.samples.get(metric.name, ()) for attempt in group] for group in ordered]
    found = []
    apart = stats.apart(rows, metric.scale, metric.resolution, error_rate(challenge))
    for (path, _), group, told in zip(groups, ordered, apart, strict=True):
        starts = [0]
        for place in range(1, len(group)):
            if (starts[-1], place) in told:
                starts.append(place)
        ends = [*starts[1:], len(group)]
        for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
            found.append(((*path, number), group[start:end]))
    return found


def _by_estimates(challenge: Challenge, attempts: Sequence[Attempt]) -> list[Attempt]:
    """A tie group in the order that a reader looks for, which decides nothing."""
    metrics = [challenge.metric(name) for name in challenge.rank]
    return sorted(attempts, key=lambda a: [_sort_key(a.samples, metric) for metric in metrics])


def _estimate(samples: Mapping[str, Sequence[float]], metric: Metric) -> Estimate | None:
    values = samples.get(metric.name)
    return stats.estimate(values, metric.scale, metric.resolution) if values else None


def _sort_key(samples: Mapping[str, Sequence[float]], metric: Metric) -> tuple[bool, float]:
    """Where samples stand in one metric; without a value, last."""
    found = _estimate(samples, metric)
    return (found is None, metric.sign * found.value if found else 0.0)


def _dominates(one: Sequence[tuple[bool, float]], other: Sequence[tuple[bool, float]]) -> bool:
    """Whether one row of sort keys is as good in all and better in one (Pareto)."""
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def _meets(challenge: Challenge, attempt: Attempt) -> bool:
    for needed in challenge.requires:
        metric = challenge.metric(needed.metric)
        found = _estimate(attempt.samples, metric)
        if found is None or metric.sign * found.value > metric.sign * needed.at:
            return False
    return True


def _row(challenge: Challenge, attempt: Attempt, rank: int, path: Place, leads: bool) -> Row:
    figures = {n: _estimate(attempt.samples, declared(challenge, n)) for n in columns(challenge)}
    made = Row(
        division=attempt.division,
        rank=rank,
        group=path,
        handle=attempt.handle,
        tier=attempt.tier,
        meets=_meets(challenge, attempt),
        front=leads,
        estimates={name: found for name, found in figures.items() if found},
        samples=attempt.samples,
    )
    if not attempt.withdrawn:
        return made
    gone = {"handle": "", "tier": "", "front": False, "estimates": {}, "samples": {}}
    return msgspec.structs.replace(made, withdrawn=True, **gone)
