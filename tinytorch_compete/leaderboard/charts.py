"""The charts of a leaderboard; each also states its finding in words."""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from tinytorch_compete.leaderboard import ranking
from tinytorch_compete.leaderboard.ranking import Attempt, Row
from tinytorch_compete.leaderboard.tables import letter
from tinytorch_compete.model import ChallengeSpec, Metric
from tinytorch_compete.rendering.chart import COLOURS, Picture, drawn
from tinytorch_compete.results.figures import declared, format_figure
from tinytorch_compete.util import stats

MEMORY = "peak_mib"
MOST_HANDLES = 6  # a sentence with more is unreadable
LETTER_POINTS = 18  # points closer than this share a label
INK, PAPER, MUTED, FAINT = (COLOURS[name] for name in ("ink", "paper", "muted", "faint"))
ACCENT, SECOND = COLOURS["accent"], COLOURS["second"]


def trade(spec: ChallengeSpec) -> tuple[str, ...]:
    """Return the figures on the axes of the Pareto chart: memory, and the first other rank metric.

    Only memory for a challenge that measures nothing else: there is nothing to trade it for.
    """
    names = [*spec.rank, *(metric.name for metric in spec.metrics)]
    return (MEMORY, *[name for name in names if name != MEMORY][:1])


def pareto(spec: ChallengeSpec, rows: Sequence[Row], me: Row | None = None) -> Picture:
    """Draw each submission by memory and the figure it is traded for, with the Pareto front."""
    across, up = (declared(spec, name) for name in trade(spec))
    shown = [row for row in rows if {across.name, up.name} <= row.estimates.keys()]
    best = ranking.front(spec, [row.samples for row in shown], (across.name, up.name))
    places = [(row.estimates[across.name].value, row.estimates[up.name].value) for row in shown]

    def draw(axes: Axes) -> str:
        leading = sorted((*at, row.handle) for at, row, leads in _zip(places, shown, best) if leads)
        others = [at for at, leads in zip(places, best, strict=True) if not leads]
        _divisions(axes, spec)
        front = [(x, y) for x, y, _ in leading]
        axes.plot(*_columns(front), drawstyle="steps-post", c=ACCENT)
        axes.scatter(*_columns(others), s=34, facecolors=PAPER, edgecolors=MUTED, label="others")
        axes.scatter(*_columns(front), s=44, marker="D", color=ACCENT, label="the front")
        if me is not None and me in shown:
            _mark_reader(axes, *places[shown.index(me)])
        axes.margins(x=0.1, y=0.12)
        _scaled(axes, "y", up)
        _letter_points(axes, front)
        axes.legend(loc="best")
        return _front_in_words(across, up, leading, len(shown))

    title = f"{up.name} against memory: up and left is better"
    return drawn(draw, title, "peak memory above the idle kernel (MiB)", _label(up))


def _zip(
    places: Sequence[tuple[float, float]], rows: Sequence[Row], best: Sequence[bool]
) -> list[tuple[tuple[float, float], Row, bool]]:
    return list(zip(places, rows, best, strict=True))


def _columns(places: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in places], [y for _, y in places]


def _front_in_words(
    across: Metric, up: Metric, leading: Sequence[tuple[float, float, str]], n: int
) -> str:
    handles = [
        f"{handle} ({format_figure(up, y)}, {format_figure(across, x)})"
        for x, y, handle in leading[:MOST_HANDLES]
    ]
    more = f" and {len(leading) - MOST_HANDLES} more" if len(leading) > MOST_HANDLES else ""
    return (
        f"{len(leading)} of {n} submissions are on the front, where no other is better in both "
        f"{up.name} and memory: {', '.join(handles)}{more}."
    )


