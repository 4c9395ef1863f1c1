"""What a leaderboard is computed from: handles and raw samples, as one JSON file for everybody."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from tinytorch_compete import ranking
from tinytorch_compete.errors import StoreError
from tinytorch_compete.model import Challenge, Result
from tinytorch_compete.ranking import FEWEST, Attempt, Row


class Findings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the code of a tier's submissions wastes: how many were looked at, and had each kind.

    ``tier`` is empty for those that reached none.
    """

    tier: str
    looked: int
    kinds: dict[str, int]


class Board(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The published data of one board; nothing in it leads from a handle to a name.

    ``newest`` has each handle's newest attempt, without its day; ``history`` all attempts, and none
    in a class of fewer than ``FEWEST``. ``unranked`` counts those whose newest result reached no
    tier, ``elsewhere`` those graded under other conditions than the newest. ``noise`` has each
    figure of the runs' noise certificates in rising order, one value a submission. ``findings``
    are of tiers in which ``FEWEST`` or more were looked at, the highest first.
    """

    slug: str
    challenge: Challenge
    final: bool
    newest: tuple[Attempt, ...]
    history: tuple[Attempt, ...]
    unranked: int
    elsewhere: int
    noise: dict[str, tuple[float, ...]]
    machines: tuple[str, ...]
    day: dt.date
    findings: tuple[Findings, ...] = ()

    @property
    def name(self) -> str:
        """What its files are called; the final board stands beside the public one."""
        return f"{self.slug}-final" if self.final else self.slug


def collect(
    slug: str,
    challenge: Challenge,
    latest: Sequence[Result],
    history: Sequence[Result],
    secret: bytes,
    *,
    final: bool = False,
) -> Board:
    """The data of a board from each student's newest results, and from all of them."""
    alike, elsewhere = ranking.comparable(latest)
    newest = ranking.published(challenge, alike, secret)
    conditions = {ranking.conditions(result.identity) for result in alike}
    before = [result for result in history if ranking.conditions(result.identity) in conditions]
    large = sum(not attempt.withdrawn for attempt in newest) >= FEWEST
    return Board(
        slug=slug,
        challenge=challenge,
        final=final,
        newest=tuple(msgspec.structs.replace(attempt, day=None) for attempt in newest),
        history=tuple(ranking.published(challenge, before, secret)) if large else (),
        unranked=len(alike) - len(newest),
        elsewhere=elsewhere,
        noise=_noise(alike),
        machines=tuple(sorted({result.machine for result in alike if result.machine})),
        day=dt.datetime.now(dt.UTC).date(),
        findings=tuple(_findings(challenge, alike)),
    )


def _noise(results: Sequence[Result]) -> dict[str, tuple[float, ...]]:
    found: dict[str, list[float]] = defaultdict(list)
    for result in results:
        for name, value in result.noise.items():
            found[name].append(value)
    return {name: tuple(sorted(values)) for name, values in found.items()}


def _findings(challenge: Challenge, results: Sequence[Result]) -> Iterator[Findings]:
    for name in [*(tier.name for tier in reversed(challenge.tiers)), ""]:
        own = [r for r in results if r.tier == name and not r.withdrawal]
        kinds = [result.findings for result in own if result.findings is not None]
        if len(kinds) >= FEWEST:
            counts = Counter(kind for found in kinds for kind in found)
            yield Findings(name, len(kinds), dict(sorted(counts.items())))


def encode(board: Board) -> str:
    """The data as JSON."""
    return msgspec.json.format(msgspec.json.encode(board), indent=1).decode() + "\n"


def read(path: Path | str) -> Board:
    """The data in a file; raises ``StoreError`` if it isn't there or is anything else."""
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=Board)
    except OSError as error:
        raise StoreError(
            f"{path}: the board's data can't be read ({error.strerror}); it must lie beside the "
            "notebook."
        ) from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise StoreError(f"{path}: not the data of a leaderboard ({error}).") from None


def find(rows: Sequence[Row], handle: str) -> Row | None:
    """The row of a handle, ``None`` for no handle; raises ``StoreError`` for one that has none."""
    if not handle:
        return None
    for row in rows:
        if row.handle == handle:
            return row
    raise StoreError(
        f"{handle!r} is not on this board. Handles look like swift-heron-042, and only submissions "
        "that reached a tier have a row."
    )
