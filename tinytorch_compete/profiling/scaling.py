"""Fit how a function's time and memory grow with the size of its work, and draw the fit.

``fit(function, [100, 200, 400, 800, 1600])`` calls the function with each size. On logarithmic axes
a power law is a straight line, whose slope is the exponent (McGeoch, "A Guide to Experimental
Algorithmics", 2012, section 5.2): when the size doubles, an exponent of 1 doubles the
cost and an exponent of 2 quadruples it.
"""

from __future__ import annotations

import contextlib
import math
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator, StrMethodFormatter

from tinytorch_compete.errors import DataError
from tinytorch_compete.model import MIB
from tinytorch_compete.rendering.chart import COLOURS, Picture, drawn
from tinytorch_compete.util.stats import Estimate, leading

REPEATS = 5
SHORTEST_S = 0.001  # of a timing: shorter calls are repeated, because clocks are noisy
MOST_CALLS = 1000
FEWEST_SIZES = 3  # two points are always on a line and would give no interval
WIDE = 8.0  # ratio of largest to smallest size; below it, fixed costs look like a lower exponent
BEND = 0.2  # least difference between the exponents at both ends that is worth a warning
LEAST_BYTES = 1024  # a lower peak comes from Python's own objects


class Scaling(msgspec.Struct, frozen=True):
    """Medians by size, and the exponents of time and memory with 95 % confidence intervals.

    ``peak_mib`` is the peak of allocated memory, above what was allocated before; ``memory`` is
    ``None`` if that was negligible. ``warnings`` say which results not to trust.
    """

    name: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]
    peak_mib: tuple[float, ...]
    time: Estimate
    memory: Estimate | None
    warnings: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The result in one sentence, followed by the warnings."""
        held = f", memory like {_power(self.memory)}" if self.memory else ""
        first = f"{self.name}: time grows like {_power(self.time)}{held}."
        return " ".join([first, *self.warnings])

    def picture(self) -> Picture:
        """Draw time and memory on logarithmic axes, with the fitted lines."""
        title = f"How {self.name} scales"
        return drawn(self._draw, title, "size", "times that of the smallest size")

    def _draw(self, axes: Axes) -> str:
        axes.set_xscale("log")
        axes.set_yscale("log")
        _line(axes, self.sizes, self.seconds, self.time, "time", ("accent", "o", "-"))
        if self.memory:
            _line(axes, self.sizes, self.peak_mib, self.memory, "memory", ("second", "s", "--"))
        axes.set_xticks(_ticks(self.sizes), minor=False)
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.legend(loc="upper left")
        return self.words

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        picture = self.picture()
        return {"image/svg+xml": picture.svg, "image/png": picture.png, "text/plain": self.words}


def fit(
    function: Callable[[Any], object],
    sizes: Sequence[int],
    make: Callable[[int], Any] = int,
    clock: Callable[[], float] = time.perf_counter,
) -> Scaling:
    """Fit the exponents of ``function(make(size))``; ``make`` is not measured.

    Each of ``REPEATS`` rounds takes all sizes in turn, so that a machine that slows down doesn't
    bend the line. The median of each size is one point, and the scatter of the points about the
    line gives the interval. Memory is tracemalloc's peak, which includes numpy's arrays, in a
    separate call. Raises ``DataError`` for fewer than three different sizes, a size of 0 or less,
    or a clock that stands still.
    """
    sizes = sorted(set(sizes))
    if len(sizes) < FEWEST_SIZES or sizes[0] <= 0:
        raise DataError(f"scaling: give at least {FEWEST_SIZES} different sizes above 0.")
    name = getattr(function, "__name__", "function").replace("<lambda>", "the function")
    work = [make(size) for size in sizes]
    calls = [_calls(function, item, clock) for item in work]
    rounds = [
        [_seconds(function, item, n, clock) for item, n in zip(work, calls, strict=True)]
        for _ in range(REPEATS)
    ]
    seconds = [statistics.median(of_size) for of_size in zip(*rounds, strict=True)]
    if min(seconds) <= 0:
        raise DataError(f"scaling: {name} took no time at size {sizes[0]}; give larger sizes.")
    peaks = [_peak_bytes(function, item) for item in work]
    allocates = min(peaks) >= LEAST_BYTES
    return Scaling(
        name,
        tuple(sizes),
        tuple(seconds),
        tuple(peak / MIB for peak in peaks),
        _exponent(sizes, seconds),
        _exponent(sizes, peaks) if allocates else None,
        tuple(_warnings(sizes, {"time": seconds, "memory": peaks if allocates else None})),
    )


def _calls(function: Callable[[Any], object], item: Any, clock: Callable[[], float]) -> int:
    """Return how many calls to time together, after a first call that does one-time work."""
    function(item)
    once = _seconds(function, item, 1, clock)
    return 1 if once >= SHORTEST_S else min(MOST_CALLS, math.ceil(SHORTEST_S / max(once, 1e-9)))


def _seconds(
    function: Callable[[Any], object], item: Any, calls: int, clock: Callable[[], float]
) -> float:
    start = clock()
    for _ in range(calls):
        function(item)
    return (clock() - start) / calls


def _peak_bytes(function: Callable[[Any], object], item: Any) -> float:
    with _tracing():
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        function(item)
        return float(tracemalloc.get_traced_memory()[1] - before)


@contextlib.contextmanager
def _tracing() -> Iterator[None]:
    """Trace allocations; a trace that somebody else started keeps running."""
    ours = not tracemalloc.is_tracing()
    if ours:
        tracemalloc.start()
    try:
        yield
    finally:
        if ours:
            tracemalloc.stop()


def _exponent(sizes: Sequence[int], costs: Sequence[float]) -> Estimate:
    return leading(_logs(sizes), _logs(costs))


def _warnings(sizes: Sequence[int], costs: dict[str, Sequence[float] | None]) -> Iterator[str]:
    span = sizes[-1] / sizes[0]
    if span < WIDE:
        yield f"The sizes span only a factor of {span:.3g}; {WIDE:g} or more would tell more."
    for what, values in costs.items():
        if values is not None and len(sizes) > FEWEST_SIZES:
            yield from _bend(sizes, values, what)


def _bend(sizes: Sequence[int], costs: Sequence[float], what: str) -> Iterator[str]:
    """Warn if the curvature of a fitted parabola is significant and large enough to matter."""
    x, y = _logs(sizes), _logs(costs)
    curve = leading(x, y, 2)
    assert curve.low is not None and curve.high is not None
    change = 2 * curve.value * (x[-1] - x[0])
    if abs(change) < BEND or curve.low <= 0 <= curve.high:
        return
    middle = statistics.fmean(x)
    # The parabola's slope at an end is that of its linear part, plus the curvature's share there.
    centred = [value - curve.value * (at - middle) ** 2 for at, value in zip(x, y, strict=True)]
    slope = leading(x, centred).value
    ends = [slope + 2 * curve.value * (at - middle) for at in (x[0], x[-1])]
    yield (
        f"The fit of {what} bends: about n^{ends[0]:.1f} at the smallest sizes and n^{ends[1]:.1f} "
        "at the largest, so no single exponent holds; larger sizes show the trend."
    )


def _logs(values: Sequence[float]) -> list[float]:
    return [math.log(value) for value in values]


def _ticks(sizes: Sequence[int]) -> list[int]:
    """Return the sizes that have room for a label: no two within a sixth of the axis."""
    least = (sizes[-1] / sizes[0]) ** (1 / 6)
    ticks = [sizes[0]]
    for size in sizes[1:]:
        if size >= ticks[-1] * least:
            ticks.append(size)
    return ticks


def _power(exponent: Estimate) -> str:
    return f"n^{exponent.value:.2f} (95 %: {exponent.low:.2f} to {exponent.high:.2f})"


def _line(
    axes: Axes,
    sizes: Sequence[int],
    costs: Sequence[float],
    exponent: Estimate,
    what: str,
    style: tuple[str, str, str],
) -> None:
    """Draw points and their fit, relative to the first point, so that two units share an axis."""
    colour, marker, dashes = style
    x, y = _logs(sizes), _logs(costs)
    offset = statistics.fmean(y) - exponent.value * statistics.fmean(x)
    fitted = [math.exp(offset + exponent.value * at - y[0]) for at in x]
    axes.plot(sizes, fitted, dashes, color=COLOURS[colour], linewidth=1.4)
    axes.plot(
        sizes,
        [cost / costs[0] for cost in costs],
        marker,
        color=COLOURS[colour],
        label=f"{what}: n^{exponent.value:.2f} ({exponent.low:.2f} to {exponent.high:.2f})",
    )
