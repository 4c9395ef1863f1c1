"""One kernel at the other end of a probe's socket: asked, awaited and timed from outside."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

from tinytorch_compete.errors import EvidenceError, Fault
from tinytorch_compete.model import Inputs
from tinytorch_compete.sandbox.isolation.box import Box
from tinytorch_compete.sandbox.session.clock import Clock
from tinytorch_compete.sandbox.session.evidence import parse_npy, parse_sizes

UNANSWERED = "the cell sent no answer"
EMPTY, END = b'{"empty": true}\n', b"null\n"
Arrays = Mapping[str, Any]


class ProbePeer:
    """A kernel that waits for a probe's questions."""

    def __init__(
        self,
        probe: str,
        box: Box,
        clock: Clock,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.box, self.clock = box, clock
        self.probe = probe
        self._reader, self._writer = reader, writer

    async def ask(self, inputs: Inputs) -> tuple[Arrays, float]:
        """Release a question's inputs; return the answer's arrays and the seconds that they took.

        Raises ``EvidenceError`` for anything but a complete and valid answer.
        """
        return await self.exchange(await self.release(inputs))

    async def release(self, inputs: Inputs) -> bytes:
        """Put a question's inputs where the kernel finds them; return the line that announces them.

        Raises ``Fault`` if they can't be written.
        """
        try:
            message = await asyncio.to_thread(self.box.folders.release, self.probe, inputs)
        except OSError as error:
            raise Fault(
                f"{self.box.folders.root}: the inputs can't be written "
                f"({error.strerror or error}). Is the disk full?"
            ) from None
        return json.dumps(message).encode() + b"\n"

    async def exchange(self, question: bytes) -> tuple[Arrays, float]:
        """Send a question's line and await its answer, as ``ask`` does."""
        start = time.perf_counter()
        self._writer.write(question)
        await self._writer.drain()
        files = await _files(self._reader)
        wall_s = time.perf_counter() - start
        return {name: parse_npy(name, data) for name, data in files.items()}, wall_s

    def end(self) -> None:
        """Tell the kernel that there are no more questions."""
        self._writer.write(END)


async def line_of(reader: asyncio.StreamReader) -> bytes:
    """The next line; raises ``EvidenceError`` for one that is too long."""
    try:
        return await reader.readline()
    except ValueError:  # longer than the stream's limit
        raise EvidenceError("the answer's header is too long") from None


async def _files(reader: asyncio.StreamReader) -> dict[str, bytes]:
    line = await line_of(reader)
    if not line:
        raise EvidenceError(UNANSWERED)
    try:
        return {name: await reader.readexactly(size) for name, size in parse_sizes(line).items()}
    except asyncio.IncompleteReadError:
        raise EvidenceError("the answer was cut off") from None
