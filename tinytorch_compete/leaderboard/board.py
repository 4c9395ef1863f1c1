"""What a leaderboard is computed from: handles and raw samples, as one JSON file for everybody."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from tinytorch_compete.errors import StoreError
from tinytorch_compete.leaderboard import ranking
from tinytorch_compete.leaderboard.ranking import Attempt, Row
from tinytorch_compete.model import ChallengeSpec, Result
from tinytorch_compete.participants import pseudonyms
from tinytorch_compete.participants import roster as rosters
from tinytorch_compete.participants.roster import Competitor, Roster
from tinytorch_compete.results import conditions as results_conditions
from tinytorch_compete.results.figures import FEWEST


class Findings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the code of a tier's submissions wastes: how many were looked at, and had each kind.

    ``tier`` is empty for those that reached none.
    """

    tier: str
    looked: int
    kinds: dict[str, int]


class Board(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The published data of one board; nothing in it leads from a handle to a name.

    ``newest`` has each competitor's newest attempt, without its day; ``history`` all attempts of
    those who share them, and none if these or all are fewer than ``FEWEST``. ``unranked`` counts
    those whose newest result reached no tier, ``elsewhere`` those graded under other conditions
    than the newest, ``unshown`` those who asked not to be shown. ``noise`` has each figure of the
    runs' noise certificates in rising order, one value a submission. ``findings`` are of tiers in
    which ``FEWEST`` or more were looked at, the highest first.
    """

    slug: str
    challenge: ChallengeSpec
    final: bool
    newest: tuple[Attempt, ...]
    history: tuple[Attempt, ...]
    unranked: int
    elsewhere: int
    noise: dict[str, tuple[float, ...]]
    machines: tuple[str, ...]
    day: dt.date
    findings: tuple[Findings, ...] = ()
    unshown: int = 0

    @property
    def name(self) -> str:
        """What its files are called; the final board stands beside the public one."""
        return f"{self.slug}-final" if self.final else self.slug


def collect(
    slug: str,
    spec: ChallengeSpec,
    latest: Sequence[Result],
    history: Sequence[Result],
    secret: bytes,
    roster: Roster,
    *,
    final: bool = False,
) -> Board:
    """The data of a board from each student's newest results, and from all of them.

    Nothing is in it that the roster says its student doesn't share.
    """
    competing = _owned(slug, roster, rosters.competing(roster, latest))
    shown = [(one, result) for one, result in competing if one.show != "nothing"]
    alike, elsewhere = results_conditions.comparable(
        [rosters.named(result, one) for one, result in shown]
    )
    newest = ranking.published(spec, alike, secret)
    conditions = {results_conditions.conditions(result.identity) for result in alike}
    shared = [
        rosters.named(result, one)
        for one, result in _owned(slug, roster, history)
        if one.progress and results_conditions.conditions(result.identity) in conditions
    ]
    gone = {result.identity.student for result in alike if result.withdrawal}
    shared = [result for result in shared if result.identity.student not in gone]
    before = ranking.published(spec, shared, secret)
    sharing = {attempt.handle for attempt in before if not attempt.withdrawn}
    ranked = sum(not attempt.withdrawn for attempt in newest)
    large = min(ranked, len(sharing)) >= FEWEST
    nameless = {pseudonyms.handle(one.id, secret) for one, _ in shown if one.show == "anonymous"}
    return Board(
        slug=slug,
        challenge=spec,
        final=final,
        newest=tuple(_anonymous(newest, nameless)),
        history=tuple(before) if large else (),
        unranked=len(alike) - len(newest),
        elsewhere=elsewhere,
        noise=_noise(alike),
        machines=tuple(sorted({result.machine for result in alike if result.machine})),
        day=dt.datetime.now(dt.UTC).date(),
        findings=tuple(_findings(spec, alike)),
        unshown=len(competing) - len(shown),
    )


def _owned(slug: str, roster: Roster, results: Iterable[Result]) -> list[tuple[Competitor, Result]]:
    """The results with whose they are on this board; none of before a change of team."""
    return [
        (rosters.competitor(roster, slug, result.identity.student, result.handle), result)
        for result in results
        if rosters.belongs(roster, result)
    ]


def _anonymous(attempts: Iterable[Attempt], nameless: Collection[str]) -> list[Attempt]:
    """Attempts without their days, numbered where they are to have no name.

    The numbers follow pseudonyms of this one board, and so tell nothing of the names' order.
    """
    numbers = itertools.count(1)
    found = [
        msgspec.structs.replace(
            attempt,
            day=None,
            handle=f"anonymous {next(numbers)}" if attempt.handle in nameless else attempt.handle,
        )
        for attempt in attempts
    ]
    return sorted(found, key=lambda attempt: attempt.handle)


def _noise(results: Sequence[Result]) -> dict[str, tuple[float, ...]]:
    found: dict[str, list[float]] = defaultdict(list)
    for result in results:
        for name, value in result.noise.items():
            found[name].append(value)
    return {name: tuple(sorted(values)) for name, values in found.items()}


def _findings(spec: ChallengeSpec, results: Sequence[Result]) -> Iterator[Findings]:
    for name in [*(tier.name for tier in reversed(spec.tiers)), ""]:
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
