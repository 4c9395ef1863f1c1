"""``tito compete profile`` as a student runs it."""

from __future__ import annotations

import datetime
import html
import json
import os
import re
from pathlib import Path

import msgspec
import nbformat
import pytest
from nbformat import v4

from tinytorch_compete.cli.app import run
from tinytorch_compete.cli.console import console
from tinytorch_compete.errors import StoreError
from tinytorch_compete.model import Profile
from tinytorch_compete.profiling import notebook as profiling_notebook
from tinytorch_compete.profiling import roofline
from tinytorch_compete.profiling.roofline import Rate, Roof

CELL = "from helper import make\nkept = make(64)\nprint('</script>')"
HELPER = "def make(mib):\n    return bytearray(mib << 20)\n"


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    path = tmp_path / "mine.ipynb"
    path.write_text(nbformat.writes(v4.new_notebook(cells=[v4.new_code_cell(CELL)])))
    (tmp_path / "helper.py").write_text(HELPER)
    return path


def test_a_notebook_of_no_challenge_is_profiled_whole(
    notebook: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roofline, "user_cache_path", lambda _: notebook.parent)
    page, figures = notebook.with_suffix(".html"), notebook.with_suffix(".json")
    assert run(["profile", str(notebook), "--html", str(page), "--json", str(figures)], "t") == 0
    shown = capsys.readouterr().out
    for words in ("Cell 1", "helper.py", "peak 64.0 MiB", "kept = make(64)"):
        assert words in shown
    profile = msgspec.json.decode(figures.read_bytes(), type=Profile)
    assert json.loads(figures.read_text())["reasons"] is None
    assert profile.sources == {"cell:1": CELL, "helper.py": HELPER}
    assert "<script" not in page.read_text()


def test_the_hottest_lines_are_explained_once_the_machine_is_measured(
    notebook: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roofline, "user_cache_path", lambda _: notebook.parent)
    text = "import numpy as np\na = np.ones((600, 600))\nfor _ in range(20):\n    b = a @ a\n"
    notebook.write_text(nbformat.writes(v4.new_notebook(cells=[v4.new_code_cell(text)])))
    assert run(["profile", str(notebook)], "t") == 0
    assert "doctor --roofline" in capsys.readouterr().out
    slow = Rate(1.0, 1.0, 1.0)  # so that any machine is at its roof
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    fast = Rate(1e15, 1e15, 1e15)
    roofline.save(Roof(roofline.machine(), now, fast, fast, slow, slow, 1e-9, 2**25))
    page, figures = notebook.with_suffix(".html"), notebook.with_suffix(".json")
    assert run(["profile", str(notebook), "--html", str(page), "--json", str(figures)], "t") == 0
    shown = capsys.readouterr().out
    assert "Cell 1: 4" in shown
    assert "compute-bound" in shown
    assert "<b>compute-bound</b>: Cell 1, line 4" in page.read_text()
    (reason,) = json.loads(figures.read_text())["reasons"]
    assert (reason["line"], reason["kind"]) == (4, "compute-bound")


