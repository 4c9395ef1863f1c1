"""Show where a result stands in its class, without naming anybody else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tinytorch_compete.model import ChallengeSpec, Result
from tinytorch_compete.rendering.markdown import row_of
from tinytorch_compete.results import conditions, figures

FIGURES = 3
# From worst to best: the outer quarters, and the middle half below, at and above the median.
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
    """Return a Markdown table that compares three figures of a result with those of its class.

    The figures are the points, the first metric of the ranking, and the next metric or memory; all
    but the points are compared only among results that reached a tier. The class is every result of
    ``latest`` that was graded under the same conditions, except faults and withdrawn results. A
    figure is left out if fewer than ``figures.FEWEST`` results have it, or ``mine`` doesn't; empty
    if no figure is left. The table depends on nothing but the results.
    """
    rows = []
    rivals = _class(mine, latest)
    for name in names(spec):
        own = _value(spec, mine, name)
        values = [value for r in rivals if (value := _value(spec, r, name)) is not None]
        if own is not None and len(values) >= figures.FEWEST and _counts(mine):
            rows.append(_row(spec, name, own, values))
    if not rows:
        return ""
    titles = ["figure", "yours", "last quarter from", "median", "first quarter from", "you are"]
    head = [row_of(titles), "|---|---:|---:|---:|---:|---|"]
    note = (
        f"Based on {len(rivals)} submissions in the class, the newest of each student. Nobody is "
        "named, and this changes no points."
    )
    return "\n".join([*head, *rows, "", note])


def names(spec: ChallengeSpec) -> list[str]:
    """Return the names of the three figures that are compared, the points first."""
    declared = (metric.name for metric in spec.metrics)
    return list(dict.fromkeys(["points", *spec.rank, "peak_mib", *declared]))[:FIGURES]


def _class(mine: Result, latest: Sequence[Result]) -> list[Result]:
    """Each student's newest result that may be compared with ``mine``, and ``mine`` itself."""
    own_conditions = conditions.conditions(mine.identity)
    newest = {result.identity.student: result for result in latest} | {mine.identity.student: mine}
    comparable = (r for r in newest.values() if conditions.conditions(r.identity) == own_conditions)
    return [result for result in comparable if _counts(result)]


def _counts(result: Result) -> bool:
    return result.points is not None and result.withdrawal is None


def _value(spec: ChallengeSpec, result: Result, name: str) -> float | None:
    if name == "points":
        return result.points
    if not result.tier:  # a run that stopped early took little memory, which is no merit
        return None
    estimate = figures.estimate_of(spec, result, name)
    return estimate.value if estimate else None


def _row(spec: ChallengeSpec, name: str, own: float, values: Sequence[float]) -> str:
    """The table row of one figure; a value that is shown like the median is at the median."""
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
    """The index in ``PLACES``; values that are shown alike count as equal."""

    def better(value: float, other: float) -> bool:
        return sign * value < sign * other and show(value) != show(other)

    worst, median, best = marks
    if better(own, best):
        return 4
    if better(worst, own):
        return 0
    return 3 if better(own, median) else 1 if better(median, own) else 2


def _points(value: float) -> str:
    return f"{round(value, 2):g}"
