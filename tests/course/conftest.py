"""A small nbgrader course with one challenge, driven by nbgrader's own commands."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.coursework import compete


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a course that has the challenge ``target``, released, and its exchange."""
    place = tmp_path_factory.mktemp("released")
    course, exchange = place / "course", place / "exchange"
    assert compete("course", "init", course, "target") == 0
    exchange.mkdir()
    exchange.chmod(0o777)
    with (course / "nbgrader_config.py").open("a") as file:
        file.write(f"c.Exchange.root = {str(exchange)!r}\n")
    assert compete("course", "release", "target", "--course", course) == 0
    return place


@pytest.fixture
def course(released: Path, tmp_path: Path) -> Path:
    """A copy of the released course, beside a copy of its exchange."""
    shutil.copytree(released, tmp_path, dirs_exist_ok=True)
    config = tmp_path / "course" / "nbgrader_config.py"
    config.write_text(config.read_text().replace(str(released), str(tmp_path)))
    return tmp_path / "course"
