"""One kernel from start to end: cells in order, probes served, limits watched from outside."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import threading
from collections.abc import Mapping
from typing import Any

from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode

from tinytorch_compete.errors import Fault
from tinytorch_compete.model import MIB, Answer, CellRun, Verdict
from tinytorch_compete.sandbox.contract import RunRequest
from tinytorch_compete.sandbox.isolation.box import Box
from tinytorch_compete.sandbox.session.channel import Channel, TimedProbeHandler
from tinytorch_compete.sandbox.session.client import BoundedClient
from tinytorch_compete.sandbox.session.clock import Clock
from tinytorch_compete.sandbox.session.manager import make_manager
from tinytorch_compete.sandbox.session.peer import UNANSWERED
from tinytorch_compete.sandbox.session.relay import ENDED, GARBLED, Address, Relay
from tinytorch_compete.sandbox.session.supervisor import Stop, Supervisor
from tinytorch_compete.util.text import clean

# The exceptions of reading a message whose signature, JSON or fields are wrong.
UNINTELLIGIBLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
START_S = 120
CHANNELS = ("shell_port", "iopub_port")  # those that the client opens
UNREACHED = "the run ended before this cell"
SETTLE_S = 5  # that cancelled tasks have to end
MAX_MESSAGE = 300


class Session:
    """Executes one notebook in one box; use it once, by ``await session.execute()``."""

    def __init__(
        self,
        request: RunRequest,
        provision: Mapping[str, Any],
        stopping: threading.Event,
        compete: TimedProbeHandler,
    ) -> None:
        self.notebook = copy.deepcopy(request.notebook)
        self._request, self._stopping, self._compete = request, stopping, compete
        self._manager = make_manager(provision)
        self._client = BoundedClient(
            self.notebook,
            km=self._manager,
            allow_errors=True,
            timeout=None,
            startup_timeout=START_S,
            shutdown_kernel="immediate",
            record_timing=False,
            store_widget_state=False,
        )
        self._box: Box | None = None
        self._relay, self._clock = Relay(), Clock()
        self.cells: list[CellRun] = []
        self.stopped: Stop | None = None
        self.answers: Mapping[str, Answer] = {}
        self.facts: dict[str, Any] = {}

    async def execute(self) -> None:
        """Run all cells; afterwards the attributes hold the results. Raises ``Fault``."""
        request = self._request
        try:
            box = await self._start()
            supervisor = Supervisor(
                box, self._manager, self._relay, self._clock, request, self._stopping
            )
            channel = Channel(box, request.inputs, self._clock, self._compete)
            async with channel:
                await self._run_cells(channel, supervisor)
                unreached = {name: Answer(problem=UNREACHED) for name in request.inputs}
                self.answers = unreached | channel.answers
                self.facts["flags"] = (*self._flags(), *channel.flags)
        finally:
            await self._end()

    async def _start(self) -> Box:
        try:
            await self._client.async_start_new_kernel()
            box: Box = self._manager.provisioner.box
            self._box = box
            await asyncio.wait_for(self._interpose(box), START_S)
            await self._client.async_start_new_kernel_client()
        except (RuntimeError, OSError, DeadKernelError) as error:
            raise Fault(
                f"the kernel did not start: {error}{self._log_tail()}. See: tito compete doctor"
            ) from error
        box.arm()
        return box

    async def _interpose(self, box: Box) -> None:
        """Put the relay between the kernel and the client, which learns the relay's addresses."""
        manager, place = self._manager, str(box.folders.relay / "k")
        unix = manager.transport == "ipc"
        for name in CHANNELS:
            port = getattr(manager, name)
            kernel: Address = f"{manager.ip}-{port}" if unix else (manager.ip, port)
            listen: Address = f"{place}-{port}" if unix else (manager.ip, 0)
            address = await self._relay.add(kernel, listen, manager.is_alive)
            if not unix:
                setattr(manager, name, address[1])
        if unix:
            manager.ip = place

    async def _run_cells(self, channel: Channel, supervisor: Supervisor) -> None:
        box = supervisor.box
        supervisor.start_run()
        cpu_s = box.usage.cpu_s()
        for index, cell in enumerate(self.notebook.cells):
            if cell.cell_type == "code" and cell.source.strip():
                self.cells.append(await self._run_cell(index, cell, channel, supervisor))
        self.facts = {
            "wall_s": supervisor.elapsed_s(),
            "cpu_s": max(0.0, box.usage.cpu_s() - cpu_s),
            "peak_mib": box.usage.peak_mib(),
            "baseline_mib": box.usage.baseline / MIB,
            "layers": box.layers,
            "timeline": tuple(supervisor.timeline),
        }

    async def _run_cell(
        self, index: int, cell: NotebookNode, channel: Channel, supervisor: Supervisor
    ) -> CellRun:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if self.stopped:
            return CellRun(grade_id, None, message=f"not run: {self.stopped.message}")
        if grade_id in self._request.inputs:
            channel.open(grade_id)
        start_s = supervisor.elapsed_s()
        supervisor.start_cell()
        try:
            await self._run_watched(self._client.async_execute_cell(cell, index), supervisor)
        except Stop as stop:
            self._stop(stop, supervisor)
        await channel.shut()
        self._recheck_memory(supervisor)
        wall_s = supervisor.elapsed_s() - start_s
        if self.stopped:
            return CellRun(grade_id, self.stopped.verdict, wall_s, self.stopped.message)
        limit_s = self._request.cell_s
        if limit_s is not None and wall_s > limit_s:
            return CellRun(grade_id, Verdict.OVER_TIME, wall_s, f"took over {limit_s:g} s")
        status, message = _outcome(cell, self._client.replies.get(index, {}))
        return CellRun(grade_id, status, wall_s, message)

    async def _run_watched(self, execution: Any, supervisor: Supervisor) -> None:
        """Await a cell's execution, or raise ``Stop`` as soon as the watch sees a reason."""
        running = asyncio.ensure_future(execution)
        watching = asyncio.ensure_future(supervisor.watch())
        try:
            await asyncio.wait({running, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                watching.result()
            supervisor.check_memory()
            running.result()
        except DeadKernelError:
            raise supervisor.ended(ENDED) from None
        except UNINTELLIGIBLE as error:  # a forged or broken message: the kernel's, not ours
            raise Stop(Verdict.ERROR, f"{GARBLED} ({type(error).__name__})") from None
        finally:
            await _cancel(running, watching)

    def _stop(self, stop: Stop, supervisor: Supervisor) -> None:
        self.stopped = stop
        supervisor.box.kill()

    def _recheck_memory(self, supervisor: Supervisor) -> None:
        """Check the memory once more: nobody watches it while the last of an answer arrives."""
        try:
            if not self.stopped:
                supervisor.check_memory()
        except Stop as stop:
            self._stop(stop, supervisor)

    async def _end(self) -> None:
        """Shut the kernel and its channels; the provisioner closes the box."""
        await self._relay.close()
        if self._client.kc is not None:
            with contextlib.suppress(RuntimeError, OSError):
                self._client.kc.stop_channels()
        if self._manager.provisioner is not None:
            if self._manager.has_kernel:
                await self._manager.shutdown_kernel(now=True)
            else:
                await self._manager.provisioner.cleanup()

    def _flags(self) -> list[str]:
        """Flag the run for manual review; running out of time or memory is no reason for that."""
        stopped = self.stopped
        broken = stopped is not None and stopped.verdict == Verdict.ERROR
        flags = [f"The run was ended: {stopped.message}."] if stopped and broken else []
        for cell in self.cells:
            answer = self.answers.get(cell.grade_id)
            if answer and answer.problem == UNANSWERED and cell.status == Verdict.OK:
                flags.append(f"Cell {cell.grade_id} ended well, and yet sent no answer.")
        return flags

    def _log_tail(self) -> str:
        """The end of the box's log, for our own reports; empty without a log."""
        log = self._box.log() if self._box else ""
        return f"; it said: {log[-MAX_MESSAGE:]}" if log else ""


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks; a later exception of theirs is about a run that is over, and is dropped."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=SETTLE_S)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()


def _outcome(cell: NotebookNode, reply: Mapping[str, Any]) -> tuple[Verdict, str]:
    """A finished cell's verdict from its error output or reply, and that error in one line."""
    error = next((o for o in cell.outputs if o.get("output_type") == "error"), None)
    if error is None and reply.get("status") == "error":
        error = reply  # the output got lost on its way, in a flood or for want of memory
    if error is None:
        return Verdict.OK, ""
    name, value = (clean(error.get(key, "")) for key in ("ename", "evalue"))
    verdict = Verdict.OVER_MEMORY if "MemoryError" in name else Verdict.ERROR
    return verdict, (f"{name}: {value}" if value else name)[:MAX_MESSAGE]
