"""One kernel from start to end: cells in order, probes served, limits watched from outside."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import math
import threading
from collections.abc import Mapping
from typing import Any

from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode

from tinytorch_compete.errors import Fault
from tinytorch_compete.model import MIB, Answer, CellRun, Verdict
from tinytorch_compete.sandbox.contract import RunRequest
from tinytorch_compete.sandbox.isolation.box import Box
from tinytorch_compete.sandbox.provisioner import NAME
from tinytorch_compete.sandbox.session.channel import Channel, TimedProbeHandler
from tinytorch_compete.sandbox.session.client import BoundedClient, QuietClient
from tinytorch_compete.sandbox.session.clock import Clock
from tinytorch_compete.sandbox.session.peer import UNANSWERED
from tinytorch_compete.sandbox.session.relay import ENDED, Address, Relay
from tinytorch_compete.util.text import clean

# What reading a message raises when its signature, its JSON or its fields are wrong.
UNINTELLIGIBLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
START_S = 120
CHANNELS = ("shell_port", "iopub_port")  # those that the client opens
UNREACHED = "the run ended before this cell"
WATCH_S = 0.02
SETTLE_S = 5
MAX_MESSAGE = 300
MAX_LOOKS = 2000  # that a timeline holds


class Stop(Exception):
    """Why the watch ended a run: the verdict, and a sentence for the student."""

    def __init__(self, verdict: Verdict, message: str) -> None:
        super().__init__(message)
        self.verdict, self.message = verdict, message


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
        self._limits, self._inputs = request.limits, request.inputs
        self._stopping, self._compete, self._cell_s = stopping, compete, request.cell_s
        self._manager = _manager(provision)
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
        self._relay = Relay()
        self._clock, self._deadline_s = Clock(), math.inf
        self._cell_end_s, self._interrupted = math.inf, False
        self.cells: list[CellRun] = []
        self.stopped: Stop | None = None
        self.answers: Mapping[str, Answer] = {}
        self.facts: dict[str, Any] = {}
        self._seen: list[tuple[float, float]] = []
        self._start_s, self._spacing_s = 0.0, 0.0

    async def execute(self) -> None:
        """Run all cells; afterwards the attributes hold what happened. Raises ``Fault``."""
        try:
            await self._start()
            assert self._box is not None
            channel = Channel(self._box, self._inputs, self._clock, self._compete)
            async with channel:
                await self._run_cells(channel)
                unreached = {name: Answer(problem=UNREACHED) for name in self._inputs}
                self.answers = unreached | channel.answers
                self.facts["flags"] = (*self._flags(), *channel.flags)
        finally:
            await self._end()

    async def _start(self) -> None:
        try:
            await self._client.async_start_new_kernel()
            self._box = self._manager.provisioner.box
            await asyncio.wait_for(self._interpose(), START_S)
            await self._client.async_start_new_kernel_client()
        except (RuntimeError, OSError, DeadKernelError) as error:
            raise Fault(
                f"the kernel did not start: {error}{self._said()}. See: tito compete doctor"
            ) from error
        self._box.arm()

    async def _interpose(self) -> None:
        """Put the relay between the kernel and the client, which is told its addresses alone."""
        assert self._box is not None
        manager, place = self._manager, str(self._box.folders.relay / "k")
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

    async def _run_cells(self, channel: Channel) -> None:
        assert self._box is not None
        start_s = self._start_s = self._clock.elapsed_s()
        cpu_s = self._box.usage.cpu_s()
        self._deadline_s = start_s + self._limits.wall_s
        for index, cell in enumerate(self.notebook.cells):
            if cell.cell_type == "code" and cell.source.strip():
                self.cells.append(await self._run_cell(index, cell, channel))
        self.facts = {
            "wall_s": self._clock.elapsed_s() - start_s,
            "cpu_s": max(0.0, self._box.usage.cpu_s() - cpu_s),
            "peak_mib": self._box.usage.peak_mib(),
            "baseline_mib": self._box.usage.baseline / MIB,
            "layers": self._box.layers,
            "timeline": tuple(self._seen),
        }

    async def _run_cell(self, index: int, cell: NotebookNode, channel: Channel) -> CellRun:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if self.stopped:
            return CellRun(grade_id, None, message=f"not run: {self.stopped.message}")
        if grade_id in self._inputs:
            channel.open(grade_id)
        start_s = self._clock.elapsed_s()
        self._cell_end_s, self._interrupted = start_s + (self._cell_s or math.inf), False
        try:
            await self._run_watched(self._client.async_execute_cell(cell, index))
        except Stop as stop:
            self.stopped = stop
            self._kill()
        await channel.shut()
        self._recheck_memory()
        wall_s = self._clock.elapsed_s() - start_s
        if self.stopped:
            return CellRun(grade_id, self.stopped.verdict, wall_s, self.stopped.message)
        if self._cell_s is not None and wall_s > self._cell_s:
            return CellRun(grade_id, Verdict.OVER_TIME, wall_s, f"took over {self._cell_s:g} s")
        status, message = _outcome(cell, self._client.replies.get(index, {}))
        return CellRun(grade_id, status, wall_s, message)

    async def _run_watched(self, execution: Any) -> None:
        """Await a cell's execution, or raise ``Stop`` as soon as the watch sees a reason."""
        running = asyncio.ensure_future(execution)
        watching = asyncio.ensure_future(self._watch())
        try:
            await asyncio.wait({running, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                watching.result()
            self._check_memory()
            running.result()
        except DeadKernelError:
            raise self._ended(ENDED) from None
        except UNINTELLIGIBLE as error:  # a forged or broken message: the kernel's, not ours
            reason = f"the kernel sent what is no message ({type(error).__name__})"
            raise Stop(Verdict.ERROR, reason) from None
        finally:
            for task in (running, watching):
                task.cancel()
            # whatever a cancelled task still raises is about a run that is over
            await asyncio.wait({running, watching}, timeout=SETTLE_S)
            for task in (running, watching):
                if task.done() and not task.cancelled():
                    task.exception()

    async def _watch(self) -> None:
        """Look at the box until there is a reason to stop; raise it as ``Stop``."""
        assert self._box is not None
        while True:
            if self._stopping.is_set():
                raise Fault("the run was interrupted")
            self._check_memory()
            self._note_memory()
            if not await self._manager.is_alive():
                raise self._ended(ENDED)
            self._check_time()
            if self._relay.problem:
                raise self._ended(self._relay.problem)
            if self._box.usage.over_processes():
                raise Stop(Verdict.ERROR, f"started over {self._limits.processes} processes")
            if self._box.folders.has_intruder():
                raise Stop(Verdict.ERROR, "wrote into the folder of the kernel's channels")
            await asyncio.sleep(WATCH_S)

    def _ended(self, message: str) -> Stop:
        """Why the box's process is gone: the student's doing, unless that can't be.

        Behind walls nothing inside can send a signal to the outermost process, which ends with a
        status of its own when the kernel is killed. So its own death by a signal came from outside
        and is a ``Fault``. A kernel's death that its own code could have caused is the student's
        error, whoever caused it: what can't be told apart must not pay.
        """
        assert self._box is not None
        self._check_memory()
        process = self._manager.provisioner.process
        status = process.poll() if process else None
        if self._box.walled and status is not None and status < 0:
            raise Fault(
                f"the sandbox was killed from outside, by signal {-status}. Was it a person, "
                "or the machine for want of memory? Then run fewer at once: --workers 1"
            )
        return Stop(Verdict.ERROR, message)

    def _check_time(self) -> None:
        """Interrupt a cell at its limit; end the run at its own, or if the cell won't end."""
        assert self._box is not None
        now_s = self._clock.elapsed_s()
        if now_s > self._deadline_s:
            raise Stop(Verdict.OVER_TIME, f"stopped at the limit of {self._limits.wall_s:g} s")
        if now_s > self._cell_end_s:
            if self._interrupted:
                raise Stop(
                    Verdict.OVER_TIME, f"took over {self._cell_s:g} s and couldn't be interrupted"
                )
            self._interrupted, self._cell_end_s = True, now_s + SETTLE_S
            self._box.interrupt()

    def _check_memory(self) -> None:
        assert self._box is not None
        if self._box.usage.starved():
            raise Fault(
                "the machine ran out of memory: a process was killed below its own cap. "
                "Free some, or run fewer at once: --workers 1"
            )
        if self._box.usage.over_memory():
            raise Stop(
                Verdict.OVER_MEMORY,
                f"stopped: over the cap of {self._limits.memory_mib} MiB above the idle kernel",
            )

    def _note_memory(self) -> None:
        """Add a look to the timeline; a long run is thinned out and looked at less often."""
        assert self._box is not None
        now = self._clock.elapsed_s() - self._start_s
        if self._seen and now - self._seen[-1][0] < self._spacing_s:
            return
        self._seen.append((now, self._box.usage.used_mib()))
        if len(self._seen) >= MAX_LOOKS:
            self._seen = self._seen[::2]
            self._spacing_s = max(2 * self._spacing_s, 2 * WATCH_S)

    def _recheck_memory(self) -> None:
        """Look once more after the answer has come, which nobody watches."""
        try:
            if not self.stopped:
                self._check_memory()
        except Stop as stop:
            self.stopped = stop
            self._kill()

    def _kill(self) -> None:
        assert self._box is not None
        self._box.kill()

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
        """What in this run is for a person to look at; time and memory run out for anybody."""
        stopped = self.stopped
        broken = stopped is not None and stopped.verdict == Verdict.ERROR
        found = [f"The run was ended: {stopped.message}."] if stopped and broken else []
        for cell in self.cells:
            answer = self.answers.get(cell.grade_id)
            if answer and answer.problem == UNANSWERED and cell.status == Verdict.OK:
                found.append(f"Cell {cell.grade_id} ended well, and yet sent no answer.")
        return found

    def _said(self) -> str:
        """The end of what the closed box said before its kernel spoke, for our own reports."""
        said = self._box.log if self._box else ""
        return f"; it said: {said[-MAX_MESSAGE:]}" if said else ""


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


class _Specs(KernelSpecManager):  # type: ignore[misc]
    """Knows one kernel: this interpreter's, in a box."""

    provision: Mapping[str, Any]

    def get_kernel_spec(self, _: str) -> KernelSpec:
        return KernelSpec(
            argv=["{connection_file}"],  # the provisioner writes the real command
            display_name="tinytorch-compete",
            language="python",
            metadata={
                "kernel_provisioner": {"provisioner_name": NAME, "config": dict(self.provision)}
            },
        )


class _Manager(AsyncKernelManager):  # type: ignore[misc]
    """Ends its kernel by a kill alone, so it keeps off the control channel."""

    def _connect_control_socket(self) -> None:
        pass


def _manager(provision: Mapping[str, Any]) -> AsyncKernelManager:
    specs = _Specs()
    specs.provision = provision
    manager = _Manager(kernel_name=NAME, kernel_spec_manager=specs)
    manager.client_class = f"{QuietClient.__module__}.{QuietClient.__name__}"
    return manager
