"""The promises of every sandbox, the fake included."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
from support.notebooks import make_notebook

from tinytorch_compete.errors import Fault
from tinytorch_compete.model import Inputs, Limits, Verdict
from tinytorch_compete.sandbox.contract import RunRequest, Sandbox
from tinytorch_compete.sandbox.session.peer import UNANSWERED
from tinytorch_compete.sandbox.session.session import UNREACHED

LIMITS = Limits(memory_mib=256, wall_s=20)
DOUBLE = """\
from compete_probe import Probe
with Probe("c1") as probe:
    probe.send(doubled=double(probe.arrays["x"]) * probe.values["factor"])
"""
INPUTS = {"c1": Inputs(arrays={"x": np.arange(5.0)}, values={"factor": 3})}


def texts(cell) -> str:
    return "".join(o.get("text", "") for o in cell.outputs if o.output_type == "stream")


def test_runs_cells_in_order_and_keeps_what_they_print(sandbox: Sandbox) -> None:
    run = sandbox.run(RunRequest(make_notebook("a = 1", "print('a is', a)"), LIMITS, {}))
    assert (run.verdict, run.message) == (Verdict.OK, "")
    assert [cell.status for cell in run.cells] == [Verdict.OK, Verdict.OK]
    assert texts(run.notebook.cells[1]) == "a is 1\n"
    assert run.layers


def test_leaves_the_notebook_it_was_given_alone(sandbox: Sandbox) -> None:
    notebook = make_notebook("print(1)")
    before = copy.deepcopy(notebook)
    sandbox.run(RunRequest(notebook, LIMITS, {}))
    assert notebook == before


def test_a_cell_that_raises_fails_alone(sandbox: Sandbox) -> None:
    run = sandbox.run(RunRequest(make_notebook("1 / 0", "print('still here')"), LIMITS, {}))
    assert [cell.status for cell in run.cells] == [Verdict.ERROR, Verdict.OK]
    assert run.verdict == Verdict.ERROR
    assert "ZeroDivisionError: division by zero" in run.message


def test_a_probe_brings_out_arrays_and_the_graders_time(sandbox: Sandbox) -> None:
    run = sandbox.run(
        RunRequest(make_notebook("def double(x): return x * 2", DOUBLE), LIMITS, INPUTS)
    )
    answer = run.answers["c1"]
    assert answer.problem == ""
    np.testing.assert_array_equal(answer.arrays["doubled"], np.arange(5.0) * 6)
    assert answer.wall_s > 0


def test_a_probe_that_fails_has_no_evidence(sandbox: Sandbox) -> None:
    run = sandbox.run(RunRequest(make_notebook("def double(x): return y", DOUBLE), LIMITS, INPUTS))
    assert run.cells[1].status == Verdict.ERROR
    assert run.answers["c1"].arrays == {}
    assert run.answers["c1"].problem == UNANSWERED


def test_objects_are_no_evidence(sandbox: Sandbox) -> None:
    run = sandbox.run(RunRequest(make_notebook("def double(x): return {}", DOUBLE), LIMITS, INPUTS))
    assert run.answers["c1"].arrays == {}
    assert run.answers["c1"].problem


def test_strings_are_no_evidence(sandbox: Sandbox) -> None:
    text = "import numpy as np\ndef double(x): return Text(['ten', 'of', 'ten'])\n"
    text += "class Text(np.ndarray):\n"
    text += "    def __new__(cls, words): return np.array(words).view(cls)\n"
    text += "    def __mul__(self, other): return self"
    run = sandbox.run(RunRequest(make_notebook(text, DOUBLE), LIMITS, INPUTS))
    assert run.answers["c1"].arrays == {}
    assert "not numbers" in run.answers["c1"].problem


def test_inputs_are_not_there_before_their_probe(sandbox: Sandbox) -> None:
    early = "from compete_probe import Probe\nProbe('c1').__enter__()"
    run = sandbox.run(
        RunRequest(make_notebook(early, "def double(x): return x", DOUBLE), LIMITS, INPUTS)
    )
    assert run.cells[0].status == Verdict.ERROR
    assert "isn't asking" in run.cells[0].message


def test_only_the_first_answer_counts(sandbox: Sandbox) -> None:
    twice = DOUBLE + "with Probe('c1') as probe:\n    probe.send(doubled=probe.arrays['x'])\n"
    run = sandbox.run(RunRequest(make_notebook("def double(x): return x", twice), LIMITS, INPUTS))
    np.testing.assert_array_equal(run.answers["c1"].arrays["doubled"], np.arange(5.0) * 3)


def test_the_time_limit_fails_a_cell_and_all_after_it(sandbox: Sandbox) -> None:
    limits = Limits(memory_mib=256, wall_s=1)
    run = sandbox.run(RunRequest(make_notebook("a = 1", "while True: a += 1", "a"), limits, {}))
    assert [cell.status for cell in run.cells] == [Verdict.OK, Verdict.OVER_TIME, None]
    assert run.verdict == Verdict.OVER_TIME
    assert "limit of 1 s" in run.cells[2].message


def test_a_cell_over_its_own_time_is_interrupted_and_the_next_is_run(sandbox: Sandbox) -> None:
    notebook = make_notebook("a = 1", "while True: a += 1", "print('a' in globals())")
    run = sandbox.run(RunRequest(notebook, LIMITS, {}, cell_s=1))
    assert [cell.status for cell in run.cells] == [Verdict.OK, Verdict.OVER_TIME, Verdict.OK]
    assert "1 s" in run.cells[1].message
    assert texts(run.notebook.cells[2]) == "True\n"


def test_every_probe_has_an_answer_or_a_reason(sandbox: Sandbox) -> None:
    limits = Limits(memory_mib=256, wall_s=1)
    run = sandbox.run(RunRequest(make_notebook("while True: a = 1", DOUBLE), limits, INPUTS))
    assert run.verdict == Verdict.OVER_TIME
    assert run.answers["c1"].problem == UNREACHED


def test_what_was_answered_before_the_end_stays(sandbox: Sandbox) -> None:
    limits = Limits(memory_mib=256, wall_s=2)
    notebook = make_notebook("def double(x): return x * 2", DOUBLE, "while True: double(1)")
    run = sandbox.run(RunRequest(notebook, limits, INPUTS))
    assert run.verdict == Verdict.OVER_TIME
    assert run.answers["c1"].problem == ""


def test_an_allocation_beyond_the_budget_is_over_memory(sandbox: Sandbox) -> None:
    run = sandbox.run(
        RunRequest(make_notebook("raise MemoryError('1 TiB')", "print(2)"), LIMITS, {})
    )
    assert [cell.status for cell in run.cells] == [Verdict.OVER_MEMORY, Verdict.OK]


def test_files_and_data_are_in_the_working_folder(sandbox: Sandbox, tmp_path: Path) -> None:
    files, data = tmp_path / "files", tmp_path / "data"
    (files / "tinytorch").mkdir(parents=True)
    (files / "tinytorch" / "__init__.py").write_text("WHOSE = 'mine'")
    (files / "data").mkdir()  # the student's own copy, which must not hide the grader's
    data.mkdir()
    np.save(data / "x.npy", np.arange(3))
    look = "import numpy as np, pathlib\nprint(np.load('data/x.npy', mmap_mode='r').sum())\n"
    look += "print(pathlib.Path('tinytorch/__init__.py').read_text())"
    run = sandbox.run(RunRequest(make_notebook(look), LIMITS, {}, files=files, data=data))
    assert texts(run.notebook.cells[0]) == "3\nWHOSE = 'mine'\n"


def test_after_stop_nothing_runs(sandbox: Sandbox) -> None:
    sandbox.stop()
    with pytest.raises(Fault):
        sandbox.run(RunRequest(make_notebook("1"), LIMITS, {}))
