"""Timed probes: two kernels in turn, each frozen while the other works."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pytest
from support.notebooks import make_notebook
from support.sandboxes import SANDBOXES

from tinytorch_compete.errors import Fault
from tinytorch_compete.judging import metrics
from tinytorch_compete.model import Cost, Inputs, Limits, Run, Timed, Verdict
from tinytorch_compete.sandbox.contract import RunRequest, Sandbox
from tinytorch_compete.sandbox.isolation import cgroup, watcher
from tinytorch_compete.sandbox.isolation.cgroup import Group
from tinytorch_compete.sandbox.local import LocalSandbox
from tinytorch_compete.sandbox.timing import clocks
from tinytorch_compete.sandbox.timing.race import FEWEST, MOST, blocks_for, overhead

LIMITS = Limits(memory_mib=256, wall_s=60)
PROBE = """\
from compete_probe import Probe
with Probe("c1") as probe:
    for question in probe.questions():
        probe.send(out=np.array(answer(question.values["number"])))
"""
TIMED = {"c1": Timed(lambda number: Inputs(values={"number": number}))}
WORK = "import numpy as np\ndef answer(n):\n    return n + 0 * sum(range({}))"
TICKING = """\
import threading, time
import numpy as np
ticks = []
def tick():
    while True:
        ticks.append(time.monotonic())
        time.sleep(0.001)
threading.Thread(target=tick, daemon=True).start()
def answer(n):
    sum(range(300_000))
    return ticks[-5000:]
"""
LIGHT, HEAVY = WORK.format(300_000), WORK.format(900_000)


def race(sandbox: Sandbox, own: str, reference: str = LIGHT, after: str = "1") -> Run:
    notebook = make_notebook(own, PROBE, after)
    return sandbox.run(
        RunRequest(notebook, LIMITS, TIMED, reference=make_notebook(reference, PROBE))
    )


def test_both_answer_the_same_new_questions(sandbox: Sandbox) -> None:
    run = race(sandbox, LIGHT)
    rounds = run.answers["c1"].rounds
    assert (run.verdict, run.answers["c1"].problem) == (Verdict.OK, "")
    assert 2 * FEWEST <= len(rounds) <= 2 * MOST
    assert len({r.question for r in rounds}) == len(rounds)
    assert all(r.arrays["out"] == r.question for r in rounds)
    assert all(min(r.own.cpu_s, r.reference.cpu_s, r.own.wall_s) > 0 for r in rounds)


def test_a_third_of_the_work_is_about_three_times_as_fast(
    real: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By CPU seconds: wall time, which replaces them where some may be hidden, depends on who else
    # wanted the core.
    monkeypatch.setattr(clocks, "vouched", list)
    speedup = metrics.speedup(race(real, LIGHT, HEAVY).answers["c1"])
    assert isinstance(speedup, float)
    assert 2 < speedup < 4.5


@pytest.fixture(params=["walls and cgroup", "walls"])
def real(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Sandboxes that freeze in both ways: by a cgroup, and by signals."""
    return SANDBOXES[request.param](monkeypatch)


def test_a_freezer_that_is_late_on_a_busy_machine_costs_nobody_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Signals replace it then, and must be undone, too."""
    for kind in (cgroup.GroupV1, cgroup.GroupV2):
        late = functools.partialmethod(_freeze_late, kind.freeze, ["the first one"])
        monkeypatch.setattr(kind, "freeze", late)
    run = race(SANDBOXES["walls and cgroup"](monkeypatch), LIGHT)
    assert (run.verdict, run.answers["c1"].problem) == (Verdict.OK, "")


def _freeze_late(
    group: Group, freeze: Callable[[Group, bool], bool], late: list[str], frozen: bool
) -> bool:
    return freeze(group, frozen) and not (frozen and late and late.pop())


def test_nothing_runs_while_the_other_works(real: Sandbox) -> None:
    slow = WORK.format(3_000_000)
    rounds = race(real, TICKING, slow).answers["c1"].rounds
    ticks = np.unique(np.concatenate([r.arrays["out"] for r in rounds]))
    turn_s = min(r.reference.cpu_s for r in rounds)
    assert np.sum(np.diff(ticks) > turn_s) >= len(rounds) / 2


HIDES = """\
import os, signal
import numpy as np
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
def answer(n):
    end, start = os.pipe()
    if not os.fork():
        sum(range(900_000))
        os._exit(0)
    os.close(start)
    os.read(end, 1)
    os.close(end)
    return n
