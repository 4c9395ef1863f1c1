"""Which tier and division a figure reaches."""

from __future__ import annotations

from tinytorch_compete.model import Challenge


def tier(challenge: Challenge, value: float) -> str:
    """The hardest tier that a value of the first rank metric reaches; empty below the first."""
    sign = 1 if challenge.metric(challenge.rank[0]).direction == "higher" else -1
    reached = [tier.name for tier in challenge.tiers if sign * value >= sign * tier.at]
    return reached[-1] if reached else ""


def division(challenge: Challenge, peak_mib: float) -> str:
    """The smallest division that a measured peak fits; empty where there is none."""
    fitting = [d.name for d in challenge.divisions if peak_mib <= d.peak_mib]
    return fitting[0] if fitting else ""
