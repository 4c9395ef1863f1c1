"""Who stands where: order, tie groups and intervals by a challenge's rank rule."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Iterator, Sequence

import msgspec

from tinytorch_compete import inference
from tinytorch_compete.inference import Estimate
from tinytorch_compete.model import Challenge, Identity, Metric, Result, Verdict

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


class Row(msgspec.Struct, frozen=True):
    """One line of a leaderboard: a handle and figures, never a name.

    Rows of equal ``rank`` are tied: no test tells them apart. ``meets`` says whether all that the
    challenge requires was reached, ``front`` whether no other row is better in one figure and as
    good in all others. ``samples`` has each figure's raw values, one a run.
    A ``withdrawn`` one keeps its rank alone: no handle, no tier, no figures.
    """

    division: str
    rank: int
    handle: str
    tier: str
    meets: bool
    front: bool
    graded_at: dt.datetime
    estimates: dict[str, Estimate]
    samples: dict[str, tuple[float, ...]]
    withdrawn: bool = False


class Record(msgspec.Struct, frozen=True):
    """The first result that reached a tier."""

    tier: str
    handle: str
    graded_at: dt.datetime


def board(challenge: Challenge, results: Sequence[Result], secret: bytes) -> list[Row]:
    """The leaderboard of the newest results: divisions in their order, the best first in each.

    Ranked are results of which each run reached a tier, and in a challenge with divisions only
    those that fit one; what meets all requirements stands before what doesn't. The metrics named in
    ``rank`` decide in turn: rows are in one tie group until one of them tells them apart, by a
    paired t test over the secret seeds with Holm's correction for all pairs (see ``inference``).
    A result that was withdrawn leaves an empty line, so that nobody else's rank changes.
    """
    found = [result for result in results if _counts(result)]
    rows = []
    for name in [division.name for division in challenge.divisions] or [""]:
        ranked = [result for result in found if result.division == name]
        rank = 1
        for group in _in_order(challenge, ranked):
            rows += [_row(challenge, r, rank, ranked, secret) for r in group]
            rank += len(group)
    return rows


def comparable(results: Sequence[Result]) -> tuple[list[Result], int]:
    """The results graded under the newest one's conditions, and how many there are beside them.

    Conditions are the challenge, its grader and reference, the secret seeds, the data set and the
    limits: figures under other ones answer other questions. Machines may differ: what is ranked
    doesn't depend on them or is a ratio to the same reference.
    """
    if not results:
        return [], 0
    newest = max(results, key=lambda result: result.graded_at)
    kept = [r for r in results if _conditions(r.identity) == _conditions(newest.identity)]
    return kept, len(results) - len(kept)


def records(challenge: Challenge, history: Sequence[Result], secret: bytes) -> list[Record]:
    """Who reached each tier first, the hardest last; ``history`` is in the order of grading."""
    names = [tier.name for tier in challenge.tiers]
    first: dict[str, Record] = {}
    for result in filter(_counts, history):
        for name in names[: names.index(result.tier) + 1]:
            shown = handle(result.identity.student, secret)
            first.setdefault(name, Record(name, shown, result.graded_at))
    return [first[name] for name in names if name in first]


def next_group(challenge: Challenge, rows: Sequence[Row], mine: Row) -> Row | None:
    """The last row of the tie group before ``mine`` in its division; ``None`` if it leads."""
    before = [row for row in rows if row.division == mine.division and row.rank < mine.rank]
    return before[-1] if before else None


def columns(challenge: Challenge) -> list[str]:
    """The figures that a board shows: the declared metrics, and memory in any case."""
    return list(dict.fromkeys([*(metric.name for metric in challenge.metrics), "peak_mib"]))


def declared(challenge: Challenge, name: str) -> Metric:
    """The metric of that name: a declared one, or the peak memory that every board shows."""
    known = {metric.name: metric for metric in challenge.metrics}
    return known.get(name) or Metric(name, "MiB", "lower")


def handle(student: str, secret: bytes) -> str:
    """A pseudonym such as ``swift-heron-042``, which only the holder of ``secret`` can trace back.

    HMAC-SHA256 (RFC 2104) of the student's name picks the words.
    """
    digest = hmac.new(secret, student.encode(), hashlib.sha256).digest()
    number = int.from_bytes(digest[:8])
    number, adjective = divmod(number, len(ADJECTIVES))
    number, animal = divmod(number, len(ANIMALS))
    return f"{ADJECTIVES[adjective]}-{ANIMALS[animal]}-{number % 1000:03d}"


def samples_of(result: Result, name: str) -> tuple[float, ...]:
    """A figure's raw values, one a run; empty if no run gave it."""
    if name in result.samples:
        return tuple(result.samples[name])
    value = result.metrics.get(name, getattr(result, name, None))  # of a format without samples
    return () if value is None else (float(value),)


