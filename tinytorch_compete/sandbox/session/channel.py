"""The grader's end of the probes: release the inputs, hold the clock, take the answer's bytes."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from tinytorch_compete.errors import EvidenceError
from tinytorch_compete.model import Answer, Inputs, Timed
from tinytorch_compete.sandbox.isolation.box import Box
from tinytorch_compete.sandbox.session.clock import Clock
from tinytorch_compete.sandbox.session.evidence import MAX_LINE, parse_line
from tinytorch_compete.sandbox.session.peer import UNANSWERED, ProbePeer, line_of

GRACE_S = 1.0
TimedProbeHandler = Callable[[ProbePeer, Timed], Awaitable[Answer]]


class Channel:
    """Serves one probe at a time: its inputs are released once, and its first answer counts.

    A connection while no probe is open, a second connection for the same probe, or a connection
    that asks for another probe is closed at once. An answer that isn't complete when its cell ends
    doesn't count. The peer of a timed probe is handed to ``compete``. ``clock`` counts the kernel's
    own time.
    """

    def __init__(
        self,
        box: Box,
        inputs: Mapping[str, Inputs | Timed],
        clock: Clock,
        compete: TimedProbeHandler,
    ) -> None:
        self._box, self._inputs, self._clock, self._compete = box, inputs, clock, compete
        self._open: str | None = None
        self._serving: asyncio.Task[Answer] | None = None
        self._server: asyncio.Server | None = None
        self._refused: Counter[str] = Counter()
        self._broken: dict[str, str] = {}
        self.answers: dict[str, Answer] = {}

    async def __aenter__(self) -> Channel:
        path = self._box.folders.probe_socket
        if os.name == "posix":
            self._server = await asyncio.start_unix_server(self._serve, path, limit=MAX_LINE)
            self._box.hand_over(path)
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", limit=MAX_LINE)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server:
            self._server.close()
        await self._cancel()
        if self._serving and not self._serving.cancelled():
            self._serving.exception()  # the run ended by an error of its own, which is raised

    def open(self, probe: str) -> None:
        """Let the kernel fetch this probe's inputs from now on."""
        self._open, self._serving = probe, None

    async def shut(self) -> None:
        """End the open probe; an answer that isn't complete by now never counts.

        The kernel's reply can overtake the last bytes of its answer, which are in the socket by
        then: they get ``GRACE_S`` to arrive. Raises ``Fault`` if our own side of the probe failed.
        """
        if self._open is None:
            return
        if self._serving:
            await asyncio.wait({self._serving}, timeout=GRACE_S)
            if not self._serving.done():
                self._broken[self._open] = "it was cut off when its cell ended"
            await self._cancel()  # a cell that has ended is asked nothing more
        answered = self._serving and not self._serving.cancelled()
        answer = self._serving.result() if self._serving and answered else None
        self.answers[self._open] = answer or Answer(problem=UNANSWERED)
        self._open = None

    @property
    def flags(self) -> tuple[str, ...]:
        """Flag behaviour that no honest answer shows, a sentence each, for manual review."""
        refused = (
            f"{why} ({'once' if count == 1 else f'{count} times'})."
            for why, count in self._refused.items()
        )
        broken = (
            f"Sent an invalid answer to probe {name}: {why}." for name, why in self._broken.items()
        )
        return (*refused, *broken)

    async def _cancel(self) -> None:
        if self._serving and not self._serving.done():
            self._serving.cancel()
            await asyncio.wait({self._serving})

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._open is not None and self._serving is None:
                exchange = self._exchange(self._open, reader, writer)
                self._serving = asyncio.ensure_future(exchange)
                await asyncio.wait({self._serving})
            elif self._open is None:
                self._refused["Called for a probe while none was open"] += 1
            else:
                self._refused["Called again for a probe that was already served"] += 1
        finally:
            writer.close()

    async def _exchange(
        self, probe: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Answer:
        try:
            if parse_line(await line_of(reader)) != {"probe": probe}:
                raise EvidenceError("the cell asked for another probe's inputs")
            peer = ProbePeer(probe, self._box, self._clock, reader, writer)
            inputs = self._inputs[probe]
            if isinstance(inputs, Timed):
                return await self._compete(peer, inputs)
            arrays, wall_s = await peer.ask(inputs)
            return Answer(arrays=arrays, wall_s=wall_s)
        except EvidenceError as error:
            if str(error) != UNANSWERED:
                self._broken[probe] = str(error)
            return Answer(problem=str(error))
        except ConnectionError:
            return Answer(problem=UNANSWERED)
