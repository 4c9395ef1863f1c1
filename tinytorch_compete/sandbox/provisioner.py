"""A kernel provisioner that starts every kernel in a box, under nbclient as under nbconvert."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import msgspec
from jupyter_client.provisioning import LocalProvisioner
from traitlets import Bool, Dict, Unicode

from tinytorch_compete.model import Limits
from tinytorch_compete.sandbox.isolation.box import Box

NAME = "tinytorch-compete"


class BoxProvisioner(LocalProvisioner):  # type: ignore[misc]
    """Start the kernel in a ``Box`` made from the kernelspec's provisioner configuration."""

    limits = Dict(help="The fields of tinytorch_compete.model.Limits.").tag(config=True)
    files = Unicode(
        "", help="A folder to copy into the kernel's working folder; may be empty."
    ).tag(config=True)
    data = Unicode("", help="A folder to show there as data/, read-only; may be empty.").tag(
        config=True
    )
    capped = Bool(False, help="Whether a box that can't be capped is a fault.").tag(config=True)
    box: Box | None = None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Make the box, choose the channels' transport and place, and wrap the command."""
        limits = msgspec.convert(dict(self.limits), Limits)
        files, data = (Path(name) if name else None for name in (self.files, self.data))
        self.box = Box(limits, files, data, capped=self.capped)
        manager = self.parent
        manager.connection_file = str(self.box.folders.channels / "kernel.json")
        if os.name == "posix":
            manager.transport = "ipc"
            manager.ip = str(self.box.folders.channels / "k")
        kwargs = await super().pre_launch(**kwargs)
        kwargs["cmd"] = self.box.launch_command.build(Path(manager.connection_file))
        kwargs["env"] = self.box.launch_command.environment()
        kwargs["cwd"] = str(self.box.folders.work)
        kwargs["independent"] = True  # or ipykernel would watch for a parent that it can't see
        kwargs["stdin"] = subprocess.DEVNULL
        return kwargs

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Start the box's process, and log its output until the kernel speaks."""
        assert self.box is not None
        with open(self.box.folders.log, "wb") as log:
            connection = await super().launch_kernel(cmd, stdout=log, stderr=log, **kwargs)
        self.box.pid = self.pid
        return connection

    async def cleanup(self, restart: bool = False) -> None:
        """Close the box with the kernel; its figures must be read before."""
        await super().cleanup(restart=restart)
        if self.box is not None:
            self.box.close()
