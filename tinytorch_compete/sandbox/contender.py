"""One kernel at the other end of a probe's socket: asked, awaited and timed from outside."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

from tinytorch_compete.errors import EvidenceError, Fault
from tinytorch_compete.model import Cost, Inputs
from tinytorch_compete.sandbox.box import Box
from tinytorch_compete.sandbox.evidence import parse_npy, parse_sizes
from tinytorch_compete.sandbox.lanes import Cores

UNANSWERED = "the cell sent no answer"
EMPTY, END = b'{"empty": true}\n', b"null\n"
Arrays = Mapping[str, Any]


class Clock:
    """The seconds in which a kernel could work: it stands still while the kernel is frozen."""

    def __init__(self) -> None:
        self._before_s = 0.0
        self._since: float | None = time.perf_counter()

    def elapsed_s(self) -> float:
        """Seconds so far."""
        running = 0.0 if self._since is None else time.perf_counter() - self._since
        return self._before_s + running

    def pause(self) -> None:
        """Stand still."""
        self._before_s, self._since = self.elapsed_s(), None

    def go_on(self) -> None:
        """Run again."""
        if self._since is None:
            self._since = time.perf_counter()


class Contender:
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
        """Release a question's inputs; the answer's arrays, and the seconds until they were here.

        Raises ``EvidenceError`` for anything but a whole and proper answer.
        """
        return await self.exchange(await self.release(inputs))

    async def release(self, inputs: Inputs) -> bytes:
        """Put a question's inputs where the kernel finds them; the line that tells it so.

        Raises ``Fault`` if they can't be written.
        """
        try:
            released = await asyncio.to_thread(self.box.release, self.probe, inputs)
        except OSError as error:
            raise Fault(
                f"{self.box.root}: the inputs can't be written ({error.strerror or error}). "
                "Is the disk full?"
            ) from None
        return json.dumps(released).encode() + b"\n"

    async def exchange(self, question: bytes) -> tuple[Arrays, float]:
        """Send a question's line and await its answer, as ``ask`` does."""
        start = time.perf_counter()
        self._writer.write(question)
        await self._writer.drain()
        files = await _files(self._reader)
        wall_s = time.perf_counter() - start
        return {name: parse_npy(name, data) for name, data in files.items()}, wall_s

    def end(self) -> None:
        """Say that there are no more questions."""
        self._writer.write(END)


class Racer:
    """A contender that is frozen except while it answers, on cores of its own; end it after use."""

    def __init__(self, contender: Contender) -> None:
        self._contender, self._box, self._clock = contender, contender.box, contender.clock
        self._freeze()
        self._instructions = self._box.instructions()
        self._cpu_s = self._box.cpu_s()

    @property
    def exact(self) -> bool:
        """Whether no process of the tree can lose its CPU seconds: a control group counts them."""
        return self._box.group is not None

    def bind(self, lane: Cores) -> None:
        """Move to a lane."""
        self._box.bind(lane)

    async def ask(self, inputs: Inputs | None) -> tuple[Arrays, Cost]:
        """Thaw, ask, freeze; ``None`` asks nothing, to see what a question costs by itself.

        Work between two answers would be charged to the second. Raises ``EvidenceError``.
        """
        question = EMPTY if inputs is None else await self._contender.release(inputs)
        counted = self._instructions.read()
        self._box.thaw()
        self._clock.go_on()
        try:
            arrays, wall_s = await self._contender.exchange(question)
        finally:
            self._freeze()
        before, self._cpu_s = self._cpu_s, self._box.cpu_s()
        now = self._instructions.read()
        retired = None if now is None or counted is None else now - counted
        return arrays, Cost(wall_s, self._cpu_s - before, retired)

    def end(self, cores: Cores) -> None:
        """Say that there are no more questions, and let the kernel go on elsewhere."""
        self._instructions.close()
        self._contender.end()
        self._box.bind(cores)
        self._clock.go_on()
        self._box.thaw()

    def _freeze(self) -> None:
        self._clock.pause()
        self._box.freeze()


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
