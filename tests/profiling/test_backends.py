"""Every memory backend and every event source measures lines correctly."""

from __future__ import annotations

import importlib.util
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from support.profile_truth import CASES, FILE, Case, profile

from tinytorch_compete.kernel.compete_profiling.profiler import Profiler

MEMRAY = pytest.mark.skipif(
    importlib.util.find_spec("memray") is None, reason="memray has no build for this machine"
)
BACKENDS = [pytest.param("memray", marks=MEMRAY), "memory_profiler"]
# Allowed error as a share of the truth and in MiB: resident memory comes in pages and arenas.
TOLERANCE = {"memray": (0.05, 1.0), "memory_profiler": (0.1, 3.0)}


def close(backend: str, true: float | None, measured: float) -> bool:
    share, mib = TOLERANCE[backend]
    return true is None or abs(true - measured) <= max(mib, share * abs(true))


def fresh(case: Case, backend: str, home: Path) -> dict[int, tuple[float, float]]:
    """Return the figures from a new process, as a student's kernel is.

    In an old process allocations often reuse memory that other code has freed.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(profile, case, backend, home).result()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", [case for case in CASES if case.resident], ids=lambda c: c.name)
def test_what_a_line_leaves_behind_is_true(backend: str, case: Case, tmp_path: Path) -> None:
    costs = fresh(case, backend, tmp_path)
    for line, (net, _) in case.truth.items():
        assert close(backend, net, costs[line][0]), (line, costs[line])


@MEMRAY
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_memray_knows_net_and_peak_of_each_line(case: Case, tmp_path: Path) -> None:
    costs = fresh(case, "memray", tmp_path)
    for line, (net, peak) in case.truth.items():
        assert close("memray", net, costs[line][0]), (line, costs[line])
        assert close("memray", peak, costs[line][1]), (line, costs[line])


def rows(source: str, home: Path, backend: str = "memory_profiler") -> dict[tuple[str, int], list]:
    profiler = Profiler(str(home), backend)
    profiler.start()
    try:
        profiler.begin_cell("c")
        exec(compile(source, FILE, "exec"), {})  # noqa: S102
    finally:
        profiler.stop()
    report = profiler.report()
    return {(report["sources"][row[0]], row[1]): row[2:] for row in report["lines"]}


@pytest.mark.parametrize("backend", BACKENDS)
def test_lines_that_take_their_time_are_counted_exactly(backend: str, tmp_path: Path) -> None:
    source = "def work():\n    sum(range(20_000))\nfor _ in range(7):\n    work()\n"
    lines = rows(source, tmp_path, backend)
    for line, hits in ((2, 7), (4, 7)):
        counted, *_, estimated = lines["cell:c", line]
        assert (counted, estimated) == (hits, False)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_line_holds_the_time_of_what_it_called(backend: str, tmp_path: Path) -> None:
    source = "def work():\n    sum(range(2_000_000))\nwork()\npass\n"
    seconds = {line: row[1] for (_, line), row in rows(source, tmp_path, backend).items()}
    assert min(seconds[0], seconds[3]) > 0.9 * seconds[2] > 10 * seconds[4]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_fast_loop_is_estimated_and_has_most_of_the_time(backend: str, tmp_path: Path) -> None:
    source = "s = 0\nfor i in range(1_000_000):\n    s += i * i\n    s -= i\n"
    lines = rows(source, tmp_path, backend)
    total = lines["cell:c", 0][1]
    inner = [lines["cell:c", line] for line in (2, 3, 4)]
    assert all(row[-1] for row in inner)
    assert sum(row[1] for row in inner) > 0.5 * total
    assert all(row[1] <= 1.5 * total for row in inner)


def test_modules_beside_the_notebook_are_the_students(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "tinytorch_of_ada"
    package.mkdir()
    (package / "__init__.py").write_text("def f(n):\n    return [i for i in range(n)]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    lines = rows("import json\nimport tinytorch_of_ada as t\nt.f(3)\njson.dumps([1])\n", tmp_path)
    assert lines["tinytorch_of_ada/__init__.py", 2][0] >= 1
    assert {source for source, _ in lines} == {"cell:c", "tinytorch_of_ada/__init__.py"}


def test_a_frame_that_is_over_keeps_nothing_alive(tmp_path: Path) -> None:
    source = (
        "import weakref\nclass Big: pass\ndef make():\n    big = Big()\n"
        "    return weakref.ref(big)\nassert make()() is None\n"
    )
    assert rows(source, tmp_path)["cell:c", 6][0] == 1


def test_one_kernel_is_profiled_once_at_a_time(tmp_path: Path) -> None:
    profiler = Profiler(str(tmp_path), "memray" if _has_memray() else "memory_profiler")
    profiler.start()
    try:
        if profiler.events.name == "sys.settrace" and not _has_memray():
            pytest.skip("nothing but memray or sys.monitoring could tell")
        with pytest.raises(RuntimeError):
            Profiler(str(tmp_path)).start()
    finally:
        profiler.stop()


def _has_memray() -> bool:
    return importlib.util.find_spec("memray") is not None


def moment(source: str, home: Path, cap_mib: int = 0) -> tuple[float, list, dict[int, float]]:
    """Return what was held: MiB, the lines that were on with their counts, and MiB by line."""
    profiler = Profiler(str(home), "memray", cap_mib=cap_mib)
    profiler.start()
    try:
        profiler.begin_cell("c")
        exec(compile(source, FILE, "exec"), {})  # noqa: S102
    finally:
        profiler.stop()
    level, on, held = profiler.report()["moment"]
    return level, [row[1:] for row in on if row[1]], {line: mib for _, line, mib in held}


HOARD = (
    "import numpy as np\nkept = []\ndef more(n):\n    kept.append(np.ones(n << 17))\n"
    "first = np.ones(30 << 17)\ngone = np.ones(40 << 17)\ndel gone\n"
    "for i in range(10):\n    more(20)\n"
)


@MEMRAY
def test_what_is_alive_at_the_highest_point_is_told_by_who_made_it(tmp_path: Path) -> None:
    level, on, held = moment(HOARD, tmp_path)
    assert close("memray", 230, level)
    assert close("memray", 200, held[4])
    assert close("memray", 30, held[5])
    assert held.get(6, 0.0) < 1
    assert on == [[9, 10], [4, 10]]


@MEMRAY
def test_with_a_cap_it_is_told_of_when_that_was_passed(tmp_path: Path) -> None:
    level, on, held = moment(HOARD, tmp_path, cap_mib=100)
    assert close("memray", 110, level)
    assert close("memray", 80, held[4])
    assert on == [[9, 4], [4, 4]]


@MEMRAY
def test_in_a_silence_it_is_told_without_counts(tmp_path: Path) -> None:
    source = "def f(n):\n    out = []\n    for i in range(n):\n        out.append(i * 0.5)\n"
    level, on, held = moment(f"{source}    return out\nkept = f(3_000_000)\n", tmp_path)
    assert level > 90
    assert held[3] + held[4] > 90  # either line may request the arenas that the numbers share
    assert all(not begun for _, begun in on)
    assert on[0][0] == 6