def test_a_cell_that_fails_is_named(notebook: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notebook.write_text(nbformat.writes(v4.new_notebook(cells=[v4.new_code_cell("1 / 0")])))
    assert run(["profile", str(notebook)], "t") == 0
    assert "Cell 1 failed: ZeroDivisionError" in capsys.readouterr().out


def test_a_cell_that_is_no_python_is_named_and_shown_before_the_next(
    notebook: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = [v4.new_code_cell(text) for text in ("a = 1", "for i in a\n    b = 2", "c = 3")]
    notebook.write_text(nbformat.writes(v4.new_notebook(cells=cells)))
    page, figures = notebook.with_suffix(".html"), notebook.with_suffix(".json")
    assert run(["profile", str(notebook), "--html", str(page), "--json", str(figures)], "t") == 0
    shown, words = capsys.readouterr().out, "SyntaxError: expected ':' (line 1)"
    for text in (shown, html.unescape(page.read_text())):
        assert text.index("Cell 2") < text.index(words) < text.index("for i in a")
        assert text.index("for i in a") < text.rindex("Cell 3")
    assert f"Cell 2 failed: {words}" in shown
    assert json.loads(figures.read_text())["cells"][1]["failure"] == words


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_a_source_with_carriage_returns_is_shown_without_them(
    end: str, notebook: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = v4.new_code_cell(end.join(["from helper import make", "kept = make(64)", ""]))
    notebook.write_text(nbformat.writes(v4.new_notebook(cells=[cell])))
    page = notebook.with_suffix(".html")
    assert run(["profile", str(notebook), "--html", str(page)], "t") == 0
    shown = capsys.readouterr().out
    assert "kept = make(64)" in shown
    assert "�" not in shown
    assert b"\r" not in page.read_bytes()


WIDE = "kept = make(1) + make(2) + make(3) + bytearray(64 << 20) + make(4) + make(5)"


@pytest.mark.parametrize(
    ("width", "shown", "heads"),
    [
        (80, 44, "line source hits time peak MiB"),
        (120, 57, "line source hits time peak MiB net MiB"),
        (200, len(WIDE), "line source hits time peak MiB net MiB"),
    ],
)
def test_the_source_has_room_in_a_terminal_and_figures_are_whole(
    width: int,
    shown: int,
    heads: str,
    notebook: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(console, "width", width)
    cell = v4.new_code_cell(f"from helper import make\n{WIDE}\nfor i in range(5):\n    i")
    notebook.write_text(nbformat.writes(v4.new_notebook(cells=[cell])))
    assert run(["profile", str(notebook)], "t") == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if "kept =" in line]
    text = re.split(" {2,}|…", line.lstrip().removeprefix("2  "))[0]
    assert WIDE.startswith(text) and len(text) >= min(shown, len(WIDE))
    assert next(" ".join(line.split()) for line in lines if line.startswith("line ")) == heads
    assert ("wider terminal" in " ".join(lines)) is ("net" not in heads)
    assert bool(re.search(r" \+\d\d\.\d$", line.rstrip())) is ("net" in heads)


@pytest.mark.parametrize("cells", [[], ["", "# nothing"]])
def test_a_notebook_that_runs_nothing_is_said_to_in_one_sentence(
    cells: list[str], notebook: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = v4.new_notebook(cells=[v4.new_code_cell(text) for text in cells])
    notebook.write_text(nbformat.writes(document))
    assert run(["profile", str(notebook)], "t") == 0
    shown = capsys.readouterr().out
    assert shown.endswith("No line of code ran, so there is nothing to profile.\n")
    assert "Seconds" not in shown and "roofline" not in shown


def test_tabs_are_shown_as_spaces(notebook: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cell = v4.new_code_cell("for i in range(3):\n\tkept = bytearray(64 << 20)")
    notebook.write_text(nbformat.writes(v4.new_notebook(cells=[cell])))
    assert run(["profile", str(notebook)], "t") == 0
    assert "2      kept = bytearray(64 << 20) " in capsys.readouterr().out


def test_a_notebook_that_is_none_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["profile", str(tmp_path / "none.ipynb")], "t") == 1
    assert "no such file" in capsys.readouterr().err


def test_an_editors_lock_in_the_framework_is_left_out_and_a_pipe_is_one_sentence(
    notebook: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    framework, made = notebook.parent / "tinytorch", tmp_path_factory.mktemp("made")
    framework.mkdir()
    (framework / "tensor.py").write_text("x = 1\n")
    (framework / ".#tensor.py").symlink_to("ada@host.1234:1700000000")
    profiling_notebook.code_beside(notebook, made)
    assert [path.name for path in (made / "tinytorch").iterdir()] == ["tensor.py"]
    os.mkfifo(framework / "pipe.py")
    with pytest.raises(StoreError, match=r"pipe\.py: can't be copied \(.*named pipe"):
        profiling_notebook.code_beside(notebook, tmp_path_factory.mktemp("again"))
