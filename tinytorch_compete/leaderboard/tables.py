"""The tables of a leaderboard, as HTML that screen readers can navigate and as plain text."""

from __future__ import annotations

import html
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from tinytorch_compete.leaderboard import ranking
from tinytorch_compete.leaderboard.board import Board
from tinytorch_compete.leaderboard.ranking import Row
from tinytorch_compete.model import ChallengeSpec, Metric
from tinytorch_compete.results import figures
from tinytorch_compete.sandbox.timing import noise
from tinytorch_compete.util import stats

# The label and the format of each figure of a noise certificate (see ``sandbox.timing.noise``).
SIGNS = {
    "reference_spread": ("spread of the reference's CPU time", "{:.1%}"),
    "waiting": ("time the reference spent without a core", "{:.1%}"),
    "load": ("runnable processes", "{:.1f}"),
    "steal": ("CPU time given to others by the hypervisor", "{:.1%}"),
    "swapped_mib": ("swapped (MiB)", "{:.0f}"),
    "slowed": ("below the highest frequency", "{:.0%}"),
    "smt": ("cores share a physical core", "{:.0f}"),
    "powersave": ("frequency governor may save power", "{:.0f}"),
}
MOST_HOLDERS = 3
Cells = Sequence[str]


class Table(msgspec.Struct, frozen=True):
    """A table with a caption; ``groups`` are blocks of rows, the column ``label`` names a row.

    Jupyter shows it as HTML: header cells state their scope, and a line separates the blocks.
    """

    caption: str
    head: tuple[str, ...]
    groups: tuple[tuple[tuple[str, ...], ...], ...]
    label: int = 0

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{_shown(cell)}</th>' for cell in self.head)
        bodies = "\n".join(self._body(group) for group in self.groups)
        return (
            f"<table>\n<caption><span>{_shown(self.caption)}</span></caption>\n"
            f"<thead><tr>{head}</tr></thead>\n{bodies}\n</table>"
        )

    def _body(self, group: Sequence[Cells]) -> str:
        rows = (
            "".join(
                _label(cell) if place == self.label else f"<td>{_shown(cell)}</td>"
                for place, cell in enumerate(row)
            )
            for row in group
        )
        body = "\n".join(f"<tr>{row}</tr>" for row in rows)
        return f'<tbody style="border-top: 1px solid">\n{body}\n</tbody>'

    def __repr__(self) -> str:
        rows = [self.head, *(row for group in self.groups for row in group)]
        return "\n".join([self.caption, *("  ".join(row) for row in rows)])


def _label(text: str) -> str:
    """Return a row's header cell; a page may wrap it if it is a phrase."""
    phrase = ' class="phrase"' if len(text.split()) > 3 else ""
    return f'<th scope="row"{phrase}>{_shown(text)}</th>'


def _shown(text: str) -> str:
    return html.escape(text)


def table(caption: str, head: Iterable[str], rows: Iterable[Cells], label: int = 0) -> Table:
    """Return a table with a single block of rows."""
    return Table(caption, tuple(head), (tuple(tuple(row) for row in rows),), label)


def ranked(spec: ChallengeSpec, rows: Sequence[Row], me: Row | None = None) -> Iterator[Table]:
    """Yield a table for each division that has rows, with a block for each tie group.

    A figure that no row has, such as one that the machine can't count, gets no column.
    """
    names = [n for n in figures.columns(spec) if any(n in row.estimates for row in rows)]
    head = ["rank", "handle", "tier", *(heading(spec, name) for name in names), "runs"]
    head += ["requirements"] if spec.requires else []
    for division in dict.fromkeys(row.division for row in rows):
        own = [row for row in rows if row.division == division]
        groups = tuple(
            tuple(_ranked_row(spec, row, own, me, names) for row in own if row.rank == rank)
            for rank in dict.fromkeys(row.rank for row in own)
        )
        where = f"Division {division}: " if division else ""
        caption = f"{where}{_counted(len(own), 'submission')} in {_counted(len(groups), 'group')}"
        yield Table(caption, tuple(head), groups, label=1)


def _ranked_row(
    spec: ChallengeSpec,
    row: Row,
    rivals: Sequence[Row],
    me: Row | None,
    names: Sequence[str],
) -> tuple[str, ...]:
    tied = sum(other.rank == row.rank for other in rivals) > 1
    rank = f"{row.rank}=" if tied else f"{row.rank}"
    cells = [rank, "(withdrawn)" if row.withdrawn else shown_handle(row, me), row.tier]
    cells += [figure(spec, row, name) for name in names]
    cells.append(f"{max((e.n for e in row.estimates.values()), default='')}")
    if spec.requires:
        cells.append("" if row.withdrawn else "met" if row.meets else "missed")
    return tuple(cells)


def shown_handle(row: Row, me: Row | None) -> str:
    """Return a row's handle, marked if it is the reader's own."""
    return f"{row.handle} (you)" if me is not None and row.handle == me.handle else row.handle


def heading(spec: ChallengeSpec, name: str) -> str:
    """Return a figure's name with its unit."""
    unit = figures.declared(spec, name).unit
    return name if unit.startswith("share") else f"{name} ({unit})"


def figure(spec: ChallengeSpec, row: Row, name: str) -> str:
    """Format a row's estimate with its confidence interval; the unit is in the heading."""
    metric, estimate = figures.declared(spec, name), row.estimates.get(name)
    shown = figures.format_estimate(metric, estimate) if estimate else ""
    return shown.replace(f" {metric.unit}", "")