def estimate_of(challenge: Challenge, result: Result, name: str) -> Estimate | None:
    """A figure of a result with its interval; ``None`` if no run gave it."""
    samples, metric = samples_of(result, name), declared(challenge, name)
    return inference.estimate(samples, metric.scale, metric.resolution) if samples else None


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


def _counts(result: Result) -> bool:
    return bool(result.tier) and result.verdict != Verdict.FAULT


def _conditions(identity: Identity) -> Identity:
    return msgspec.structs.replace(identity, student="", submission_sha="")


def _in_order(challenge: Challenge, results: Sequence[Result]) -> Iterator[list[Result]]:
    """The tie groups, the best first; those that miss a requirement after all others."""
    for wanted in (True, False):
        alike = [result for result in results if _meets(challenge, result) == wanted]
        yield from _groups(challenge, alike, challenge.rank)


def _groups(
    challenge: Challenge, results: Sequence[Result], names: Sequence[str]
) -> Iterator[list[Result]]:
    """Split results by the first metric, then each group by the others.

    A group reaches down to the first row that is apart from the group's own first row.
    """
    if not names or len(results) < 2:
        yield from [list(results)] if results else []
        return
    metric = challenge.metric(names[0])
    ordered = sorted(results, key=lambda r: _sort_key(challenge, r, metric))
    rows = [samples_of(result, metric.name) for result in ordered]
    apart = inference.apart(rows, metric.scale, metric.resolution)
    starts = [0]
    for place in range(1, len(ordered)):
        if (starts[-1], place) in apart:
            starts.append(place)
    for start, end in zip(starts, [*starts[1:], len(ordered)], strict=True):
        yield from _groups(challenge, ordered[start:end], names[1:])


def _sort_key(challenge: Challenge, result: Result, metric: Metric) -> tuple[bool, float]:
    """Where a result stands in one metric; without a value, last."""
    found = estimate_of(challenge, result, metric.name)
    return (found is None, metric.sign * found.value if found else 0.0)


def _meets(challenge: Challenge, result: Result) -> bool:
    for needed in challenge.requires:
        found, sign = (
            estimate_of(challenge, result, needed.metric),
            challenge.metric(needed.metric).sign,
        )
        if found is None or sign * found.value > sign * needed.at:
            return False
    return True


def _row(
    challenge: Challenge, result: Result, rank: int, rivals: Sequence[Result], secret: bytes
) -> Row:
    if result.withdrawal:
        return Row(result.division, rank, "", "", False, False, result.graded_at, {}, {}, True)
    figures = {name: estimate_of(challenge, result, name) for name in columns(challenge)}
    return Row(
        division=result.division,
        rank=rank,
        handle=handle(result.identity.student, secret),
        tier=result.tier,
        meets=_meets(challenge, result),
        front=not any(_dominates(challenge, rival, result) for rival in rivals),
        graded_at=result.graded_at,
        estimates={name: found for name, found in figures.items() if found},
        samples={name: samples_of(result, name) for name in columns(challenge)},
    )


def _dominates(challenge: Challenge, one: Result, other: Result) -> bool:
    """Whether one result is as good in all figures and better in one (Pareto)."""
    keys = [
        (_sort_key(challenge, one, metric), _sort_key(challenge, other, metric))
        for metric in (declared(challenge, name) for name in columns(challenge))
    ]
    return all(a <= b for a, b in keys) and any(a < b for a, b in keys)