def _letter_points(axes: Axes, places: Sequence[tuple[float, float]]) -> None:
    """Write letters beside the points, as in ``tables.front``; points close together share one."""
    axes.autoscale_view()
    at = axes.transData.transform(places) * 72 / axes.figure.dpi
    groups: list[list[int]] = []
    for number in range(len(places)):
        if groups and np.abs(at[number] - at[groups[-1][-1]]).max() < LETTER_POINTS:
            groups[-1].append(number)
        else:
            groups.append([number])
    for group in groups:
        ends = dict.fromkeys(letter(number) for number in (group[0], group[-1]))
        place, shift = places[group[0]], (-4, 5)
        axes.annotate("–".join(ends), place, shift, textcoords="offset points", ha="right")


def _divisions(axes: Axes, spec: ChallengeSpec) -> None:
    for number, division in enumerate(spec.divisions):
        label = "" if number else "end of a division"
        axes.axvline(division.peak_mib, color=MUTED, linestyle=":", linewidth=1, label=label)


def _mark_reader(axes: Axes, x: float, y: float) -> None:
    axes.scatter([x], [y], s=170, marker="*", color=SECOND, edgecolors=PAPER, zorder=5, label="you")
    axes.annotate(
        "you",
        (x, y),
        (0, -16),
        textcoords="offset points",
        ha="center",
        color=SECOND,
        weight="bold",
    )


def progress(spec: ChallengeSpec, history: Sequence[Attempt]) -> Picture:
    """Draw the best value of the first rank metric by day, over each handle's own history."""
    metric = spec.metric(spec.rank[0])
    by_handle = _by_handle(metric, history)
    days = sorted({day for values in by_handle.values() for day in values})
    best = [_best(metric, by_handle, day) for day in days]

    def draw(axes: Axes) -> str:
        for values in by_handle.values():
            line = sorted(values.items())
            axes.plot(
                *zip(*line, strict=True), c=FAINT, lw=1, marker=".", ms=5, mfc=MUTED, mec=MUTED
            )
        axes.plot(
            np.array(days, "datetime64[D]"),
            best,
            drawstyle="steps-post",
            color=ACCENT,
            linewidth=2.2,
        )
        axes.annotate(
            "best so far", (days[-1], best[-1]), (-2, 6), textcoords="offset points", ha="right",
            color=ACCENT, weight="bold",
        )  # fmt: skip
        _tiers(axes, "y", spec, (min(_all(by_handle)), max(_all(by_handle))))
        axes.margins(y=0.12)
        _scaled(axes, "y", metric)
        first, last = (format_figure(metric, value) for value in (best[0], best[-1]))
        return (
            f"The best {metric.name} went from {first} on {days[0]:%Y-%m-%d} to {last} by "
            f"{days[-1]:%Y-%m-%d}; {len(by_handle)} handles, {len(history)} graded submissions."
        )

    title = f"{metric.name} over time, each line a handle"
    return drawn(draw, title, "day of grading (UTC)", _label(metric))


def _by_handle(metric: Metric, history: Sequence[Attempt]) -> dict[str, dict[dt.date, float]]:
    """Map each handle to its best value on each day."""
    best: dict[str, dict[dt.date, float]] = defaultdict(dict)
    for attempt in history:
        if attempt.day is None or attempt.withdrawn or not attempt.samples.get(metric.name):
            continue
        value = stats.estimate(attempt.samples[metric.name], metric.scale).value
        before = best[attempt.handle].get(attempt.day, value)
        best[attempt.handle][attempt.day] = _better(metric)(before, value)
    return best


def _all(by_handle: dict[str, dict[dt.date, float]]) -> list[float]:
    return [value for values in by_handle.values() for value in values.values()]


def _best(metric: Metric, by_handle: dict[str, dict[dt.date, float]], until: dt.date) -> float:
    reached = [v for values in by_handle.values() for day, v in values.items() if day <= until]
    return _better(metric)(reached)


def _better(metric: Metric) -> Callable[..., float]:
    return max if metric.direction == "higher" else min


