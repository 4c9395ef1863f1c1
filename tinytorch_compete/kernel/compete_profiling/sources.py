"""Decide which code is the student's, and what a profile calls it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

# How ipykernel and IPython name the code of a cell.
CELL = re.compile(r"(?:^|[/\\])ipykernel_\d+[/\\]\d+\.py$|^<ipython-input-")
# This package, which in a checkout may lie below the kernel's working folder.
OURS = os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))), ""
)
INSTALLED = re.compile(r"[/\\](?:site|dist)-packages[/\\]")


class Sources:
    """Names for files: ``cell:NAME`` for the cell that is running, or a path below ``home``.

    ``names`` gives the names of files that ran before, by file.
    """

    def __init__(self, home: str, names: Mapping[str, str]) -> None:
        self._home = os.path.join(os.path.realpath(home), "")
        self._names: dict[str, str | None] = dict(names)
        self.cell: str | None = None

    def name(self, filename: str) -> str | None:
        """Return the name of a code object's file, or ``None`` for code that isn't the student's.

        A cell's file belongs to the cell that first ran code from it.
        """
        try:
            return self._names[filename]
        except KeyError:
            self._names[filename] = name = self._find(filename)
            return name

    def _find(self, filename: str) -> str | None:
        if CELL.search(filename):
            return f"cell:{self.cell}" if self.cell is not None else None
        path = os.path.realpath(filename)
        # Code compiled from a string, such as a named tuple's, names a file that doesn't exist.
        if not os.path.isfile(path) or INSTALLED.search(path) or path.startswith(OURS):
            return None
        if not path.startswith(self._home):
            return None
        return path.removeprefix(self._home).replace(os.sep, "/")
