"""The grader's end of a probe, when our own side of it fails."""

from __future__ import annotations

import asyncio
import gc
import json
from pathlib import Path
from typing import Any

import pytest

from tinytorch_compete.errors import Fault
from tinytorch_compete.model import Inputs
from tinytorch_compete.sandbox.session.channel import Channel

ASKED = json.dumps({"probe": "c1"}).encode() + b"\n"


class FullFolders:
    """A box's folders on a disk that is full."""

    def __init__(self, root: Path) -> None:
        self.root, self.probe_socket = root, root / "probe.sock"

    def release(self, probe: str, inputs: Inputs) -> dict[str, Any]:
        raise OSError("No space left on device")


class FullBox:
    """A box on a disk that is full."""

    def __init__(self, root: Path) -> None:
        self.folders = FullFolders(root)

    def hand_over(self, path: Path) -> None:
        """Nothing: its kernel is of the same user."""


async def _ask(channel: Channel, root: Path) -> None:
    """Ask for the inputs, and wait until the grader hangs up."""
    channel.open("c1")
    reader, writer = await asyncio.open_unix_connection(root / "probe.sock")
    writer.write(ASKED)
    await reader.read()
    writer.close()


def test_inputs_that_cannot_be_written_are_our_fault(tmp_path: Path) -> None:
    async def session() -> None:
        async with Channel(FullBox(tmp_path), {"c1": Inputs()}, None, None) as channel:
            await _ask(channel, tmp_path)
            await channel.shut()

    with pytest.raises(Fault, match="No space left on device"):
        asyncio.run(session())


def test_a_run_that_ends_by_another_error_reports_only_that(tmp_path: Path) -> None:
    reports: list[dict[str, Any]] = []

    async def session() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reports.append(context))
        async with Channel(FullBox(tmp_path), {"c1": Inputs()}, None, None) as channel:
            await _ask(channel, tmp_path)
            raise Fault("the run was interrupted")

    with pytest.raises(Fault, match="interrupted"):
        asyncio.run(session())
    gc.collect()
    assert reports == []
