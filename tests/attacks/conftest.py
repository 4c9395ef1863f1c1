"""Say at the end of a test run how many attacks were tried, and how many were contained."""

from __future__ import annotations

import pytest
import table

from tinytorch_compete.sandbox import capabilities


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    tried, contained = table.CONTAINED["tried"], table.CONTAINED["contained"]
    if tried or table.NOT_RUN:
        held = ", ".join(layer.name for layer in capabilities.survey() if layer.works)
        terminalreporter.section("attacks")
        line = f"{tried} tried, {contained} contained"
        if missing := [f"{count} need {name}" for name, count in table.NOT_RUN.items()]:
            line += f"; {table.NOT_RUN.total()} not run: {', '.join(missing)}"
        terminalreporter.write_line(f"{line}; layers: {held}")
