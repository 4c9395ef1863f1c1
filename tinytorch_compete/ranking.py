"""Who stands where: an order of results by a challenge's rank rule."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

import msgspec

from tinytorch_compete.model import Challenge, Metric, Result, Verdict

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

    A ``withdrawn`` one keeps its rank alone: no handle, no tier, no figures.
    """

    division: str
    rank: int
    handle: str
    tier: str
    metrics: dict[str, float]
    withdrawn: bool = False


def board(challenge: Challenge, results: Sequence[Result], secret: bytes) -> list[Row]:
    """The leaderboard of the newest results: divisions in their order, the best first in each.

    Only results that reached a tier are ranked, and in a challenge with divisions only those that
    fit one. Equal figures share a rank. The metrics named in ``rank`` decide in turn. A result that
    was withdrawn leaves an empty line, so that nobody else's rank changes.
    """
    rows = []
    for name in [division.name for division in challenge.divisions] or [""]:
        ranked = [r for r in results if r.division == name and _counts(r)]
        keys = sorted(_key(challenge, result) for result in ranked)
        for result in sorted(ranked, key=lambda r: _key(challenge, r)):
            rank = keys.index(_key(challenge, result)) + 1
            if result.withdrawal:
                rows.append(Row(name, rank, "", "", {}, withdrawn=True))
                continue
            figures = {column: figure(result, column) for column in columns(challenge)}
            shown = handle(result.identity.student, secret)
            rows.append(Row(name, rank, shown, result.tier, figures))
    return rows


def columns(challenge: Challenge) -> list[str]:
    """The figures that a board shows: the declared metrics, and memory in any case."""
    return list(dict.fromkeys([*(metric.name for metric in challenge.metrics), "peak_mib"]))


def handle(student: str, secret: bytes) -> str:
    """A pseudonym such as ``swift-heron-042``, which only the holder of ``secret`` can trace back.

    HMAC-SHA256 (RFC 2104) of the student's name picks the words.
    """
    digest = hmac.new(secret, student.encode(), hashlib.sha256).digest()
    number = int.from_bytes(digest[:8])
    number, adjective = divmod(number, len(ADJECTIVES))
    number, animal = divmod(number, len(ANIMALS))
    return f"{ADJECTIVES[adjective]}-{ANIMALS[animal]}-{number % 1000:03d}"


def figure(result: Result, name: str) -> float:
    """A declared metric of a result: the judge's if it gave one, else the run's own figure."""
    if name in result.metrics:
        return result.metrics[name]
    return float(getattr(result, name))


def format_figure(metric: Metric, value: float) -> str:
    """A metric's value with its unit; shares are shown in per cent."""
    if metric.unit.startswith("share"):
        return f"{value:.1%}"
    return f"{value:.0f} {metric.unit}"


def _counts(result: Result) -> bool:
    return bool(result.tier) and result.verdict != Verdict.FAULT


def _key(challenge: Challenge, result: Result) -> tuple[float, ...]:
    signs = (-1 if challenge.metric(n).direction == "higher" else 1 for n in challenge.rank)
    return tuple(s * figure(result, n) for s, n in zip(signs, challenge.rank, strict=True))
