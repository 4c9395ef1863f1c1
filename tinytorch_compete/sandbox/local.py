"""This machine's sandbox: a boxed kernel under the strongest limits that work here."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from pathlib import Path
from typing import Any

import msgspec
from nbformat import NotebookNode

from tinytorch_compete.errors import Fault
from tinytorch_compete.model import MIB, Answer, Run, Timed, Verdict
from tinytorch_compete.sandbox.contract import RunRequest
from tinytorch_compete.sandbox.isolation import cgroup, folders
from tinytorch_compete.sandbox.isolation.cores import Lanes
from tinytorch_compete.sandbox.session.channel import TimedProbeHandler
from tinytorch_compete.sandbox.session.peer import ProbePeer
from tinytorch_compete.sandbox.session.session import Session
from tinytorch_compete.sandbox.timing import noise
from tinytorch_compete.sandbox.timing.race import race


class LocalSandbox:
    """Runs each notebook in a new kernel in a new box on this machine; safe to use from threads."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._lanes = Lanes()
        cgroup.sweep()
        folders.sweep()
        self._capped = cgroup.works()

    def stop(self) -> None:
        """See ``Sandbox.stop``."""
        self._stopping.set()

    def run(self, request: RunRequest) -> Run:
        """See ``Sandbox.run``."""
        if self._stopping.is_set():
            raise Fault("the run was interrupted")
        if request.data:
            _warm(request.data)
        reference = request.reference

        def session(
            notebook: NotebookNode, files: Path | None, compete: TimedProbeHandler
        ) -> Session:
            own = msgspec.structs.replace(request, notebook=notebook, files=files)
            return Session(own, self._provision(own), self._stopping, compete)

        async def compete(own: ProbePeer, timed: Timed) -> Answer:
            if reference is None:
                raise Fault("a timed probe needs a reference.ipynb beside the challenge's grader")
            return await race(own, timed, functools.partial(session, reference, None), self._lanes)

        with self._lanes.beside() if reference else contextlib.nullcontext():
            return asyncio.run(_run(session(request.notebook, request.files, compete)))

    def _provision(self, request: RunRequest) -> dict[str, Any]:
        """The configuration of ``BoxProvisioner`` for a run."""
        return {
            "limits": msgspec.to_builtins(request.limits),
            "files": str(request.files.resolve()) if request.files else "",
            "data": str(request.data.resolve()) if request.data else "",
            "capped": self._capped,
        }


async def _run(session: Session) -> Run:
    before = noise.before()
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
        noise={**noise.since(before), **noise.of_rounds(session.answers.values())},
        **session.facts,
    )


def _warm(folder: Path) -> None:
    """Read the data once, so that its page cache is charged to the grader and not to the box."""
    for path in filter(Path.is_file, folder.iterdir()):
        with path.open("rb") as file:
            while file.read(MIB):
                pass
