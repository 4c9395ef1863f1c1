"""The seam between grading and the places where student code runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec
from nbformat import NotebookNode

from tinytorch_compete.model import Inputs, Limits, Run, Timed

# The kinds of output that are kept of what a kernel displays.
KEPT_MEDIA = ("text/plain", "image/png")


class RunRequest(msgspec.Struct, frozen=True):
    """Everything that a run depends on.

    ``inputs`` maps a grading cell's id to what its probe is handed. ``files`` is a folder whose
    content the kernel finds in its working folder, ``data`` one that it finds there as ``data/``,
    read-only. For timed inputs ``reference``, a notebook of ours, is run beside the notebook and
    answers the same questions in turn. A cell that takes more than ``cell_s`` seconds is
    interrupted and ``OVER_TIME``, and the next one is run; if it goes on all the same, that ends
    the run.
    """

    notebook: NotebookNode
    limits: Limits
    inputs: Mapping[str, Inputs | Timed] = {}
    files: Path | None = None
    data: Path | None = None
    reference: NotebookNode | None = None
    cell_s: float | None = None


class Sandbox(Protocol):
    """Runs an assembled notebook and brings out facts and evidence, never an opinion.

    Every implementation passes ``tests/sandbox/test_conformance.py``.
    """

    def run(self, request: RunRequest) -> Run:
        """Execute the request's notebook, cell by cell, and return what happened.

        A cell that raises fails alone; a kernel that dies or passes a limit fails its cell and all
        after it. The request's notebook isn't changed. Raises ``Fault`` when the sandbox itself or
        the reference fails.
        """
        ...

    def stop(self) -> None:
        """End all runs, now and to come: each raises ``Fault``. For an orderly interruption."""
        ...
