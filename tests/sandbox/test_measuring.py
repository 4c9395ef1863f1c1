"""Cores, counters, clocks and the noise certificate."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time

import psutil
import pytest

from tinytorch_compete.model import Answer, Cost, Round
from tinytorch_compete.sandbox.isolation import cgroup, instructions, watcher
from tinytorch_compete.sandbox.isolation import cores as core_sets
from tinytorch_compete.sandbox.isolation.cores import Lanes
from tinytorch_compete.sandbox.isolation.instructions import Instructions
from tinytorch_compete.sandbox.timing import noise

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports this")
SOFTWARE_TASK_CLOCK = (1, 1)


def core(*numbers: int) -> frozenset[int]:
    return frozenset(numbers)


@pytest.mark.parametrize(
    ("cores", "lanes", "rest"),
    [
        ([core(0), core(1)], [core(1)], core(0)),
        ([core(0, 4), core(1, 5), core(2, 6), core(3, 7)], [core(2), core(3)], core(0, 1, 4, 5)),
        ([core(0), core(1), core(2)], [core(2)], core(0, 1)),
        ([core(0)], [core()], core()),
        ([], [core()], core()),
    ],
)
def test_half_of_the_physical_cores_are_lanes(cores, lanes, rest) -> None:
    assert core_sets.divided(cores) == (lanes, rest)


def test_a_lane_is_one_runs_at_a_time() -> None:
    machine = Lanes()
    lanes = list(iter(machine.take, None))
    assert lanes
    assert machine.take() is None
    machine.give(lanes[0])
    assert machine.take() == lanes[0]


@linux
def test_a_thread_stays_beside_the_lanes_for_a_while() -> None:
    machine, before = Lanes(), os.sched_getaffinity(0)
    with machine.beside():
        inside = os.sched_getaffinity(0)
    assert inside == (machine.rest or before)
    assert os.sched_getaffinity(0) == before


@linux
def test_a_trees_threads_and_children_are_counted_from_outside(monkeypatch) -> None:
    monkeypatch.setattr(instructions, "EVENT", SOFTWARE_TASK_CLOCK)
    child = subprocess.Popen(
        [sys.executable, "-c", "import subprocess, sys; sys.stdin.readline();"
         "subprocess.run([sys.executable, '-c', 'sum(range(3_000_000))']); print(1, flush=True);"
         "sys.stdin.read()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdin and child.stdout
    count = Instructions([child.pid])
    try:
        before = count.read()
        if before is None:
            pytest.skip("this system lets nobody count instructions (perf_event_open is refused)")
        child.stdin.write("go\n")
        child.stdin.flush()
        child.stdout.readline()
        grown = count.read()
        assert grown is not None
        assert grown - before > 1e6  # nanoseconds: the grandchild's work is in it
    finally:
        count.close()
        child.kill()
        child.wait()


def test_where_nothing_can_be_counted_there_is_no_figure(monkeypatch) -> None:
    monkeypatch.setattr(instructions, "_CALLS", {})
    assert Instructions([os.getpid()]).read() is None


def test_a_process_that_is_gone_is_not_counted_and_no_error() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert Instructions([gone.pid]).read() is None


@linux
def test_pages_that_a_fork_shares_count_once() -> None:
    code = (
        "import os, sys\nx = b'1' * 50_000_000\nfor _ in range(4):\n"
        "    if not os.fork(): sys.stdin.read(); os._exit(0)\n"
        "print(1, flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout
    child.stdout.readline()
    tree = watcher.tree(child.pid)
    assert len(tree) == 5
    assert 45 < watcher.memory_bytes(tree) / 2**20 < 90
    for process in tree:
        process.kill()
    child.wait()


@linux
def test_cpu_seconds_of_ended_threads_are_kept() -> None:
    code = (
        "import sys, threading, time\n"
        "thread = threading.Thread(target=lambda: sum(range(10_000_000)))\n"
        "thread.start(); thread.join(); print(time.process_time(), flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    own_s = float(child.stdout.readline())
    assert watcher.cpu_s([psutil.Process(child.pid)]) >= own_s > 0
    child.kill()
    child.wait()


@pytest.mark.parametrize("by", ["cgroup", "signals"])
def test_a_frozen_tree_uses_no_cpu_until_it_goes_on(by: str) -> None:
    group = cgroup.make_group(64) if by == "cgroup" else None
    if by == "cgroup" and not (group and group.freeze(False)):
        pytest.skip("no cgroup that can be frozen can be made here")
    forks = (
        "import os\nfor _ in range(3): os.fork()\n"
        "print(1, flush=True)\nwhile True: sum(range(1000))"
    )
    child = subprocess.Popen([sys.executable, "-c", forks], stdout=subprocess.PIPE)
    assert child.stdout
    try:
        [child.stdout.readline() for _ in range(8)]
        tree = watcher.tree(child.pid)
        for process in tree if group else []:
            for file in group.entry:  # type: ignore[union-attr]
                file.write_text(f"{process.pid}\n")
        stopped = set() if group else watcher.stop(child.pid)
        assert group.freeze(True) if group else len(stopped) == 8
        frozen_s = watcher.cpu_s(tree)
        sum(range(3_000_000))
        assert watcher.cpu_s(tree) == frozen_s
        assert group.freeze(False) if group else watcher.go_on(stopped) is None
        end = time.monotonic() + 30
        while watcher.cpu_s(tree) == frozen_s and time.monotonic() < end:
            sum(range(100_000))
        assert watcher.cpu_s(tree) > frozen_s
    finally:
        for process in watcher.tree(child.pid):
            process.kill()
        child.wait()
        if group:
            group.close()


def test_the_noise_certificate_has_the_systems_figures() -> None:
    certificate = noise.since(noise.before())
    assert certificate.keys() >= {"steal", "swapped_mib"}
    assert all(figure >= 0 for figure in certificate.values())


def rounds(cpu_s: list[float], wall_s: float) -> Answer:
    costs = [Cost(wall_s, seconds) for seconds in cpu_s]
    return Answer(rounds=tuple(Round(n, {}, cost, cost) for n, cost in enumerate(costs)))


def test_the_certificate_of_a_timed_run_has_the_references_spread_and_waiting() -> None:
    calm = noise.of_rounds([rounds([1.0, 1.0, 1.0, 1.0], 1.0)])
    noisy = noise.of_rounds([rounds([1.0, 1.5, 1.0, 1.5], 2.5)])
    assert calm == {"reference_spread": 0.0, "waiting": 0.0}
    assert noisy["reference_spread"] == pytest.approx(0.2341, abs=1e-4)
    assert noisy["waiting"] == pytest.approx(0.5)
    assert noise.of_rounds([Answer()]) == {}


KILLED = """
import os, signal, subprocess, sys
from tinytorch_compete.sandbox.isolation import cgroup

group = cgroup.make_group(64)
asleep = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL)
for file in group.entry:
    file.write_text(str(asleep.pid))
frozen = group.freeze(True)
print(asleep.pid, int(frozen), group.entry[0].parent.name, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_frozen_processes_of_a_killed_grader_are_swept_away() -> None:
    if not cgroup.works():
        pytest.skip("no cgroup can be made here")
    killed = subprocess.run([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True)
    pid, frozen, name = killed.stdout.split()
    assert psutil.pid_exists(int(pid))
    cgroup.sweep()
    if frozen == "0":
        pytest.skip("no cgroup that can be frozen can be made here")
    assert not list(cgroup.ROOT.glob(f"**/{name}"))
    with contextlib.suppress(psutil.NoSuchProcess):
        assert psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE
