"""The limits of a run, watched from outside while its cells are executed."""

from __future__ import annotations

import asyncio
import math
import threading
from typing import NoReturn

from jupyter_client import AsyncKernelManager

from tinytorch_compete.errors import Fault
from tinytorch_compete.model import Verdict
from tinytorch_compete.sandbox.contract import RunRequest
from tinytorch_compete.sandbox.isolation.box import Box
from tinytorch_compete.sandbox.session.clock import Clock
from tinytorch_compete.sandbox.session.relay import ENDED, Relay

WATCH_S = 0.02  # between two looks
INTERRUPT_S = 5  # that an interrupted cell has to end
MAX_LOOKS = 2000  # that a timeline holds


class Stop(Exception):
    """Why a run must end: the verdict, and a sentence for the student."""

    def __init__(self, verdict: Verdict, message: str) -> None:
        super().__init__(message)
        self.verdict, self.message = verdict, message


class Supervisor:
    """Looks at a box, its kernel and its relay until there is a reason to end the run.

    ``timeline`` holds pairs of seconds since ``start_run`` and MiB above the idle kernel.
    """

    def __init__(
        self,
        box: Box,
        manager: AsyncKernelManager,
        relay: Relay,
        clock: Clock,
        request: RunRequest,
        stopping: threading.Event,
    ) -> None:
        self.box = box
        self.timeline: list[tuple[float, float]] = []
        self._manager, self._relay, self._clock = manager, relay, clock
        self._limits, self._cell_limit_s = request.limits, request.cell_s
        self._stopping = stopping
        self._start_s, self._spacing_s = 0.0, 0.0
        self._cell_end_s, self._interrupted = math.inf, False

    def start_run(self) -> None:
        """Start the run's time limit and its timeline now."""
        self._start_s = self._clock.elapsed_s()

    def start_cell(self) -> None:
        """Start a cell's time limit now."""
        now_s = self._clock.elapsed_s()
        self._cell_end_s, self._interrupted = now_s + (self._cell_limit_s or math.inf), False

    def elapsed_s(self) -> float:
        """Seconds since ``start_run`` in which the kernel could work."""
        return self._clock.elapsed_s() - self._start_s

    async def watch(self) -> NoReturn:
        """Look at the run until there is a reason to end it, and raise that as ``Stop``.

        Raises ``Fault`` when the reason isn't the student's.
        """
        while True:
            if self._stopping.is_set():
                raise Fault("the run was interrupted")
            self.check_memory()
            self._note_memory()
            if not await self._manager.is_alive():
                raise self.ended(ENDED)
            self._check_time()
            if self._relay.problem:
                raise self.ended(self._relay.problem)
            if self.box.usage.over_processes():
                raise Stop(Verdict.ERROR, f"started over {self._limits.processes} processes")
            if self.box.folders.has_intruder():
                raise Stop(Verdict.ERROR, "wrote into the folder of the kernel's channels")
            await asyncio.sleep(WATCH_S)

    def ended(self, message: str) -> Stop:
        """Why the box's process is gone: the student's doing, unless that can't be.

        Behind walls nothing inside can send a signal to the outermost process, which ends with a
        status of its own when the kernel is killed. So its own death by a signal came from outside
        and is a ``Fault``. A kernel's death that its own code could have caused is the student's
        error, whoever caused it: a death that can't be attributed must not pay.
        """
        self.check_memory()
        process = self._manager.provisioner.process
        status = process.poll() if process else None
        if self.box.walled and status is not None and status < 0:
            raise Fault(
                f"the sandbox was killed from outside, by signal {-status}: by a person, or by the "
                "machine for want of memory. Then run fewer submissions at once: --workers 1"
            )
        return Stop(Verdict.ERROR, message)

    def check_memory(self) -> None:
        """Raise ``Stop`` if the tree is over its cap, ``Fault`` if the machine has no memory."""
        if self.box.usage.starved():
            raise Fault(
                "the machine ran out of memory: a process was killed below its own cap. "
                "Free some, or run fewer submissions at once: --workers 1"
            )
        if self.box.usage.over_memory():
            raise Stop(
                Verdict.OVER_MEMORY,
                f"stopped: over the cap of {self._limits.memory_mib} MiB above the idle kernel",
            )

    def _check_time(self) -> None:
        """Interrupt a cell at its limit; end the run at its own, or if the cell won't end."""
        if self.elapsed_s() > self._limits.wall_s:
            raise Stop(Verdict.OVER_TIME, f"stopped at the limit of {self._limits.wall_s:g} s")
        now_s = self._clock.elapsed_s()
        if now_s > self._cell_end_s:
            if self._interrupted:
                raise Stop(
                    Verdict.OVER_TIME,
                    f"took over {self._cell_limit_s:g} s and couldn't be interrupted",
                )
            self._interrupted, self._cell_end_s = True, now_s + INTERRUPT_S
            self.box.interrupt()

    def _note_memory(self) -> None:
        """Add a look to the timeline; a long run is thinned out and looked at less often."""
        now_s = self.elapsed_s()
        if self.timeline and now_s - self.timeline[-1][0] < self._spacing_s:
            return
        self.timeline.append((now_s, self.box.usage.used_mib()))
        if len(self.timeline) >= MAX_LOOKS:
            self.timeline = self.timeline[::2]
            self._spacing_s = max(2 * self._spacing_s, 2 * WATCH_S)
