"""Export results to the formats of Canvas, Moodle and Gradescope."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tinytorch_compete.model import ChallengeSpec, Metric, Result


def canvas(spec: ChallengeSpec, results: Sequence[Result]) -> pd.DataFrame:
    """Return a table for Canvas's gradebook import: logins, one assignment, its points possible.

    Canvas identifies a student by ``ID``, its own number, else by ``SIS User ID``, else by
    ``SIS Login ID``, else by name, and reads assignments from the columns after ``Section``. A
    column titled like an assignment is imported into it; any other creates a new one. Empty points
    possible leave Canvas's own unchanged.

    Sources: https://teaching.resources.osu.edu/toolsets/carmencanvas/guides/calculating-final-grades/import-csv-file-carmen-grades
    for the columns, and for how they are read ``lib/gradebook_importer.rb`` in
    https://github.com/instructure/canvas-lms.
    """
    columns = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", spec.title]
    worth = max((result.max_points for result in results), default="")
    rows: list[list[object]] = [["    Points Possible", "", "", "", "", worth]]
    for result in results:
        student = result.identity.student
        rows.append([student, "", "", student, "", _points(result)])
    return pd.DataFrame(rows, columns=columns)


def moodle(spec: ChallengeSpec, results: Sequence[Result]) -> pd.DataFrame:
    """Return a table for Moodle's CSV grade import, in the form of Moodle's own export.

    On import map ``ID number`` to ``useridnumber``, or to ``username``; a single student whom
    Moodle doesn't know, or a single grade above 100 without its setting ``unlimitedgrades``, aborts
    the import. Map grade and feedback together, or Moodle drops the grades. Moodle reads feedback
    as HTML, so it is escaped here.

    Sources: https://docs.moodle.org/311/en/Grade_import, and for what aborts an import
    ``grade/import/csv/classes/load_data.php`` in https://github.com/moodle/moodle.
    """
    title = f"Assignment: {spec.title}"
    columns = ["ID number", f"{title} (Real)", f"{title} (Feedback)"]
    rows = [[r.identity.student, _points(r), html.escape(_words(r), quote=False)] for r in results]
    return pd.DataFrame(rows, columns=columns)


def gradescope(spec: ChallengeSpec, result: Result) -> str:
    """Return one submission's ``results.json``, its rank metrics as the leaderboard's columns.

    A test passes at its ``max_score``; ``text`` is shown verbatim; columns sort in descending order
    unless they say otherwise. Sources:
    https://gradescope-autograders.readthedocs.io/en/latest/specs/ and
    https://gradescope-autograders.readthedocs.io/en/latest/leaderboards/
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
    document: dict[str, Any] = {
        "score": _points(result) or 0.0,
        "execution_time": round(result.wall_s),
        "output": _words(result),
        "output_format": "text",
        "tests": tests,
        "leaderboard": [_column(spec.metric(name), result) for name in spec.rank if result.tier],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def scored(results: Sequence[Result]) -> list[Result]:
    """Return the results that count: neither our faults nor withdrawn."""
    return [result for result in results if _points(result) is not None]


def _column(metric: Metric, result: Result) -> dict[str, Any]:
    figures = {**result.metrics, "peak_mib": result.peak_mib, "wall_s": result.wall_s}
    order = {"order": "asc"} if metric.direction == "lower" else {}
    return {"name": metric.name, "value": figures[metric.name], **order}


def _points(result: Result) -> float | None:
    return None if result.withdrawal else result.points


def _words(result: Result) -> str:
    parts = [str(result.verdict), *([f"tier {result.tier}"] if result.tier else []), result.message]
    return ": ".join(part for part in parts if part)
