"""Two independent tools agree on a cell of few, heavy lines.

They are memray's record of allocations, from inside, and memory_profiler's readings of resident
memory, from another process.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import memory_profiler
import numpy as np
import psutil
import pytest
from support.profile_truth import FILE, MIB

from tinytorch_compete.kernel.compete_profiling.profiler import Profiler

Result = TypeVar("Result")
MIB_EACH = 32
# Heapsort is in-place and slow, so that the peak lasts for many readings.
CELL = """\
a = np.random.default_rng(0).random(4 << 20)
b = np.sort(a, kind="heapsort")
c = float(np.sort(a * 2, kind="heapsort")[0])
del b
"""
LINES = CELL.splitlines()
INTERVAL_S = 0.002
SHARE, SLACK_MIB = 0.05, 3.0


def ours(home: Path) -> dict[int, tuple[float, float]]:
    """Return net and peak MiB by line by our profiler; line 0 is the cell."""
    profiler = Profiler(str(home), "memray")
    profiler.start()
    space = {"np": np}
    try:
        profiler.begin_cell("c")
        exec(compile(CELL, FILE, "exec"), space)  # noqa: S102
    finally:
        profiler.stop()
    return {row[1]: (row[4], row[5]) for row in profiler.report()["lines"]}


def theirs(home: Path) -> dict[int, tuple[float, float]]:
    """Return the same by memory_profiler, which watches each line's call from another process."""
    np.random.default_rng(0).random(8)  # keep one-time imports and setup out of the lines
    space: dict[str, object] = {"np": np}
    costs, start = {}, held()
    highest = start
    for number, line in enumerate(LINES, 1):
        before = held()
        code = compile(line, FILE, "exec")
        call = (exec, (code, space))
        top = memory_profiler.memory_usage(call, INTERVAL_S, max_usage=True, max_iterations=1)
        costs[number] = held() - before, max(top, before) - before
        highest = max(highest, top)
    costs[0] = held() - start, highest - start
    return costs


def held() -> float:
    return psutil.Process().memory_info().rss / MIB


def apart(run: Callable[[Path], Result], home: Path) -> Result:
    """Return the result of a run in a new process, which has no freed memory to reuse."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(run, home).result()


@pytest.mark.skipif(
    importlib.util.find_spec("memray") is None, reason="memray has no build for this machine"
)
def test_peaks_and_nets_agree_with_memory_profiler(tmp_path: Path) -> None:
    own, other = apart(ours, tmp_path), apart(theirs, tmp_path)
    for number in range(len(LINES) + 1):
        for one, two in zip(own.get(number, (0.0, 0.0)), other[number], strict=True):
            assert abs(one - two) <= max(SLACK_MIB, SHARE * abs(two)), (number, own, other)
    assert own[0][1] == pytest.approx(4 * MIB_EACH, abs=SLACK_MIB)
    assert own[3][1] == pytest.approx(2 * MIB_EACH, abs=SLACK_MIB)
