"""The magics in a running kernel."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from tinytorch_compete.errors import DataError
from tinytorch_compete.jupyter import magics
from tinytorch_compete.profiling import roofline
from tinytorch_compete.profiling.roofline import Rate, Roof


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    monkeypatch.chdir(tmp_path)
    shell = InteractiveShell.instance()
    magics.load_ipython_extension(shell)
    yield shell
    InteractiveShell.clear_instance()


def test_a_cell_runs_in_the_kernel_and_shows_its_lines(shell: InteractiveShell) -> None:
    with capture_output() as captured:
        shell.run_cell("%%compete_profile\nkept = [0] * (32 << 17)\nprint('ran')\n")
    assert len(shell.user_ns["kept"]) == 32 << 17
    assert "ran" in captured.stdout
    (shown,) = captured.outputs
    assert "kept = [0]" in shown.data["text/html"]
    assert "32.0" in shown.data["text/html"]


def test_functions_of_earlier_cells_are_in_the_profile(shell: InteractiveShell) -> None:
    shell.run_cell("def work():\n    return bytearray(16 << 20)\n", store_history=True)
    profile = magics.profile_cell(shell, "a = work()\nb = work()")
    hits = {(line.source, line.line): line.hits for line in profile.lines}
    assert hits["cell:[1]", 2] == 2
    assert hits["cell:this one", 1] == 1


def test_a_cells_lines_are_explained_once_the_machine_is_measured(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(roofline, "user_cache_path", lambda _: tmp_path)
    slow, fast = Rate(1.0, 1.0, 1.0), Rate(1e15, 1e15, 1e15)  # any machine is at this roof
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    roofline.save(Roof(roofline.machine(), now, fast, fast, slow, slow, 1e-9, 2**25))
    text = "import numpy as np\na = np.ones((300, 300))\nfor _ in range(20):\n    b = a @ a"
    with capture_output() as captured:
        shell.run_cell(f"%%compete_profile\n{text}")
    (shown,) = captured.outputs
    assert "<b>compute-bound</b>: Cell this one, line 4" in shown.data["text/html"]


def test_a_cell_that_raises_is_shown_all_the_same(shell: InteractiveShell) -> None:
    with capture_output():
        profile = magics.profile_cell(shell, "a = 1\n1 / 0")
    assert [line.line for line in profile.lines] == [1, 2]


def test_a_line_shows_how_a_function_scales(shell: InteractiveShell) -> None:
    shell.run_cell("def work(n):\n    return bytearray(n << 10)\n")
    scaling = shell.run_cell("%compete_scaling work 100 200 400 800").result
    assert scaling.sizes == (100, 200, 400, 800)
    assert scaling.memory.value == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("line", ["", "100 200 400", "'f' 100 200 400"])
def test_a_line_without_a_function_is_one_sentence(shell: InteractiveShell, line: str) -> None:
    with pytest.raises(DataError, match="give a function and sizes"):
        shell.run_line_magic("compete_scaling", line)
