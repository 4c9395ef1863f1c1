"""Remove hidden tests and unsafe outputs from a student's notebook."""

from __future__ import annotations

import base64
import copy
import itertools
import re
from collections.abc import Iterator
from typing import Any

from nbformat import NotebookNode, v4

from tinytorch_compete.sandbox.contract import KEPT_MEDIA

BEGIN_HIDDEN, END_HIDDEN = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"  # nbgrader's marks


def without_hidden_tests(notebook: NotebookNode) -> NotebookNode:
    """Return a copy without the hidden parts of cells, and without the outputs of such cells."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        shown = _without_hidden(cell.source)
        if shown != cell.source:
            cell.source = shown.rstrip("\n")
            if cell.cell_type == "code":
                cell.outputs = []
    return notebook


def _without_hidden(source: str) -> str:
    """A text without the lines between the marks; a mark without an end hides nothing."""
    visible: list[str] = []
    hidden: list[str] = []
    for line in source.split("\n"):
        start = line.lstrip(" \t")
        if hidden or start.startswith(BEGIN_HIDDEN):
            hidden.append(line)
            if start.startswith(END_HIDDEN):
                hidden.clear()
        else:
            visible.append(line)
    return "\n".join([*visible, *hidden])


def with_plain_outputs(notebook: NotebookNode) -> NotebookNode:
    """Return a copy with text, tracebacks and PNG pictures as its only outputs."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = list(_joined(list(_plain(cell.outputs))))
            cell.execution_count = None
    return notebook


def _is_png(text: Any) -> bool:
    """Whether a text is a PNG picture in base64, and so can't break out of an attribute."""
    try:
        data = base64.b64decode(re.sub(r"\s", "", text), validate=True)
    except (TypeError, ValueError):
        return False
    return data.startswith(b"\x89PNG\r\n\x1a\n")


def _joined(outputs: list[NotebookNode]) -> Iterator[NotebookNode]:
    """The outputs, with adjacent pieces of the same stream joined."""
    kinds = lambda output: (output.get("output_type"), output.get("name"))  # noqa: E731
    for (kind, name), group in itertools.groupby(outputs, kinds):
        if kind == "stream":
            text = "".join(str(output.get("text")) for output in group)
            yield v4.new_output("stream", name=str(name), text=text)
        else:
            yield from group


def _plain(outputs: list[NotebookNode]) -> Iterator[NotebookNode]:
    for output in outputs:
        kind = output.get("output_type")
        if kind in ("display_data", "execute_result"):
            data = {key: output.data[key] for key in KEPT_MEDIA if key in output.get("data", {})}
            if not _is_png(data.get("image/png")):
                data.pop("image/png", None)
            if data:
                yield v4.new_output("display_data", data)
        elif kind == "error":
            yield v4.new_output(
                "error",
                ename=str(output.get("ename")),
                evalue=str(output.get("evalue")),
                traceback=[str(line) for line in output.get("traceback", [])],
            )
        elif kind == "stream":
            name = "stderr" if output.get("name") == "stderr" else "stdout"
            yield v4.new_output("stream", name=name, text=str(output.get("text")))
