"""A small master notebook, cell by cell."""

from __future__ import annotations

from nbformat import NotebookNode, v4


def cell(name: str, source: str, *, solution: bool = False, points: int | None = None):
    made = v4.new_code_cell(source)
    made.metadata["nbgrader"] = {
        "grade_id": name,
        "schema_version": 3,
        "solution": solution,
        "locked": not solution,
        "grade": points is not None,
        "task": False,
        **({} if points is None else {"points": points}),
    }
    return made


def master() -> NotebookNode:
    hidden = "# 2 points\n### BEGIN HIDDEN TESTS\nsecret = 1\n### END HIDDEN TESTS"
    return v4.new_notebook(
        cells=[
            v4.new_markdown_cell("# Title"),
            cell("setup", "import numpy"),
            cell("one", "def one(): ...", solution=True),
            v4.new_code_cell("one()  # try it"),
            cell("two", "def two(): ...", solution=True),
            cell("test", hidden, points=2),
        ]
    )
