"""Print each student's standing: metrics with intervals, and the gap to the next group."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from tinytorch_compete.cli.console import console, plain, table
from tinytorch_compete.leaderboard import ranking
from tinytorch_compete.leaderboard.ranking import Row
from tinytorch_compete.leaderboard.tables import difference
from tinytorch_compete.model import ChallengeSpec, Metric, Result
from tinytorch_compete.participants import pseudonyms
from tinytorch_compete.participants import roster as rosters
from tinytorch_compete.participants.roster import Competitor, Roster
from tinytorch_compete.rendering.column import Column
from tinytorch_compete.results import conditions, figures
from tinytorch_compete.util import stats

Line = tuple[str, str]


def print_details(
    spec: ChallengeSpec, results: Sequence[Result], secret: bytes, roster: Roster
) -> None:
    """Print a block for each student or team, in the order of ranks, unranked ones last.

    For staff only: it includes those whom the leaderboard doesn't show.
    """
    rivals, names = [], {}
    for result in rosters.competing(roster, results):
        student = result.identity.student
        one = rosters.competitor(roster, result.identity.challenge, student, result.handle)
        rivals.append(rosters.attribute(result, one))
        names[one.id] = (", ".join(roster.side(student)), one)
    alike, elsewhere = conditions.comparable(rivals)
    rows = ranking.board(spec, ranking.published(spec, alike, secret))
    ids = {
        pseudonyms.handle(r.identity.student, secret, r.handle): r.identity.student for r in alike
    }
    ranked = [ids[row.handle] for row in rows if row.handle]
    for row in (row for row in rows if row.handle):
        _print(_title(row, *names[ids[row.handle]]), _standing(spec, rows, row))
    for result in (r for r in alike if r.identity.student not in ranked):
        why = f"{result.verdict}. {result.message}".replace("\n", " ").rstrip()
        _print(names[result.identity.student][0], [("not ranked", why)])
    if elsewhere:
        console.print(
            f"Graded under other conditions and without a rank: {elsewhere}. Grade them again.",
            highlight=False,
        )


def _title(row: Row, students: str, one: Competitor) -> str:
    """Name a row's students, and how the leaderboard names them."""
    shown = {"handle": row.handle, "anonymous": "(anonymous)", "nothing": "(not shown)"}
    return f"{students}  {shown[one.show]}"


def _print(title: str, lines: Sequence[Line]) -> None:
    console.print(f"[bold]{plain(title)}[/bold]", highlight=False)
    columns = [Column.unbroken(), Column()]
    console.print(table("", columns, [[f"  {name}", text] for name, text in lines]))


def _standing(spec: ChallengeSpec, rows: Sequence[Row], row: Row) -> list[Line]:
    own = [other for other in rows if other.division == row.division]
    tied = sum(other.rank == row.rank for other in own) - 1
    where = f" in division {row.division}" if row.division else ""
    place = f"{row.rank} of {len(own)}{where}" + (f", tied with {tied} more" if tied else "")
    missed = "" if row.meets else ", a requirement is missed"
    lines = [("rank", place), ("tier", row.tier + missed)]
    for name, estimate in row.estimates.items():
        runs = f"{estimate.n} run" if estimate.n == 1 else f"{estimate.n} runs"
        shown = figures.format_estimate(figures.declared(spec, name), estimate)
        lines.append((name, f"{shown}, {runs}"))
    return [*lines, *_next_group(spec, rows, row), *_neighbour(spec, own, row)]


def _next_group(spec: ChallengeSpec, rows: Sequence[Row], row: Row) -> Iterator[Line]:
    """Give the gap to the last row of the group above, in the metric that separates them."""
    above = ranking.next_group(rows, row)
    if above is None:
        yield "next group", "none: this is the first"
        return
    if row.meets != above.meets:
        yield "next group", "meets all requirements"
        return
    metric = spec.metric(ranking.separating(spec, row, above))
    yield "next group", f"{_gap(metric, row, above)} from {above.handle}, its last"


def _neighbour(spec: ChallengeSpec, own: Sequence[Row], row: Row) -> Iterator[Line]:
    """Say what would separate a tied row from the first row of its group."""
    first = next(other for other in own if other.rank == row.rank and other.handle)
    metric = spec.metric(spec.rank[0])
    if first is not row and {metric.name} <= row.estimates.keys() & first.estimates.keys():
        runs = _runs_to_separate(spec, own, metric, row, first)
        yield "tied", f"{_gap(metric, row, first)} from {first.handle}: {runs}"


def _gap(metric: Metric, row: Row, other: Row) -> str:
    if metric.name not in row.estimates or metric.name not in other.estimates:
        return f"no {metric.name}"
    values = (r.estimates[metric.name].value for r in (row, other))
    return f"{difference(metric, *values)} in {metric.name}"


def _runs_to_separate(
    spec: ChallengeSpec, own: Sequence[Row], metric: Metric, row: Row, other: Row
) -> str:
    """Estimate how many more runs would make two tied rows statistically distinguishable.

    The error rate is divided by the number of pairs on the board.
    """
    mine, theirs = (r.samples.get(metric.name, ()) for r in (row, other))
    if len(mine) != len(theirs) or len(mine) < 2:
        return "too few runs of the same seeds to say more"
    alpha = ranking.error_rate(spec) / math.comb(len(own), 2)
    needed = stats.runs_to_tell(mine, theirs, metric.scale, metric.resolution, alpha)
    if needed is None:
        return f"not even {stats.MOST_RUNS} runs would separate them"
    return f"about {max(1, needed - len(mine))} more runs each would separate them"
