"""The figures of results: their columns, estimates, and formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinytorch_compete.model import ChallengeSpec, Metric, Result
from tinytorch_compete.util import stats
from tinytorch_compete.util.stats import Estimate

# In a smaller class, a chart easily reveals who worked when, and who was content with which result.
FEWEST = 5


def columns(spec: ChallengeSpec) -> list[str]:
    """Return the names of a board's figures: the declared metrics, and always memory."""
    return list(dict.fromkeys([*(metric.name for metric in spec.metrics), "peak_mib"]))


def declared(spec: ChallengeSpec, name: str) -> Metric:
    """Return the metric of that name: a declared one, or the peak memory that every board shows."""
    by_name = {metric.name: metric for metric in spec.metrics}
    return by_name.get(name) or Metric(name, "MiB", "lower")


def samples_of(result: Result, name: str) -> tuple[float, ...]:
    """Return a figure's raw values, one per run; empty if no run gave it."""
    if name in result.samples:
        return tuple(result.samples[name])
    value = result.metrics.get(name, getattr(result, name, None))  # an older format lacks samples
    return () if value is None else (float(value),)


def estimate_of(spec: ChallengeSpec, result: Result, name: str) -> Estimate | None:
    """Estimate a figure of a result with its confidence interval; ``None`` if no run gave it."""
    return estimate_samples({name: samples_of(result, name)}, declared(spec, name))


def format_figure(metric: Metric, value: float) -> str:
    """Format a metric's value with its unit: shares in per cent, ratios to three digits."""
    if metric.unit.startswith("share"):
        return f"{value:.1%}"
    return f"{value:.3g} {metric.unit}" if metric.scale == "log" else f"{value:.0f} {metric.unit}"


def format_estimate(metric: Metric, estimate: Estimate) -> str:
    """Format a metric's value with its unit and its 95 % confidence interval, if it has one."""
    shown = format_figure(metric, estimate.value)
    if estimate.low is None or estimate.high is None:
        return shown
    low, high = (format_figure(metric, v).split()[0] for v in (estimate.low, estimate.high))
    return f"{shown} ({low} to {high})"


def estimate_samples(samples: Mapping[str, Sequence[float]], metric: Metric) -> Estimate | None:
    """Estimate a metric from its samples with its confidence interval; ``None`` without samples."""
    values = samples.get(metric.name)
    return stats.estimate(values, metric.scale, metric.resolution) if values else None
