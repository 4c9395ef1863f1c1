"""Find the tier and the division that a figure reaches."""

from __future__ import annotations

from tinytorch_compete.model import ChallengeSpec


def tier(spec: ChallengeSpec, value: float) -> str:
    """Return the hardest tier that a value of the first rank metric reaches; empty if none."""
    sign = 1 if spec.metric(spec.rank[0]).direction == "higher" else -1
    reached = [tier.name for tier in spec.tiers if sign * value >= sign * tier.at]
    return reached[-1] if reached else ""


def division(spec: ChallengeSpec, peak_mib: float) -> str:
    """Return the smallest division that a measured peak fits; empty if none."""
    fitting = [d.name for d in spec.divisions if peak_mib <= d.peak_mib]
    return fitting[0] if fitting else ""
