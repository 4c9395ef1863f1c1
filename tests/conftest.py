"""What tests share."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from support.sandboxes import SANDBOXES

from tinytorch_compete.authoring.scaffold import scaffold
from tinytorch_compete.challenges import packs
from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.sandbox.isolation import bubblewrap, capabilities
from tinytorch_compete.sandbox.local import LocalSandbox


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let another run try what this one had to skip."""
    parser.addoption("--skipped-to", metavar="FILE", help="Write the ids of skipped tests there.")


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


@pytest.fixture
def challenge(tmp_path: Path) -> Challenge:
    """A challenge as ``new`` makes it, on the digits."""
    scaffold("mine", tmp_path / "pack")
    return packs.load(tmp_path / "pack")[0]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where a student works."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what became of the attacks, and note what was skipped, whichever process ran it."""
    if place := terminalreporter.config.getoption("--skipped-to"):
        skipped = {report.nodeid for report in terminalreporter.stats.get("skipped", [])}
        Path(place).write_text("".join(f"{name}\n" for name in sorted(skipped)))
    seen: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in (r for r in reports if isinstance(r, pytest.TestReport)):
            facts = dict(report.user_properties) if report.when == "call" else {}
            if "attack" in facts:
                seen.update(["tried", *(["contained"] if report.passed else [])])
            elif "attack needs" in facts:
                missing[facts["attack needs"]] += 1
    if seen or missing:
        held = ", ".join(layer.name for layer in capabilities.survey() if layer.works)
        terminalreporter.section("attacks")
        line = f"{seen['tried']} tried, {seen['contained']} contained"
        if missing:
            needs = ", ".join(f"{count} need {name}" for name, count in missing.items())
            line += f"; {missing.total()} not run: {needs}"
        terminalreporter.write_line(f"{line}; layers: {held}")
