"""Results as a pandas table, safe to open in a spreadsheet."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from tinytorch_compete.model import Result

FORMULA = tuple("=+-@\t\r")


def frame(results: Sequence[Result]) -> pd.DataFrame:
    """Return the results as a table, one row each; a metric's column is named after it.

    Units: ``peak_mib`` and ``baseline_mib`` in MiB, ``wall_s`` and ``cpu_s`` in seconds; those of
    metrics are declared in ``challenge.toml``. ``points`` is missing for a fault and for a
    withdrawn result, whose reason is in ``withdrawn``; its other figures remain.
    """
    return pd.DataFrame([_row(result) for result in results])


def harmless(table: pd.DataFrame) -> pd.DataFrame:
    """Return a copy in which no text is a spreadsheet formula: ``= + - @`` get a quote in front."""
    return table.map(lambda v: f"'{v}" if isinstance(v, str) and v[:1] in FORMULA else v)


def _row(result: Result) -> dict[str, object]:
    identity, withdrawal = result.identity, result.withdrawal
    return {
        "student": identity.student,
        "challenge": identity.challenge,
        "dataset": identity.dataset,
        "final": identity.final,
        "verdict": str(result.verdict),
        "points": None if withdrawal else result.points,
        "max_points": result.max_points,
        "tier": result.tier,
        "division": result.division,
        **result.metrics,
        "peak_mib": result.peak_mib,
        "baseline_mib": result.baseline_mib,
        "wall_s": result.wall_s,
        "cpu_s": result.cpu_s,
        "message": result.message,
        "flags": " ".join(result.flags),
        "findings": " ".join(result.findings or ()),
        "memory_cap_mib": identity.limits.memory_mib,
        "sandbox": " + ".join(result.layers),
        **{f"version_{name}": version for name, version in result.versions.items()},
        "challenge_sha": identity.challenge_sha,
        "grader_sha": identity.grader_sha,
        "submission_sha": identity.submission_sha,
        "seed_sha": identity.seed_sha,
        "graded_at": result.graded_at,
        "withdrawn": withdrawal.reason if withdrawal else "",
        "withdrawn_at": withdrawal.withdrawn_at if withdrawal else None,
    }
