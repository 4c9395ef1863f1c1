"""A kernel that doesn't start."""

from __future__ import annotations

import pytest
from support.notebooks import make_notebook

from tinytorch_compete.errors import Fault
from tinytorch_compete.model import Limits
from tinytorch_compete.sandbox.contract import RunRequest
from tinytorch_compete.sandbox.isolation.launch_command import LaunchCommand
from tinytorch_compete.sandbox.local import LocalSandbox


def test_the_fault_quotes_the_last_words_of_the_boxs_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = ["sh", "-c", "echo bwrap: no permissions >&2; exit 1"]
    monkeypatch.setattr(LaunchCommand, "build", lambda *_: command)
    with pytest.raises(Fault, match="bwrap: no permissions"):
        LocalSandbox().run(RunRequest(make_notebook("1"), Limits(memory_mib=64, wall_s=5)))