"""


ENDS = """\
import os, signal, time
import numpy as np
children = []
for _ in range(8):
    children.append(os.fork())
    if not children[-1]:
        time.sleep(600)
def answer(n):
    sum(range(300_000))
    if children:
        os.kill(children[-1], signal.SIGKILL)
        os.waitpid(children.pop(), 0)
    return n
"""


def test_seconds_may_be_missing_only_where_a_process_was_started_or_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sandbox = SANDBOXES["walls"](monkeypatch)
    starting = race(sandbox, HIDES).answers["c1"].rounds
    assert starting and not any(r.own.whole for r in starting)
    monkeypatch.setattr(watcher, "started", lambda: 1)  # whatever else this machine starts
    ending = race(sandbox, ENDS).answers["c1"].rounds
    # two of the eight children ended in the questions that don't count
    assert [r.own.whole for r in ending[:8]] == [False] * 6 + [True] * 2


def test_work_of_children_that_nobody_waits_for_gains_nothing(real: Sandbox) -> None:
    run = race(real, HIDES, HEAVY)
    speedup = metrics.speedup(run.answers["c1"])
    assert isinstance(speedup, float), run.cells
    assert speedup < 1.5


def test_work_in_the_background_is_charged(real: Sandbox) -> None:
    busy = (
        "import threading\n"
        "def spin():\n    while True: sum(range(1000))\n"
        "threading.Thread(target=spin, daemon=True).start()\n"
    )
    calm, loaded = (metrics.speedup(race(real, own).answers["c1"]) for own in (LIGHT, busy + LIGHT))
    assert isinstance(calm, float) and isinstance(loaded, float)
    assert loaded < calm / 1.3


def test_an_answer_that_fails_in_the_middle_is_no_answer(sandbox: Sandbox) -> None:
    run = race(sandbox, LIGHT.replace("return n", "return n // (n != 11)"), after="print('lives')")
    assert run.verdict == Verdict.ERROR
    assert "ZeroDivisionError" in run.message
    assert run.answers["c1"].problem
    assert run.answers["c1"].rounds == ()
    assert run.cells[2].status == Verdict.OK


def test_a_kernel_that_ends_in_the_middle_is_the_students_error(real: Sandbox) -> None:
    run = race(real, LIGHT.replace("return n", "import os\n    return n or os._exit(1)"))
    assert run.verdict == Verdict.ERROR
    assert run.answers["c1"].problem


def test_leaving_questions_open_is_no_answer(real: Sandbox) -> None:
    patched = "import compete_probe\ncompete_probe.Probe.questions = lambda self: [self]\n"
    run = race(real, patched + LIGHT)
    assert (run.verdict, run.answers["c1"].rounds) == (Verdict.OK, ())
    assert run.answers["c1"].problem


def test_time_while_frozen_is_not_the_students(real: Sandbox) -> None:
    run = race(real, LIGHT, WORK.format(5_000_000))
    theirs_s = sum(r.reference.wall_s for r in run.answers["c1"].rounds)
    assert run.wall_s < theirs_s


def test_a_reference_that_fails_is_our_fault() -> None:
    with pytest.raises(Fault, match=r"the reference .*ZeroDivisionError"):
        race(LocalSandbox(), LIGHT, "1 / 0")


def test_a_timed_probe_without_a_reference_is_our_fault() -> None:
    with pytest.raises(Fault, match=r"reference\.ipynb"):
        LocalSandbox().run(RunRequest(make_notebook(LIGHT, PROBE), LIMITS, TIMED))


def test_waiting_in_an_empty_question_is_not_subtracted_from_others() -> None:
    empty = [Cost(wall_s, cpu_s) for wall_s, cpu_s in ((9.0, 1.0), (2.0, 3.0), (8.0, 2.0))]
    assert overhead(empty) == Cost(2.0, 2.0)


def test_a_noisier_machine_is_asked_more_often_within_bounds() -> None:
    chance = np.random.default_rng(0)
    counts = [
        blocks_for(list(np.exp(chance.normal(0, spread, 2000)))) for spread in (0.001, 0.02, 0.5)
    ]
    assert counts[0] == FEWEST < counts[1] < counts[2] == MOST
