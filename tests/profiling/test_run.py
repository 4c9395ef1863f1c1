"""Profiles are taken in the sandbox and cover the student's code alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.notebooks import make_notebook

from tinytorch_compete.errors import EvidenceError
from tinytorch_compete.model import Inputs, Limits, Profile
from tinytorch_compete.profiling import view
from tinytorch_compete.profiling.run import run, take
from tinytorch_compete.sandbox.contract import RunRequest, Sandbox
from tinytorch_compete.sandbox.local import LocalSandbox

LIMITS = Limits(memory_mib=256, wall_s=20)
WORK = "import numpy as np\ndef work(x):\n    big = np.ones(64 << 17)\n    return x + big[:5]"
PROBE = "from compete_probe import Probe\nwith Probe('c1') as probe:\n"
PROBE += "    probe.send(y=work(probe.arrays['x']))"


def graded(*sources: str) -> object:
    notebook = make_notebook(*sources)
    notebook.cells[1].metadata["nbgrader"] |= {"grade": True, "solution": False}
    return notebook


def line(profile: Profile, source: str, number: int):
    return next(c for c in profile.lines if (c.source, c.line) == (source, number))


def test_lines_that_a_grading_cell_calls_are_profiled_and_its_own_are_not(
    real_sandbox: Sandbox,
) -> None:
    inputs = {"c1": Inputs(arrays={"x": np.arange(5.0)})}
    profile = take(real_sandbox, RunRequest(graded(WORK, PROBE, "z = 1"), LIMITS, inputs))
    assert set(profile.sources) == {"cell:c0", "cell:c2"}
    assert [cell.source for cell in profile.cells] == ["cell:c0", "cell:c1", "cell:c2"]
    assert line(profile, "cell:c0", 3).hits == 1
    assert line(profile, "cell:c0", 3).peak_mib == pytest.approx(64, rel=0.05)
    assert profile.cells[1].peak_mib == pytest.approx(64, rel=0.05)
    assert len(profile.backends) == 2


def test_the_framework_beside_the_notebook_is_profiled(tmp_path: Path) -> None:
    (tmp_path / "tinytorch").mkdir()
    (tmp_path / "tinytorch" / "__init__.py").write_text(WORK)
    notebook = make_notebook("from tinytorch import work", "work(1)")
    profile = take(
        LocalSandbox(),
        RunRequest(notebook, LIMITS, files=tmp_path),
        {"tinytorch/__init__.py": WORK},
    )
    assert profile.sources["tinytorch/__init__.py"] == WORK
    assert line(profile, "tinytorch/__init__.py", 3).net_mib == pytest.approx(64, rel=0.05)


def test_the_timeline_shows_what_was_held_for_a_while() -> None:
    hold = "import numpy as np, time\na = np.ones(64 << 17)\ntime.sleep(0.3)\ndel a"
    profile = take(LocalSandbox(), RunRequest(make_notebook(hold), LIMITS, {}))
    assert max(mib for _, mib in profile.timeline) == pytest.approx(64, abs=16)


@pytest.mark.parametrize("magic", ["%%time", "%%capture", "%%timeit -n 1", "%%prun -q"])
def test_lines_below_a_magic_that_runs_them_have_their_own_figures(magic: str) -> None:
    source = f"{magic}\nimport numpy as np\n\na = np.ones(64 << 17)\nb = a[:5]"
    profile = take(LocalSandbox(), RunRequest(make_notebook(source), LIMITS, {}))
    assert line(profile, "cell:c0", 4).hits == 1
    assert line(profile, "cell:c0", 4).net_mib == pytest.approx(64, rel=0.05)
    assert profile.sources["cell:c0"] == source


def test_a_cell_that_raises_keeps_its_profile() -> None:
    profile = take(LocalSandbox(), RunRequest(make_notebook("x = 1\n1 / 0", "y = 2"), LIMITS, {}))
    assert line(profile, "cell:c0", 2).hits == 1
    assert line(profile, "cell:c1", 1).hits == 1


ENDLESS = "import numpy as np\nkept = []\nwhile True:\n    kept.append(np.ones(8 << 17))"


def test_what_needs_more_than_there_is_keeps_its_profile_where_a_cap_is_named() -> None:
    """Endless growth is reported as of the moment when memory passed the cap."""
    profile, facts = run(
        LocalSandbox(), RunRequest(make_notebook(ENDLESS), LIMITS), {}, cap_mib=100
    )
    assert facts.cells[1].status == "OVER_MEMORY"
    assert profile.moment is not None
    assert profile.moment.mib == pytest.approx(104, abs=2)
    (held,) = [row for row in profile.moment.held if row.mib > 1]
    assert (held.line, held.mib) == (4, pytest.approx(104, abs=2))
    assert profile.moment.steps[-1].line == 4


@pytest.mark.parametrize(
    ("source", "failure"),
    [
        ("a = 1\nfor i in a\n    b = 2", "SyntaxError: expected ':' (line 2)"),
        ("if x:\n    y = 1\n  z = 2", "IndentationError: unindent does not match"),
    ],
)
def test_a_cell_that_is_no_python_keeps_its_place_and_says_why(source: str, failure: str) -> None:
    profile = take(LocalSandbox(), RunRequest(make_notebook("x = 1", source, "y = 2"), LIMITS, {}))
    sources = {"cell:c0": "x = 1", "cell:c1": source, "cell:c2": "y = 2"}
    assert list(profile.sources.items()) == list(sources.items())
    assert [cell.source for cell in profile.cells] == ["cell:c0", "cell:c1", "cell:c2"]
    assert profile.cells[1].failure.startswith(failure)
    assert not profile.cells[0].failure and not profile.cells[2].failure


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_carriage_returns_end_lines_as_they_do_for_python(end: str) -> None:
    source = end.join(["import numpy as np", "a = np.ones(64 << 17)", "b = 1", ""])
    profile = take(LocalSandbox(), RunRequest(make_notebook(source), LIMITS, {}))
    assert [(cost.line, cost.hits) for cost in profile.lines] == [(1, 1), (2, 1), (3, 1)]
    assert line(profile, "cell:c0", 2).net_mib == pytest.approx(64, rel=0.05)
    texts = [(row.number, row.text) for _, row in view.rows(profile)]
    assert texts == [(1, "import numpy as np"), (2, "a = np.ones(64 << 17)"), (3, "b = 1")]


def test_a_kernel_that_ends_has_no_profile() -> None:
    with pytest.raises(EvidenceError, match="run ended"):
        take(LocalSandbox(), RunRequest(make_notebook("import os\nos._exit(0)"), LIMITS, {}))


def test_a_profiler_that_the_student_replaced_is_no_evidence() -> None:
    forge = "import compete_profiling, numpy\n"
    forge += "compete_profiling.finish = lambda: numpy.frombuffer(b'[1]', 'u1')"
    with pytest.raises(EvidenceError, match="invalid profile"):
        take(LocalSandbox(), RunRequest(make_notebook(forge), LIMITS, {}))
