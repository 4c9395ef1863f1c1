"""The sandboxes of this machine, whole and weakened."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.sandbox.fake import FakeSandbox
from tinytorch_compete.sandbox.isolation import bubblewrap, cgroup
from tinytorch_compete.sandbox.local import LocalSandbox


def weakened(monkeypatch: pytest.MonkeyPatch, *, walls: bool, group: bool) -> Sandbox:
    """This machine's sandbox as it would be without some of its layers."""
    if not walls:
        monkeypatch.setattr(bubblewrap, "find", lambda: None)
    elif bubblewrap.find() is None:
        pytest.skip("bubblewrap doesn't work on this machine")
    if not group:
        monkeypatch.setattr(cgroup, "make_group", lambda processes: None)
    elif not _has_group():
        pytest.skip("no cgroup with a memory cap can be made here (not root, nothing delegated)")
    return LocalSandbox()


def _has_group() -> bool:
    group = cgroup.make_group(8)
    if group:
        group.close()
    return group is not None


SANDBOXES: dict[str, Callable[[pytest.MonkeyPatch], Sandbox]] = {
    "fake": lambda _: FakeSandbox(),
    "walls and cgroup": lambda patch: weakened(patch, walls=True, group=True),
    "walls": lambda patch: weakened(patch, walls=True, group=False),
    "cgroup": lambda patch: weakened(patch, walls=False, group=True),
    "rlimits": lambda patch: weakened(patch, walls=False, group=False),
}
