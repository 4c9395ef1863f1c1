"""Where a result stands in its class, in words that name nobody else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tinytorch_compete.model import ChallengeSpec, Result
from tinytorch_compete.rendering.markdown import row_of
from tinytorch_compete.results import conditions, figures

FIGURES = 3
# From worst to best: beyond the quarters, beside the median, at it.
PLACES = (
    "last quarter",
    "middle half, worse than the median",
    "at the median",
    "middle half, better than the median",
    "first quarter",
)
LABELS = {"peak_mib": "peak memory"}
EMPTY, FULL = "▁", "█"


def section(spec: ChallengeSpec, mine: Result, latest: Sequence[Result]) -> str:
    """A Markdown table of three of a result's figures against its class's; the same for the same
    results.

    The figures are the points, the first metric that decides ranks, and the next one or memory;
    those after the points are of results that reached a tier alone. The class is all of ``latest``
    that was graded under the same conditions, faults and withdrawn results aside. Empty if fewer
    than ``ranking.FEWEST`` have a figure, or ``mine`` has none.
    """
    rows = []
    rivals = _class(mine, latest)
    for name in names(spec):
        own = _value(spec, mine, name)
        values = [found for r in rivals if (found := _value(spec, r, name)) is not None]
        if own is not None and len(values) >= figures.FEWEST and _counts(mine):
            rows.append(_row(spec, name, own, values))
    if not rows:
        return ""
    names_of = ["figure", "yours", "last quarter from", "median", "first quarter from", "you are"]
    head = [row_of(names_of)]
    head += ["|---|---:|---:|---:|---:|---|"]
    about = (
        f"Of {len(rivals)} submissions of the class, each student's newest. Nobody is named, and "
        "this changes no points."
    )
    return "\n".join([*head, *rows, "", about])


def names(spec: ChallengeSpec) -> list[str]:
    """The three figures that are compared, the points first."""
    declared = (metric.name for metric in spec.metrics)
    return list(dict.fromkeys(["points", *spec.rank, "peak_mib", *declared]))[:FIGURES]


def _class(mine: Result, latest: Sequence[Result]) -> list[Result]:
    """Each student's newest result that may be compared with this one, which is one of them."""
    wanted = conditions.conditions(mine.identity)
    newest = {result.identity.student: result for result in latest} | {mine.identity.student: mine}
    alike = (r for r in newest.values() if conditions.conditions(r.identity) == wanted)
    return [result for result in alike if _counts(result)]


def _counts(result: Result) -> bool:
    return result.points is not None and result.withdrawal is None


def _value(spec: ChallengeSpec, result: Result, name: str) -> float | None:
    if name == "points":
        return result.points
    if not result.tier:  # what stopped early took little memory, which is no merit
        return None
    found = figures.estimate_of(spec, result, name)
    return found.value if found else None


def _row(spec: ChallengeSpec, name: str, own: float, values: Sequence[float]) -> str:
    """One figure's line; what looks the same as the median is at the median."""
    if name == "points":
        sign, show = -1, _points
    else:
        metric = figures.declared(spec, name)
        sign, show = metric.sign, lambda value: figures.format_figure(metric, value)
    quarters = np.quantile([sign * value for value in values], [0.25, 0.5, 0.75])
    best, median, worst = (sign * float(value) for value in quarters)
    shown = [show(value) for value in (own, worst, median, best)]
    place = _place(sign, own, (worst, median, best), show)
    bar = "".join(FULL if number == place else EMPTY for number in range(len(PLACES)))
    label = LABELS.get(name, name).replace("_", "\\_")
    cells = [label, *shown, f"`{bar}` {PLACES[place]}"]
    return row_of(cells)


def _place(
    sign: int, own: float, marks: tuple[float, float, float], show: Callable[[float], str]
) -> int:
    """The index in ``PLACES``; a mark is passed only where the figures show it."""

    def better(one: float, other: float) -> bool:
        return sign * one < sign * other and show(one) != show(other)

    worst, median, best = marks
    if better(own, best):
        return 4
    if better(worst, own):
        return 0
    return 3 if better(own, median) else 1 if better(median, own) else 2


def _points(value: float) -> str:
    return f"{round(value, 2):g}"
