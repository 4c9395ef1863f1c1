"""A fault under the batch grader costs no student anything, and the same command resumes the batch.

Each test breaks one thing, checks what a TA would see, fixes it, and resumes the batch, whose table
must equal that of an undisturbed batch, row for row.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import random
import resource
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import batch
import pytest

from tinytorch_compete.cli.app import run
from tinytorch_compete.grading import engine, pipeline, scoring
from tinytorch_compete.model import Limits, Verdict
from tinytorch_compete.results import store
from tinytorch_compete.results.store import Store
from tinytorch_compete.sandbox.isolation import bubblewrap, capabilities, cgroup
from tinytorch_compete.sandbox.isolation.launch_command import LaunchCommand
from tinytorch_compete.sandbox.isolation.usage import Usage
from tinytorch_compete.sandbox.session import session

KIB = 1024
MEMORY = Path("/sys/fs/cgroup/memory")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class, and its undisturbed batch in the folder ``undisturbed``."""
    folder = tmp_path_factory.mktemp("class")
    batch.make(folder)
    batch.finish(folder, "undisturbed")
    return folder


@pytest.fixture(scope="module")
def truth(root: Path) -> batch.Table:
    table = batch.table(root, "undisturbed")
    assert len(table) == len(batch.ANSWERS)
    return table


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """The name of a results folder of this test's own."""
    return "".join(char if char.isalnum() else "-" for char in request.node.name)


def grade(root: Path, name: str, *more: str) -> int:
    """Grade the class by the real command, in this process; returns the exit status."""
    return run([*batch.words(root, name), *more], "tito compete")


def newest(root: Path, name: str) -> dict[str, tuple[str, str]]:
    """The verdict and message of each student's newest result."""
    results = Store(root / name / "results.sqlite").latest()
    return {r.identity.student: (str(r.verdict), r.message) for r in results}


def test_batches_killed_at_random_moments_are_resumed(
    root: Path, name: str, truth: batch.Table
) -> None:
    chance = random.Random(7)
    for _ in range(3):
        batch.kill(root, name, chance.uniform(0.5, 5.0))
    batch.finish(root, name)
    assert batch.table(root, name) == truth


@pytest.mark.parametrize(
    ("what", "limit"),
    [
        ("secret", 16),
        ("results.sqlite", 4 * KIB),
        ("inputs", 24 * KIB),
        ("results.sqlite", 28 * KIB),
        ("feedback", 2 * KIB),
    ],
)
def test_a_write_that_fails_is_reported_and_the_batch_can_be_resumed(
    root: Path, name: str, truth: batch.Table, what: str, limit: int
) -> None:
    command = batch.command(root, name)
    if what == "secret":
        (root / name / "secret").unlink()
    if what == "feedback":
        Store(root / name / "results.sqlite").close()
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1
    assert what in done.stderr + done.stdout
    assert "disk" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    batch.command(root, name)  # brings the class's own secret back
    batch.finish(root, name)
    assert batch.table(root, name) == truth


def test_a_database_that_another_program_holds_is_waited_for(root: Path, name: str) -> None:
    waiting = Store(root / name)
    result = Store(root / "undisturbed" / "results.sqlite").latest()[0]
    holder = sqlite3.connect(root / name, isolation_level=None)
    holder.execute("begin exclusive")
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(waiting.append, result)
        with pytest.raises(TimeoutError):
            writing.result(0.3)
        holder.execute("rollback")
        writing.result(60)
    assert waiting.history() == [result]


def test_a_database_that_stays_locked_is_one_error_and_the_batch_can_be_resumed(
    root: Path,
    name: str,
    truth: batch.Table,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(store, "BUSY_S", 0.2)
    assert not (root / name).exists()
    append, results, holders = Store.append, [], []

    def locking(database: Store, result: object) -> None:
        results.append(result)
        if len(results) == 3:
            holders.append(
                sqlite3.connect(
                    root / name / "results.sqlite", isolation_level=None, check_same_thread=False
                )
            )
            holders[0].execute("begin exclusive")
        append(database, result)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "append", locking)
        assert grade(root, name) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error:")
    assert "results.sqlite" in error
    assert "another program" in error
    assert grade(root, name) == 1  # still held: not even a table is shown
    holders[0].close()
    assert len(batch.table(root, name)) == 2
    assert grade(root, name) == 0
    assert batch.table(root, name) == truth


