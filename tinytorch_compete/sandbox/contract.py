"""The seam between grading and the places where student code runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from nbformat import NotebookNode

from tinytorch_compete.model import Inputs, Limits, Run, Timed


class Sandbox(Protocol):
    """Runs an assembled notebook and brings out facts and evidence, never an opinion.

    Every implementation passes ``tests/sandbox/test_conformance.py``.
    """

    def run(
        self,
        notebook: NotebookNode,
        limits: Limits,
        inputs: Mapping[str, Inputs | Timed],
        *,
        files: Path | None = None,
        data: Path | None = None,
        reference: NotebookNode | None = None,
        cell_s: float | None = None,
    ) -> Run:
        """Execute the notebook's cells in order and return what happened.

        ``inputs`` maps a grading cell's id to what its probe is handed. ``files`` is a folder whose
        content the kernel finds in its working folder, ``data`` one that it finds there as
        ``data/``, read-only. A cell that raises fails alone; a kernel that dies or passes a limit
        fails its cell and all after it. ``notebook`` isn't changed. For timed inputs ``reference``,
        a notebook of ours, is run beside it and answers the same questions in turn. A cell that
        takes over ``cell_s`` seconds is interrupted and ``OVER_TIME``, and the next one is run; if
        it goes on all the same, that ends the run. Raises ``Fault`` when the sandbox itself or the
        reference fails.
        """
        ...

    def stop(self) -> None:
        """End all runs, now and to come: each raises ``Fault``. For an orderly interruption."""
        ...


KEPT_MEDIA = ("text/plain", "image/png")