def front(spec: ChallengeSpec, rows: Sequence[Row], names: Sequence[str]) -> Table:
    """List the rows on the Pareto front of the figures ``names``: the chart in words."""
    live = [row for row in rows if row.estimates.keys() >= set(names)]
    best = ranking.front(spec, [row.samples for row in live], names)
    leading = [row for row, leads in zip(live, best, strict=True) if leads]
    leading.sort(key=lambda row: tuple(row.estimates[name].value for name in names))
    return table(
        f"The front: no submission is better in {' and '.join(names)} than these",
        ["", "handle", *(heading(spec, name) for name in names)],
        (
            [letter(number), row.handle, *(figure(spec, row, name) for name in names)]
            for number, row in enumerate(leading)
        ),
        label=1,
    )


def letter(number: int) -> str:
    """Return a label for a point on the front: A, B, C and so on, then AA, AB."""
    return (letter(number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)


def tiers(board: Board, rows: Sequence[Row]) -> Table:
    """Count the submissions that reached each tier."""
    spec = board.challenge
    first = spec.metric(spec.rank[0])
    live = [row for row in rows if not row.withdrawn]
    counts = [(t.name, t.at, sum(row.tier == t.name for row in live)) for t in spec.tiers]
    total = len(live) + board.unranked
    lines = [
        [name, f"{first.name} {figures.format_figure(first, at)}", f"{n}", f"{n / total:.0%}"]
        for name, at, n in reversed(counts)
        if total
    ]
    if board.unranked:
        none = ["none, or not graded", "", f"{board.unranked}", f"{board.unranked / total:.0%}"]
        lines.append(none)
    return table("Submissions by tier reached", ["tier", "from", "submissions", "share"], lines)


def records(board: Board) -> Table:
    """List who reached each tier on the first day that anybody did."""
    firsts = ranking.records(board.challenge, board.history)
    return table(
        "First to reach each tier, by the day of grading (UTC)",
        ["tier", "day", "by"],
        ([r.tier, f"{r.day:%Y-%m-%d}", _holders(r)] for r in reversed(firsts)),
    )


def _holders(record: ranking.Record) -> str:
    """Name the holders of a record, or count them if many reached it on one day."""
    many = len(record.handles) > MOST_HOLDERS
    return _counted(len(record.handles), "handle") if many else ", ".join(record.handles)


def differences(spec: ChallengeSpec, rows: Sequence[Row]) -> Iterator[Table]:
    """Compare the first and last groups' figures in each division with several groups."""
    for division in dict.fromkeys(row.division for row in rows):
        own = [row for row in rows if row.division == division and not row.withdrawn]
        first, last = ([r for r in own if own and r.rank == own[end].rank] for end in (0, -1))
        if not own or first == last:
            continue
        where = f" in division {division}" if division else ""
        yield table(
            f"The first group ({_counted(len(first), 'submission')}) and the last "
            f"({len(last)}){where}",
            ["figure", "first group", "last group", "difference"],
            _differences(spec, first, last),
        )


def _differences(spec: ChallengeSpec, first: Sequence[Row], last: Sequence[Row]) -> Iterator[Cells]:
    for name in figures.columns(spec):
        metric = figures.declared(spec, name)
        best, worst = (_mean(metric, group) for group in (first, last))
        if best is not None and worst is not None:
            shown = [figures.format_figure(metric, value) for value in (best, worst)]
            yield [name, *shown, difference(metric, best, worst)]


def _mean(metric: Metric, group: Sequence[Row]) -> float | None:
    values = [r.estimates[metric.name].value for r in group if metric.name in r.estimates]
    return stats.estimate(values, metric.scale).value if values else None


def difference(metric: Metric, value: float, other: float) -> str:
    """Format the gap between two values: points for shares, per cent or a factor for ratios."""
    if metric.scale == "log":
        ratio = max(value, other) / min(value, other)
        return f"{ratio - 1:.1%}" if ratio < 2 else f"{ratio:.3g} times"
    if metric.unit.startswith("share"):
        return f"{abs(value - other) * 100:.1f} points"
    return figures.format_figure(metric, abs(value - other))


def findings(board: Board) -> Table:
    """Count the submissions with each kind of finding by tier, the most frequent kind first."""
    total = sum((Counter(tier.kinds) for tier in board.findings), Counter[str]())
    return table(
        "Submissions with each finding, by tier; the guide to insights explains each finding",
        ["finding", *(f"{f.tier or 'no tier'} (of {f.looked})" for f in board.findings)],
        (
            [kind, *(str(tier.kinds.get(kind, 0)) for tier in board.findings)]
            for kind in sorted(total, key=lambda kind: (-total[kind], kind))
        ),
    )


def certificate(board: Board) -> Table:
    """Tabulate the machine's noise: each sign's value for the median and the worst submission."""
    return table(
        "Noise of the machine, by the noisiest run of each submission",
        ["sign", "median", "worst"],
        (
            [label, form.format(statistics.median(values)), form.format(max(values))]
            for name, (label, form) in SIGNS.items()
            if (values := board.noise.get(name))
        ),
    )


def too_noisy(board: Board) -> bool:
    """Whether most submissions had a run whose reference varied by over ``noise.LOUDEST``."""
    spreads = board.noise.get("reference_spread", ())
    return bool(spreads) and statistics.median(spreads) > noise.LOUDEST


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