@pytest.mark.parametrize("where", ["a row", "a page", "the schema"])
def test_a_damaged_database_is_one_error_and_is_not_changed(
    root: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    where: str,
) -> None:
    # The limits that a machine can't enforce are printed before the error.
    monkeypatch.setattr(capabilities, "weaknesses", list)
    batch.command(root, name)
    content = bytearray((root / "undisturbed" / "results.sqlite").read_bytes())
    row = content.index(b'"student":"cy"')
    at = {"a row": row, "a page": row // 4096 * 4096, "the schema": 100}[where]
    content[at : at + 300] = b"\xff" * 300
    path = root / name / "results.sqlite"
    path.write_bytes(content)
    for words in (batch.words(root, name), ["audit", "--results", str(root / name)]):
        assert run(words, "tito compete") == 1
        error = capsys.readouterr().err.strip()
        assert error.startswith("error:")
        assert "results.sqlite: " in error
        assert "\n" not in error
        assert path.read_bytes() == bytes(content)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Waits for tests: a short one for kernels, none between attempts."""
    monkeypatch.setattr(pipeline, "BACK_OFF_S", 0.0)
    monkeypatch.setattr(session, "START_S", 2)
    return monkeypatch


@pytest.mark.parametrize("program", [["sleep", "60"], ["false"], ["/nowhere/bwrap"]])
def test_a_kernel_that_never_starts_is_our_fault(
    root: Path,
    name: str,
    truth: batch.Table,
    hasty: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    program: list[str],
) -> None:
    with hasty.context() as patch:
        patch.setattr(LaunchCommand, "build", lambda *_: program)
        assert grade(root, name, "--workers", "6") == 1
    assert "6 of 6" in " ".join(capsys.readouterr().err.split())
    assert {verdict for verdict, _ in newest(root, name).values()} == {"FAULT"}
    assert all("not start" in why for _, why in newest(root, name).values())
    assert batch.table(root, name) == []
    hasty.setattr(session, "START_S", 60)
    assert grade(root, name) == 0
    assert batch.table(root, name) == truth


def kill_at_first_look(patch: pytest.MonkeyPatch, whom: str, times: int) -> list[int]:
    """Kill a process of each of the first ``times`` boxes in mid-run; returns those boxes' ids."""
    hit: list[int] = []
    look = Usage.over_processes

    def killing(self: Usage) -> bool:
        tree = self._tree()
        if tree and tree[0].pid not in hit and len(hit) < times:
            hit.append(tree[0].pid)
            kernels = [process for process in tree if "launch.py" in _words(process)]
            os.kill((tree[0] if whom == "outermost" else kernels[-1]).pid, signal.SIGKILL)
        return look(self)

    patch.setattr(Usage, "over_processes", killing)
    return hit


def _words(process: object) -> str:
    return " ".join(process.cmdline())


def needs_walls() -> None:
    if bubblewrap.find() is None:
        pytest.skip("bubblewrap doesn't work on this machine")


@pytest.mark.parametrize("times", [2, 1000])
def test_a_sandbox_that_vanishes_in_mid_run_is_our_fault(
    root: Path, name: str, truth: batch.Table, hasty: pytest.MonkeyPatch, times: int
) -> None:
    needs_walls()
    hasty.setattr(session, "START_S", 60)
    with hasty.context() as patch:
        hit = kill_at_first_look(patch, "outermost", times)
        status = grade(root, name)
    assert len(hit) >= 2
    if times == 2:  # fewer than there are attempts
        assert status == 0
    else:
        assert status == 1
        assert "FAULT" in {verdict for verdict, _ in newest(root, name).values()}
        assert any(f"signal {int(signal.SIGKILL)}" in why for _, why in newest(root, name).values())
        assert grade(root, name) == 0
    assert batch.table(root, name) == truth


def test_a_kernels_death_that_its_own_code_could_have_caused_earns_nothing(
    root: Path, name: str, hasty: pytest.MonkeyPatch
) -> None:
    hasty.setattr(session, "START_S", 60)
    kill_at_first_look(hasty, "kernel", 1000)
    assert grade(root, name) == 0
    results = Store(root / name / "results.sqlite").latest()
    assert {r.verdict for r in results} == {Verdict.ERROR}
    assert {r.points for r in results} == {0.0}


def test_a_clock_that_jumps_changes_nothing_but_the_dates(
    root: Path, name: str, truth: batch.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, chance = time.time, random.Random(3)
    monkeypatch.setattr(time, "time", lambda: real() + chance.uniform(-86400, 86400))
    monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * time.time()))
    backwards = iter(range(100))
    long_ago = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    monkeypatch.setattr(scoring, "_now", lambda: long_ago - dt.timedelta(next(backwards)))
    assert grade(root, name) == 0
    assert batch.table(root, name) == truth
    results = Store(root / name / "results.sqlite").history()
    assert all(0 < r.wall_s < 60 for r in results if r.layers)
    assert [r.graded_at for r in results] == sorted((r.graded_at for r in results), reverse=True)


