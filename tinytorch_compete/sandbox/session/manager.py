"""A kernel manager that knows one kernel: this interpreter's, in a box."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

from tinytorch_compete.sandbox.provisioner import NAME
from tinytorch_compete.sandbox.session.client import QuietClient


def make_manager(provision: Mapping[str, Any]) -> AsyncKernelManager:
    """A manager whose kernel is started by ``BoxProvisioner`` with this configuration."""
    specs = _Specs()
    specs.provision = provision
    manager = _Manager(kernel_name=NAME, kernel_spec_manager=specs)
    manager.client_class = f"{QuietClient.__module__}.{QuietClient.__name__}"
    return manager


class _Specs(KernelSpecManager):  # type: ignore[misc]
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
