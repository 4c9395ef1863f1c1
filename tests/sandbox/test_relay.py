"""The bytes that a relay passes from a kernel to the grader, and those that it keeps back."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tinytorch_compete.sandbox.session import relay
from tinytorch_compete.sandbox.session.relay import Address, Relay

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = bytes([relay.COMMAND, 6]) + b"\x05READY"
PLAIN = b"\x01\x03one\x00\x03two"
LONG = bytes([relay.LONG]) + struct.pack(">Q", 300) + bytes(300)
FULL = bytes([relay.LONG]) + struct.pack(">Q", 20 * 2**20) + bytes(20 * 2**20)


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


def through(
    kernel_bytes: bytes, place: Address, listen: Address, *, client_bytes: bytes = b""
) -> tuple[bytes, str, bytes]:
    """Relay bytes both ways: those that the client got, the problem, those that the kernel got."""

    async def run() -> tuple[bytes, str, bytes]:
        from_client: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            from_client.set_result(await reader.readexactly(len(client_bytes)))
            writer.write(kernel_bytes)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

        unix = isinstance(place, str)
        if unix:
            kernel = await asyncio.start_unix_server(serve, place)
        else:
            kernel = await asyncio.start_server(serve, *place)
        relaying = Relay()
        address = await relaying.add(kernel.sockets[0].getsockname(), listen, yes)
        connect: Callable[..., Awaitable[relay.Streams]] = (
            asyncio.open_unix_connection if unix else asyncio.open_connection
        )
        reader, writer = await connect(*([address] if unix else address))
        writer.write(client_bytes)
        from_kernel = await reader.read(-1)
        await relaying.close()
        writer.close()
        kernel.close()
        return from_kernel, relaying.problem, await from_client

    return asyncio.run(asyncio.wait_for(run(), 60))


def from_kernel(sent: bytes, folder: Path) -> tuple[bytes, str]:
    """The frames that come through after the greeting, and the problem."""
    received, problem, _ = through(GREETING + sent, str(folder / "k-1"), str(folder / "k-2"))
    assert received.startswith(GREETING)
    return received[len(GREETING) :], problem


def test_valid_messages_come_through_unchanged_both_ways(tmp_path: Path) -> None:
    sent = GREETING + READY + PLAIN + LONG
    unix = (str(tmp_path / "k-1"), str(tmp_path / "k-2"))
    for place, listen in (unix, (("127.0.0.1", 0), ("127.0.0.1", 0))):
        received = through(sent, place, listen, client_bytes=b"a question")
        assert received == (sent, relay.ENDED, b"a question")


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (b"\x01\x00" * 2000, relay.OVERLONG),
        (b"\x01\xff" + bytes(255) + b"\x01\xff", relay.ENDED),
        (FULL.replace(b"\x02", b"\x03", 1) * 2, relay.OVERLONG),
        (b"\x02" + struct.pack(">Q", 2**62), relay.OVERLONG),
        (b"\x02" + struct.pack(">Q", 2**20) + b"cut", relay.ENDED),
        (b"\x08\x00", relay.GARBLED),
        (b"\x01\x03one" + READY, relay.GARBLED),
        (b"\x05\x00", relay.GARBLED),
    ],
)
def test_a_message_without_end_or_sense_is_kept_back(
    sent: bytes, problem: str, tmp_path: Path
) -> None:
    assert from_kernel(PLAIN + sent, tmp_path) == (PLAIN, problem)


def test_small_messages_count_by_what_they_cost(tmp_path: Path) -> None:
    most = relay.FLOOD_BYTES // relay.FRAME_BYTES
    received, problem = from_kernel(b"\x00\x00" * (most + 1), tmp_path)
    assert (len(received), problem) == (2 * most, relay.FLOODED)


def test_all_messages_together_have_a_bound(tmp_path: Path) -> None:
    received, problem = from_kernel(FULL * 4, tmp_path)
    assert (len(received), problem) == (3 * len(FULL), relay.FLOODED)


def test_only_one_client_is_served(tmp_path: Path) -> None:
    async def run() -> None:
        kernel = await asyncio.start_unix_server(lambda _, w: w.close(), tmp_path / "k-1")
        relaying = Relay()
        address = await relaying.add(str(tmp_path / "k-1"), str(tmp_path / "k-2"), yes)
        first = await asyncio.open_unix_connection(address)
        first[1].write(b"x")
        await first[1].drain()
        with pytest.raises(OSError):
            while True:
                (await asyncio.open_unix_connection(address))[1].close()
        await relaying.close()
        first[1].close()
        kernel.close()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_kernel_that_ends_before_it_listens_is_no_endless_wait(tmp_path: Path) -> None:
    async def run() -> None:
        with pytest.raises(ConnectionError, match="ended before"):
            await Relay().add(str(tmp_path / "k-1"), str(tmp_path / "k-2"), no)

    asyncio.run(run())
