"""Say at the end of a test run how many attacks were tried, and how many were contained."""

from __future__ import annotations

import pytest
import table

from tinytorch_compete.sandbox import capabilities


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    tried, contained = table.CONTAINED["tried"], table.CONTAINED["contained"]
    if tried:
        held = ", ".join(layer.name for layer in capabilities.survey() if layer.works)
        terminalreporter.section("attacks")
        terminalreporter.write_line(f"{tried} tried, {contained} contained; layers: {held}")
