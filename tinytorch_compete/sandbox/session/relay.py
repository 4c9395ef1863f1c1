"""Stand between a kernel's sockets and the grader's ZeroMQ, and bound the messages.

libzmq collects a message whole, however large, before anybody sees it; code that has taken over its
kernel's connection could fill the grader's memory by one message of endless parts. So the grader's
client connects to a relay of ours, which collects each message itself within bounds.
Framing: ZMTP 3.1, https://rfc.zeromq.org/spec/37/ (a greeting of 64 bytes, then frames: flags, size
in one or eight bytes, body).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from tinytorch_compete.model import MIB

GREETING_BYTES = 64
MORE, LONG, COMMAND = 1, 2, 4
# The cost of a frame beside its body: a zmq_msg_t takes 64 bytes, an empty ``bytes`` 33, and lists
# hold them.
FRAME_BYTES = 128
MAX_PARTS = 1024  # of one message; a kernel's own have seven and one more for each buffer
MAX_MESSAGE_BYTES = 32 * MIB  # of one message, its frames' costs included
FLOOD_BYTES = 64 * MIB  # of all messages; beyond it the run is stopped
CHUNK_BYTES = 64 * 1024  # read at once of what the grader itself sends
RETRY_S = 0.005
FLOODED = f"sent more than {FLOOD_BYTES // MIB} MiB in messages and outputs"
OVERLONG = f"sent a message of more than {MAX_MESSAGE_BYTES // MIB} MiB or {MAX_PARTS} parts"
GARBLED = "the kernel sent an invalid message"
ENDED = "the kernel ended before the cell did"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Address = str | tuple[str, int]  # of a Unix socket, or of TCP


class Refusal(Exception):
    """Why nothing more is passed on, as a sentence for the student."""


class Relay:
    """Passes bytes between a kernel's channels and the grader's client; one connection for each.

    ``problem`` says why it passes nothing on any more; it is empty while all is well.
    """

    def __init__(self) -> None:
        self.problem = ""
        self._spent = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._servers: list[asyncio.Server] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def add(
        self, kernel: Address, listen: Address, alive: Callable[[], Awaitable[bool]]
    ) -> Address:
        """Connect to one of the kernel's sockets as soon as it is bound.

        Returns the address at which the client can connect to it. Raises ``ConnectionError`` when
        the kernel ends before that.
        """
        upstream = await _connect(kernel, alive)
        self._writers.append(upstream[1])

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            server.close()  # the client connects once; nobody else shall
            self._writers.append(writer)
            # One message at a time: asyncio adds up all that waits for each that is written.
            writer.transport.set_write_buffer_limits(0)
            self._tasks.append(asyncio.ensure_future(self._outward(reader, upstream[1])))
            self._tasks.append(asyncio.ensure_future(self._inward(upstream[0], writer)))

        if isinstance(listen, str):
            server: asyncio.Server = await asyncio.start_unix_server(accept, listen, backlog=1)
        else:
            server = await asyncio.start_server(accept, *listen, backlog=1)
        self._servers.append(server)
        address: Address = server.sockets[0].getsockname()
        return address

    async def close(self) -> None:
        """Close both ends of all channels."""
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()

    async def _outward(self, client: asyncio.StreamReader, kernel: asyncio.StreamWriter) -> None:
        """Pass on the grader's bytes unchanged."""
        with contextlib.suppress(ConnectionError):  # the other direction says so
            while data := await client.read(CHUNK_BYTES):
                kernel.write(data)
                await kernel.drain()

    async def _inward(self, kernel: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """Pass on the kernel's messages, each as a whole, until there is a problem."""
        try:
            for _ in range(GREETING_BYTES):  # each end waits for parts of the other's
                client.write(await kernel.readexactly(1))
            while True:
                # Joined: from Python 3.12 on, writelines never gets rid of an empty last piece.
                client.write(b"".join(await self._message(kernel)))
                await client.drain()
        except Refusal as refusal:
            self.problem = self.problem or str(refusal)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.problem = self.problem or ENDED
        finally:
            client.write_eof()

    async def _message(self, kernel: asyncio.StreamReader) -> list[bytes]:
        """One message, or one command, in pieces; raises ``Refusal`` when it exceeds a bound."""
        pieces: list[bytes] = []
        cost = 0
        for _ in range(MAX_PARTS):
            head = await kernel.readexactly(2)
            flags, size = head
            if flags > 7 or (flags & COMMAND and (flags & MORE or pieces)):
                raise Refusal(GARBLED)
            if flags & LONG:
                head += await kernel.readexactly(7)
                size = int.from_bytes(head[1:], "big")
            cost += size + FRAME_BYTES
            if cost > MAX_MESSAGE_BYTES:
                raise Refusal(OVERLONG)
            self._spend(size + FRAME_BYTES)
            pieces += (head, await kernel.readexactly(size))
            if not flags & MORE:
                return pieces
        raise Refusal(OVERLONG)

    def _spend(self, cost: int) -> None:
        self._spent += cost
        if self._spent > FLOOD_BYTES:
            raise Refusal(FLOODED)


async def _connect(address: Address, alive: Callable[[], Awaitable[bool]]) -> Streams:
    while True:
        try:
            if isinstance(address, str):
                return await asyncio.open_unix_connection(address)
            return await asyncio.open_connection(*address)
        except (FileNotFoundError, ConnectionRefusedError):
            if not await alive():
                raise ConnectionError("it ended before it opened its channels") from None
        await asyncio.sleep(RETRY_S)
