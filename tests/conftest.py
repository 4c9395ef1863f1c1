"""What tests share."""

from __future__ import annotations

import pytest
from sandboxes import SANDBOXES

from tinytorch_compete.sandbox import bubblewrap
from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.sandbox.local import LocalSandbox


@pytest.fixture(params=list(SANDBOXES))
def sandbox(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Each sandbox that this machine can have, the fake among them."""
    return SANDBOXES[request.param](monkeypatch)


@pytest.fixture(params=[name for name in SANDBOXES if name != "fake"])
def real_sandbox(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Each real sandbox that this machine can have."""
    return SANDBOXES[request.param](monkeypatch)


@pytest.fixture
def walled_sandbox(monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """This machine's sandbox, if it has walls."""
    if bubblewrap.find() is None:
        pytest.skip("bubblewrap doesn't work on this machine")
    return LocalSandbox()
