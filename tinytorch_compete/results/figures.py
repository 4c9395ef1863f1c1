"""The figures of results: their columns, estimates, and formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinytorch_compete.model import ChallengeSpec, Metric, Result
from tinytorch_compete.util import stats
from tinytorch_compete.util.stats import Estimate

# In a smaller class, who was seen to work when, or to be content, is easily told from a picture.
FEWEST = 5


def columns(spec: ChallengeSpec) -> list[str]:
    """The figures that a board shows: the declared metrics, and memory in any case."""
    return list(dict.fromkeys([*(metric.name for metric in spec.metrics), "peak_mib"]))


def declared(spec: ChallengeSpec, name: str) -> Metric:
    """The metric of that name: a declared one, or the peak memory that every board shows."""
    known = {metric.name: metric for metric in spec.metrics}
    return known.get(name) or Metric(name, "MiB", "lower")


def samples_of(result: Result, name: str) -> tuple[float, ...]:
    """A figure's raw values, one a run; empty if no run gave it."""
    if name in result.samples:
        return tuple(result.samples[name])
    value = result.metrics.get(name, getattr(result, name, None))  # of a format without samples
    return () if value is None else (float(value),)


def estimate_of(spec: ChallengeSpec, result: Result, name: str) -> Estimate | None:
    """A figure of a result with its interval; ``None`` if no run gave it."""
    return estimate_samples({name: samples_of(result, name)}, declared(spec, name))


def format_figure(metric: Metric, value: float) -> str:
    """A metric's value with its unit: shares in per cent, ratios to three digits."""
    if metric.unit.startswith("share"):
        return f"{value:.1%}"
    return f"{value:.3g} {metric.unit}" if metric.scale == "log" else f"{value:.0f} {metric.unit}"


def format_estimate(metric: Metric, estimate: Estimate) -> str:
    """A metric's value with its unit and its 95 % interval, where it has one."""
    shown = format_figure(metric, estimate.value)
    if estimate.low is None or estimate.high is None:
        return shown
    low, high = (format_figure(metric, v).split()[0] for v in (estimate.low, estimate.high))
    return f"{shown} ({low} to {high})"


def estimate_samples(samples: Mapping[str, Sequence[float]], metric: Metric) -> Estimate | None:
    values = samples.get(metric.name)
    return stats.estimate(values, metric.scale, metric.resolution) if values else None