def distribution(spec: ChallengeSpec, rows: Sequence[Row], me: Row | None = None) -> Picture:
    """Draw how many submissions reached which value of the first rank metric, and the reader's."""
    metric = spec.metric(spec.rank[0])
    values = [row.estimates[metric.name].value for row in rows if metric.name in row.estimates]
    counts, edges = _bins(metric, values)

    def draw(axes: Axes) -> str:
        axes.grid(visible=False, axis="x")
        bars = axes.bar(
            edges[:-1], counts, np.diff(edges), align="edge", color=ACCENT, edgecolor=PAPER
        )
        axes.bar_label(bars, [str(n) if n else "" for n in counts], fontsize=8, color=INK)
        axes.yaxis.set_visible(False)
        axes.spines["left"].set_visible(False)
        axes.margins(y=0.3)
        _scaled(axes, "x", metric)
        _tiers(axes, "x", spec, (edges[0], edges[-1]))
        middle = format_figure(metric, float(np.median(values)))
        finding = f"The median {metric.name} of {len(values)} submissions is {middle}."
        if me is None or metric.name not in me.estimates:
            return finding
        mine = me.estimates[metric.name].value
        _pointer(axes, mine)
        behind = sum(metric.sign * value > metric.sign * mine for value in values)
        yours = format_figure(metric, mine)
        return f"{finding} Yours is {yours}, better than that of {behind}."

    title = f"Submissions by {metric.name}"
    return drawn(draw, title, _label(metric), "submissions")


def _bins(metric: Metric, values: Sequence[float]) -> tuple[list[int], list[float]]:
    """Return counts and edges of about 2 * sqrt(n) bins, equally wide on the metric's scale."""
    number = max(4, math.ceil(2 * math.sqrt(len(values))))
    on_scale = np.log(values) if metric.scale == "log" else np.asarray(values)
    counts, edges = np.histogram(on_scale, bins=number)
    back = np.exp(edges) if metric.scale == "log" else edges
    return [int(n) for n in counts], [float(edge) for edge in back]


def _pointer(axes: Axes, x: float) -> None:
    axes.axvline(x, color=SECOND, linewidth=2)
    right = axes.transAxes.inverted().transform(axes.transData.transform((x, 0)))[0] > 0.5
    axes.annotate(
        "you are here",
        (x, 0.84),
        (-5, 0) if right else (5, 0),
        ("data", "axes fraction"),
        textcoords="offset points",
        ha="right" if right else "left",
        color=SECOND,
        weight="bold",
    )


def _tiers(
    axes: Axes, which: Literal["x", "y"], spec: ChallengeSpec, span: tuple[float, float]
) -> None:
    """Draw a dotted line with its name where each tier within the span begins."""
    for tier in spec.tiers:
        if not span[0] <= tier.at <= span[1]:
            continue
        if which == "x":
            axes.axvline(tier.at, color=MUTED, linestyle=":", linewidth=1)
            place, coordinates, offset = (tier.at, 0.99), ("data", "axes fraction"), (3, -8)
        else:
            axes.axhline(tier.at, color=MUTED, linestyle=":", linewidth=1)
            place, coordinates, offset = (0.01, tier.at), ("axes fraction", "data"), (3, -9)
        axes.annotate(
            tier.name,
            place,
            offset,
            coordinates,
            textcoords="offset points",
            fontsize=8,
            color=MUTED,
        )


def _label(metric: Metric) -> str:
    return metric.name if metric.unit.startswith("share") else f"{metric.name} ({metric.unit})"


def _scaled(axes: Axes, which: Literal["x", "y"], metric: Metric) -> None:
    """Set an axis to the metric's scale, so that further up or right is better."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)(metric.scale)
    if metric.direction == "lower":
        axis.set_inverted(True)
    if metric.scale == "log":
        low, high = sorted(axis.get_view_interval())
        axis.set_major_locator(
            LogLocator(subs=(1, 2, 5) if high > 20 * low else (1, 1.5, 2, 3, 5, 7))
        )
        axis.set_minor_locator(NullLocator())
    share = metric.unit.startswith("share")
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:.0%}" if share else f"{v:g}"))
