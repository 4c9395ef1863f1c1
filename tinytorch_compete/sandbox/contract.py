"""The seam between grading and the places where student code runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec
from nbformat import NotebookNode

from tinytorch_compete.model import Inputs, Limits, Run, Timed

# The media types that are kept of a kernel's displays.
KEPT_MEDIA = ("text/plain", "image/png")


class RunRequest(msgspec.Struct, frozen=True):
    """Everything that a run depends on.

    ``inputs`` maps a grading cell's id to the inputs of its probe. ``files`` is a folder whose
    content the kernel finds in its working folder, ``data`` a folder that it finds there as
    ``data/``, read-only. For timed inputs ``reference``, a notebook of ours, is run beside the
    notebook and answers the same questions in turn. A cell that takes more than ``cell_s`` seconds
    is interrupted and ``OVER_TIME``, and the next cell is run; a cell that goes on in spite of its
    interruption ends the run.
    """

    notebook: NotebookNode
    limits: Limits
    inputs: Mapping[str, Inputs | Timed] = {}
    files: Path | None = None
    data: Path | None = None
    reference: NotebookNode | None = None
    cell_s: float | None = None


class Sandbox(Protocol):
    """Runs an assembled notebook and returns facts and evidence, never an opinion.

    Every implementation passes ``tests/sandbox/test_conformance.py``.
    """

    def run(self, request: RunRequest) -> Run:
        """Execute the request's notebook, cell by cell, and return the facts of the run.

        A cell that raises fails alone; a kernel that dies or passes a limit fails its cell and all
        after it. The request's notebook isn't changed. Raises ``Fault`` when the sandbox itself or
        the reference fails.
        """
        ...

    def stop(self) -> None:
        """End all runs, current and future, each by a ``Fault``: for an orderly interruption."""
        ...
