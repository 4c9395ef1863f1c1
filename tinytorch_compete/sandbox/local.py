"""The sandbox of this machine: a boxed kernel under the strongest limits that can be had here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec
from nbformat import NotebookNode

from tinytorch_compete.model import Inputs, Limits, Run, Verdict
from tinytorch_compete.sandbox.session import Session


class LocalSandbox:
    """Runs each notebook in a new kernel in a new box on this machine."""

    def run(
        self,
        notebook: NotebookNode,
        limits: Limits,
        inputs: Mapping[str, Inputs],
        *,
        files: Path | None = None,
        data: Path | None = None,
    ) -> Run:
        """See ``Sandbox.run``."""
        provision = {
            "limits": msgspec.to_builtins(limits),
            "files": str(files.resolve()) if files else "",
            "data": str(data.resolve()) if data else "",
        }
        return asyncio.run(_run(notebook, limits, inputs, provision))


async def _run(
    notebook: NotebookNode,
    limits: Limits,
    inputs: Mapping[str, Inputs],
    provision: Mapping[str, object],
) -> Run:
    session = Session(notebook, limits, inputs, provision)
    await session.execute()
    first = next((cell for cell in session.cells if cell.status != Verdict.OK), None)
    verdict = session.stopped.verdict if session.stopped else first.status if first else Verdict.OK
    message = session.stopped.message if session.stopped else first.message if first else ""
    return Run(
        verdict=verdict or Verdict.ERROR,
        message=message,
        cells=tuple(session.cells),
        answers=dict(session.answers),
        notebook=session.notebook,
        **session.facts,
    )
