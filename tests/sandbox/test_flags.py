"""The flags of a run: none for an honest run, and one that names each breach."""

from __future__ import annotations

import numpy as np
import pytest
from support.notebooks import make_notebook

from tinytorch_compete.model import Inputs, Limits
from tinytorch_compete.sandbox.contract import RunRequest, Sandbox
from tinytorch_compete.sandbox.local import LocalSandbox

LIMITS = Limits(memory_mib=256, wall_s=30)
INPUTS = {"c1": Inputs(arrays={"x": np.arange(5.0)})}
PROBE = """\
from compete_probe import Probe
with Probe("c1") as probe:
    probe.send(doubled=double(probe.arrays["x"]))
"""
RAW = """\
import os, socket
peer = socket.socket(socket.AF_UNIX)
peer.connect(os.environ["COMPETE_PROBE"])
"""


def test_an_honest_run_has_no_flags(sandbox: Sandbox) -> None:
    run = sandbox.run(
        RunRequest(make_notebook("def double(x): return 2 * x", PROBE), LIMITS, INPUTS)
    )
    assert run.flags == ()


@pytest.mark.parametrize(
    "first", ["1 / 0", "def double(x): return x / None", "a = 1\nwhile True: a += 1"]
)
def test_an_honest_failure_has_no_flags(sandbox: Sandbox, first: str) -> None:
    limits = Limits(memory_mib=256, wall_s=2)
    assert sandbox.run(RunRequest(make_notebook(first, PROBE), limits, INPUTS)).flags == ()


@pytest.mark.parametrize(
    ("first", "second", "flag"),
    [
        ("import os; os._exit(0)", PROBE, "The run was ended"),
        ("1", "pass", "Cell c1 ended well"),
        (RAW + "peer.close()", "1 / 0", "while none was open (once)"),
        ("def double(x):\n    Probe('c1')", PROBE, "Called again for a probe"),
        ("1", RAW + "peer.sendall(b'{}\\n'); peer.recv(9)", "invalid answer to probe c1"),
        ("def double(x): return 'text'", PROBE, "invalid answer to probe c1"),
    ],
    ids=["kernel ended", "no answer", "too early", "twice", "broken", "no numbers"],
)
def test_a_breach_is_named(first: str, second: str, flag: str) -> None:
    run = LocalSandbox().run(RunRequest(make_notebook(first, second), LIMITS, INPUTS))
    assert flag in " ".join(run.flags)
    assert not run.answers["c1"].arrays
