"""The grader's end of the probes: release the inputs, hold the clock, take the answer's bytes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Mapping

from tinytorch_compete.errors import EvidenceError
from tinytorch_compete.model import Answer, Inputs
from tinytorch_compete.sandbox.box import Box
from tinytorch_compete.sandbox.evidence import MAX_LINE, parse_line, parse_npy, parse_sizes

UNANSWERED = "the cell sent no answer"
GRACE_S = 1.0


class Channel:
    """Serves one probe at a time: its inputs are released once, and its first answer counts.

    A connection when no probe is open, a second one for the same probe, or one that asks for
    another probe is closed at once. An answer that isn't whole when its cell ends is none.
    """

    def __init__(self, box: Box, inputs: Mapping[str, Inputs]) -> None:
        self._box, self._inputs = box, inputs
        self._open: str | None = None
        self._taken = False
        self._ended = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._refused: Counter[str] = Counter()
        self._broken: dict[str, str] = {}
        self.answers: dict[str, Answer] = {}

    async def __aenter__(self) -> Channel:
        path = str(self._box.root / "ipc" / "probe.sock")
        if os.name == "posix":
            self._server = await asyncio.start_unix_server(self._serve, path, limit=MAX_LINE)
            self._box.hand_over(path)
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", limit=MAX_LINE)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server:
            self._server.close()

    def open(self, probe: str) -> None:
        """Let the kernel fetch this probe's inputs from now on."""
        self._open, self._taken, self._ended = probe, False, asyncio.Event()

    async def shut(self) -> None:
        """End the open probe; what has not been sent whole by now is unanswered for good.

        The kernel's reply can overtake the last bytes of its answer, which are in the socket by
        then: they get ``GRACE_S`` to arrive.
        """
        if self._open is not None:
            if self._taken:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._ended.wait(), GRACE_S)
            self.answers.setdefault(self._open, Answer(problem=UNANSWERED))
        self._open = None

    @property
    def flags(self) -> tuple[str, ...]:
        """What an honest answer wouldn't have done, a sentence each, for a person to look at."""
        refused = (f"{why}: {count} times." for why, count in self._refused.items())
        broken = (
            f"Sent what is no answer to probe {name}: {why}." for name, why in self._broken.items()
        )
        return (*refused, *broken)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        probe, ended = self._open, self._ended
        try:
            if probe is not None and not self._taken:
                self._taken = True
                with contextlib.suppress(ConnectionError):
                    answer = await self._exchange(probe, reader, writer)
                    if self._open == probe:
                        self.answers.setdefault(probe, answer)
                ended.set()
            elif probe is None:
                self._refused["Called for a probe while none was open"] += 1
            else:
                self._refused["Called again for a probe that was taken"] += 1
        finally:
            writer.close()

    async def _exchange(
        self, probe: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Answer:
        try:
            if parse_line(await _line(reader)) != {"probe": probe}:
                raise EvidenceError("the cell asked for another probe's inputs")
            released = await asyncio.to_thread(self._box.release, probe, self._inputs[probe])
            writer.write(json.dumps(released).encode() + b"\n")
            start = time.perf_counter()
            await writer.drain()
            files = await _files(reader)
            wall_s = time.perf_counter() - start
            arrays = {name: parse_npy(name, data) for name, data in files.items()}
            return Answer(arrays=arrays, wall_s=wall_s)
        except EvidenceError as error:
            if str(error) != UNANSWERED:
                self._broken[probe] = str(error)
            return Answer(problem=str(error))


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:  # longer than the stream's limit
        raise EvidenceError("the answer's header is too long") from None


async def _files(reader: asyncio.StreamReader) -> dict[str, bytes]:
    line = await _line(reader)
    if not line:
        raise EvidenceError(UNANSWERED)
    try:
        return {name: await reader.readexactly(size) for name, size in parse_sizes(line).items()}
    except asyncio.IncompleteReadError:
        raise EvidenceError("the answer was cut off") from None