def test_a_machine_without_memory_for_two_lanes_grades_in_one(
    root: Path, name: str, truth: batch.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SimpleNamespace(available=0)
    monkeypatch.setattr(engine.psutil, "virtual_memory", lambda: full)
    assert engine.workers_for(Limits(memory_mib=1024, wall_s=1)) == 1
    assert grade(root, name) == 0
    assert batch.table(root, name) == truth


def test_a_box_that_can_no_longer_be_capped_is_our_fault(
    root: Path, name: str, truth: batch.Table, hasty: pytest.MonkeyPatch
) -> None:
    if not cgroup.works():
        pytest.skip("no cgroup with a memory cap can be made here")
    hasty.setattr(session, "START_S", 60)
    make, calls = cgroup.make_group, []

    def exhausted(processes: int) -> object:
        calls.append(processes)
        return make(processes) if len(calls) < 4 else None

    with hasty.context() as patch:
        patch.setattr(cgroup, "make_group", exhausted)
        assert grade(root, name, "--workers", "1") == 1
    results = newest(root, name)
    assert {verdict for verdict, _ in results.values()} > {"FAULT"}
    assert any("control group" in why for _, why in results.values())
    assert grade(root, name) == 0
    assert batch.table(root, name) == truth


@contextlib.contextmanager
def capped_folder(memory_bytes: int | None = None) -> Iterator[Path]:
    """A memory cgroup below this process's own, removed at the end with all that is in it."""
    bases = cgroup._bases_v1() if os.geteuid() == 0 else None
    if bases is None:
        pytest.skip("only root under cgroup v1 can put a memory cap around the grader here")
    folder = bases["memory"] / f"faults-{os.getpid()}"
    folder.mkdir()
    try:
        if memory_bytes:
            (folder / "memory.limit_in_bytes").write_text(str(memory_bytes))
        yield folder
    finally:
        for inner in folder.glob("tinytorch-compete-*"):
            cgroup._kill_all(inner)
            cgroup._remove(inner)
        cgroup._kill_all(folder)
        cgroup._remove(folder)


def test_a_grader_killed_for_want_of_memory_is_resumed(
    root: Path, name: str, truth: batch.Table
) -> None:
    with capped_folder() as folder:
        enter = f"echo $$ > {folder}/cgroup.procs && exec " + '"$@"'
        running = subprocess.Popen(
            ["/bin/sh", "-c", enter, "sh", *batch.command(root, name), "--workers", "1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        first = root / name / "feedback"
        while running.poll() is None and not first.is_dir():
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(0.02)
        with contextlib.suppress(OSError):  # the grader, not one of its kernels
            Path(f"/proc/{running.pid}/oom_score_adj").write_text("1000")
        for _ in range(1000):  # the cap follows the use down, until something is killed
            with contextlib.suppress(OSError):
                use = int((folder / "memory.usage_in_bytes").read_text())
                (folder / "memory.limit_in_bytes").write_text(str(use))
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(0.05)
                break
        assert running.returncode == -signal.SIGKILL
    assert len(batch.table(root, name)) < len(truth)
    batch.finish(root, name)
    assert batch.table(root, name) == truth


def test_a_kernel_killed_below_its_own_cap_is_our_fault(
    root: Path, name: str, hasty: pytest.MonkeyPatch
) -> None:
    hasty.setattr(session, "START_S", 60)
    with capped_folder(120 * KIB * KIB) as folder:
        bases = cgroup._bases_v1() or {}
        hasty.setattr(cgroup, "_bases_v1", lambda: {**bases, "memory": folder})
        place = root / name
        batch.submit(place / "class" / "max" / "mine" / "mine.ipynb", "a = np.ones(20 * 2**20)")
        words = ["--pack", str(root / "pack"), "grade", "mine", str(place / "class")]
        assert run([*words, "--results", str(place)], "tito compete") == 1
    verdict, why = newest(root, name)["max"]
    assert (verdict, "own cap" in why) == ("FAULT", True)
