"""A plan is one set of exams: what is shown of another plan tells nothing of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tinytorch_compete.authoring.scaffold import scaffold
from tinytorch_compete.challenges import packs
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.judging.exam import Exam
from tinytorch_compete.model import Inputs

WORKERS = 4


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """The plan of a challenge as ``new`` makes it."""
    scaffold("mine", tmp_path)
    return Plan.of(packs.load(tmp_path)[0], b"a secret of tests")


def images(plan: Plan) -> bytes:
    """The images that the probe of the only exam is handed."""
    (inputs,) = plan.inputs
    asked = inputs["holdout"]
    assert isinstance(asked, Inputs)
    return np.asarray(asked.arrays["images"]).tobytes()


@pytest.mark.parametrize("read_before", [True, False])
def test_public_and_rehearsal_forms_never_hand_out_the_exams_inputs(
    plan: Plan, read_before: bool
) -> None:
    if read_before:
        assert plan.inputs
    hidden = images(plan)
    assert images(plan.public()) != hidden
    assert images(plan.rehearsal) != hidden
    assert images(plan.rehearsal) != images(plan.public())
    public, _ = plan.exams[0].data.public()
    assert images(plan.public()) == np.asarray(public).tobytes()


def test_a_plan_can_not_be_changed(plan: Plan) -> None:
    with pytest.raises(AttributeError):
        plan.exams = ()  # type: ignore[misc]


def test_a_capped_plan_asks_the_same_under_another_cap(plan: Plan) -> None:
    capped = plan.capped(17)
    assert capped.limits.memory_mib == 17
    assert plan.limits.memory_mib != 17
    assert images(capped) == images(plan)
    assert capped.spec.divisions == ()


def in_all_workers(read: Callable[[], object]) -> list[object]:
    """What each of several threads reads when all begin at the same moment."""
    barrier = threading.Barrier(WORKERS)

    def work(_: int) -> object:
        barrier.wait()
        return read()

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(work, range(WORKERS)))


def test_workers_share_one_rehearsal_whose_inputs_are_made_once(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, second_caller = plan.grader.inputs, threading.Event()
    exams: list[Exam] = []

    def slow(exam: Exam) -> Mapping[str, Inputs]:
        exams.append(exam)
        if len(exams) > 1:
            second_caller.set()
        second_caller.wait(0.1)  # room for another thread to come here too
        return make(exam)

    monkeypatch.setattr(plan.grader, "inputs", slow)
    inputs = in_all_workers(lambda: plan.rehearsal.inputs)
    assert len({id(each) for each in inputs}) == 1
    assert len(exams) == 1
    assert exams[0].seed not in {exam.seed for exam in plan.exams}
