"""The data behind a leaderboard: handles and raw samples, published as one JSON file."""

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
    """How common each kind of finding is among the submissions of a tier.

    ``looked`` submissions were inspected; ``kinds`` maps a kind to the number of submissions that
    had it. ``tier`` is empty for the submissions that reached none.
    """

    tier: str
    looked: int
    kinds: dict[str, int]


class Board(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The published data of one board; nothing in it links a handle to a name.

    ``newest`` has each competitor's newest attempt, without its day. ``history`` has all attempts
    of the competitors who share them; it is empty if fewer than ``FEWEST`` share them or fewer than
    ``FEWEST`` are ranked. ``unranked`` counts the competitors whose newest result reached no tier,
    ``elsewhere`` those graded under other conditions than the newest result, ``unshown`` those who
    asked not to be shown. ``noise`` has each figure of the runs' noise certificates in ascending
    order, one value per submission. ``findings`` covers the tiers in which ``FEWEST`` or more
    submissions were inspected, the highest first.
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
        """The stem of its file names, which differs between the final and the public board."""
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
    """Collect the data of a board from each student's newest result and from all results.

    It contains nothing that, according to the roster, its student doesn't share.
    """
    competing = _owned(slug, roster, rosters.competing(roster, latest))
    shown = [(owner, result) for owner, result in competing if owner.show != "nothing"]
    comparable, elsewhere = results_conditions.comparable(
        [rosters.attribute(result, owner) for owner, result in shown]
    )
    newest = ranking.published(spec, comparable, secret)
    conditions = {results_conditions.conditions(result.identity) for result in comparable}
    shared = [
        rosters.attribute(result, owner)
        for owner, result in _owned(slug, roster, history)
        if owner.progress and results_conditions.conditions(result.identity) in conditions
    ]
    withdrawn = {result.identity.student for result in comparable if result.withdrawal}
    shared = [result for result in shared if result.identity.student not in withdrawn]
    past = ranking.published(spec, shared, secret)
    sharing = {attempt.handle for attempt in past if not attempt.withdrawn}
    ranked = sum(not attempt.withdrawn for attempt in newest)
    large = min(ranked, len(sharing)) >= FEWEST
    nameless = {
        pseudonyms.handle(owner.id, secret) for owner, _ in shown if owner.show == "anonymous"
    }
    return Board(
        slug=slug,
        challenge=spec,
        final=final,
        newest=tuple(_anonymous(newest, nameless)),
        history=tuple(past) if large else (),
        unranked=len(comparable) - len(newest),
        elsewhere=elsewhere,
        noise=_noise(comparable),
        machines=tuple(sorted({result.machine for result in comparable if result.machine})),
        day=dt.datetime.now(dt.UTC).date(),
        findings=tuple(_findings(spec, comparable)),
        unshown=len(competing) - len(shown),
    )


def _owned(slug: str, roster: Roster, results: Iterable[Result]) -> list[tuple[Competitor, Result]]:
    """Pair each result with its owner on this board; drop results from before a change of team."""
    return [
        (rosters.competitor(roster, slug, result.identity.student, result.handle), result)
        for result in results
        if rosters.belongs(roster, result)
    ]


def _anonymous(attempts: Iterable[Attempt], nameless: Collection[str]) -> list[Attempt]:
    """Drop the days of attempts, and number those that must stay anonymous.

    The numbers follow pseudonyms of this board alone, so they reveal nothing about the order of
    the names.
    """
    numbers = itertools.count(1)
    dayless = [
        msgspec.structs.replace(
            attempt,
            day=None,
            handle=f"anonymous {next(numbers)}" if attempt.handle in nameless else attempt.handle,
        )
        for attempt in attempts
    ]
    return sorted(dayless, key=lambda attempt: attempt.handle)


def _noise(results: Sequence[Result]) -> dict[str, tuple[float, ...]]:
    figures: dict[str, list[float]] = defaultdict(list)
    for result in results:
        for name, value in result.noise.items():
            figures[name].append(value)
    return {name: tuple(sorted(values)) for name, values in figures.items()}


def _findings(spec: ChallengeSpec, results: Sequence[Result]) -> Iterator[Findings]:
    for name in [*(tier.name for tier in reversed(spec.tiers)), ""]:
        own = [r for r in results if r.tier == name and not r.withdrawal]
        inspected = [result.findings for result in own if result.findings is not None]
        if len(inspected) >= FEWEST:
            counts = Counter(kind for kinds in inspected for kind in kinds)
            yield Findings(name, len(inspected), dict(sorted(counts.items())))


def encode(board: Board) -> str:
    """Encode the data as JSON."""
    return msgspec.json.format(msgspec.json.encode(board), indent=1).decode() + "\n"


def read(path: Path | str) -> Board:
    """Read a board's data from a file; raises ``StoreError`` if it is missing or invalid."""
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=Board)
    except OSError as error:
        raise StoreError(
            f"{path}: the board's data can't be read ({error.strerror}); it must be in the "
            "notebook's folder."
        ) from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise StoreError(f"{path}: not a leaderboard's data ({error}).") from None


def find(rows: Sequence[Row], handle: str) -> Row | None:
    """Find the row of a handle, ``None`` for an empty one; raises ``StoreError`` if it has none."""
    if not handle:
        return None
    for row in rows:
        if row.handle == handle:
            return row
    raise StoreError(
        f"{handle!r} is not on this board. Handles look like swift-heron-042, and only submissions "
        "that reached a tier have a row."
    )
