"""Results in the formats that Canvas, Moodle and Gradescope read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tinytorch_compete.model import Challenge, Metric, Result


def canvas(challenge: Challenge, results: Sequence[Result]) -> pd.DataFrame:
    """A table for Canvas's gradebook import: who by login, one assignment, its points possible.

    Canvas takes a student from any of the three columns of ids, and wants all five columns before
    the first assignment. Source: Instructure community guide, "How do I import grades in the
    Gradebook?".
    """
    columns = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", challenge.title]
    worth = max((result.max_points for result in results), default=0.0)
    rows: list[list[object]] = [["    Points Possible", "", "", "", "", worth]]
    for result in results:
        student = result.identity.student
        rows.append([student, "", "", student, "", _points(result)])
    return pd.DataFrame(rows, columns=columns)


def moodle(challenge: Challenge, results: Sequence[Result]) -> pd.DataFrame:
    """A table for Moodle's CSV grade import, in the form of Moodle's own export.

    Map ``ID number`` to ``useridnumber``, or to the field that students are known by; map grade and
    feedback together, or Moodle drops the grades. Source: docs.moodle.org, "Grade import".
    """
    title = f"Assignment: {challenge.title}"
    columns = ["ID number", f"{title} (Real)", f"{title} (Feedback)"]
    rows = [[r.identity.student, _points(r), _words(r)] for r in results]
    return pd.DataFrame(rows, columns=columns)


def gradescope(challenge: Challenge, result: Result) -> str:
    """One submission's ``results.json``, its rank metrics as the leaderboard's columns.

    Source: gradescope-autograders.readthedocs.io, "Autograder specifications", output format.
    """
    tests = [
        {
            "name": cell.grade_id,
            "score": cell.points,
            "max_score": cell.max_points,
            "output": cell.message,
            "output_format": "text",
        }
        for cell in result.cells
    ]
    made: dict[str, Any] = {
        "score": _points(result) or 0.0,
        "execution_time": round(result.wall_s),
        "output": _words(result),
        "output_format": "text",
        "tests": tests,
        "leaderboard": [
            _column(challenge.metric(name), result) for name in challenge.rank if result.tier
        ],
    }
    return json.dumps(made, indent=2, allow_nan=False) + "\n"


def scored(results: Sequence[Result]) -> list[Result]:
    """The results that count: neither faults of ours nor withdrawn."""
    return [result for result in results if _points(result) is not None]


def _column(metric: Metric, result: Result) -> dict[str, Any]:
    figures = {**result.metrics, "peak_mib": result.peak_mib, "wall_s": result.wall_s}
    order = {"order": "asc"} if metric.direction == "lower" else {}
    return {"name": metric.name, "value": figures[metric.name], **order}


def _points(result: Result) -> float | None:
    return None if result.withdrawal else result.points


def _words(result: Result) -> str:
    found = [str(result.verdict), *([f"tier {result.tier}"] if result.tier else []), result.message]
    return ": ".join(word for word in found if word)
