"""What every engine promises."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest

from tinytorch_compete.grading.engine import Engine, LocalEngine

MakeEngine = Callable[[int], Engine]
# Add a second engine here, as a function of the number of workers.
ENGINES: dict[str, MakeEngine] = {"local": LocalEngine}
BROKEN_S = 60  # an engine that keeps a task waiting for so long is broken; no test waits otherwise


@pytest.fixture(params=list(ENGINES))
def make_engine(request: pytest.FixtureRequest) -> MakeEngine:
    """Each engine, to be created for a number of workers."""
    return ENGINES[request.param]


def wait_for(event: threading.Event) -> None:
    assert event.wait(BROKEN_S)


@pytest.mark.parametrize("workers", [1, 3])
def test_every_item_has_its_result_once(make_engine: MakeEngine, workers: int) -> None:
    squares = make_engine(workers).map(lambda number: number**2, range(20))
    assert sorted(squares) == [number**2 for number in range(20)]


def test_without_items_there_are_no_results(make_engine: MakeEngine) -> None:
    assert list(make_engine(2).map(str, [])) == []


def test_a_result_does_not_wait_for_an_earlier_item(make_engine: MakeEngine) -> None:
    first_result_is_here = threading.Event()

    def task(name: str) -> str:
        if name == "slow":
            wait_for(first_result_is_here)
        return name

    results = make_engine(2).map(task, ["slow", "quick"])
    assert next(results) == "quick"
    first_result_is_here.set()
    assert list(results) == ["slow"]


@pytest.mark.parametrize("workers", [1, 3])
def test_as_many_tasks_run_at_once_as_there_are_workers(
    make_engine: MakeEngine, workers: int
) -> None:
    lock, all_workers = threading.Lock(), threading.Barrier(workers)
    running: set[int] = set()
    counts: list[int] = []

    def task(number: int) -> None:
        with lock:
            running.add(number)
            counts.append(len(running))
        all_workers.wait(BROKEN_S)
        with lock:
            running.remove(number)

    list(make_engine(workers).map(task, range(10 * workers)))
    assert max(counts) == workers


def test_an_exception_of_a_task_is_raised_by_the_iteration(make_engine: MakeEngine) -> None:
    def task(number: int) -> int:
        if number == 1:
            raise LookupError("item 1")
        return number

    with pytest.raises(LookupError, match="item 1"):
        list(make_engine(2).map(task, range(3)))


def test_an_abandoned_iteration_starts_no_further_task_and_lets_a_running_one_end(
    make_engine: MakeEngine,
) -> None:
    second_runs, may_end = threading.Event(), threading.Event()
    started: list[int] = []
    ended: list[int] = []

    def task(number: int) -> None:
        started.append(number)
        if number > 0:
            second_runs.set()
            wait_for(may_end)
        ended.append(number)

    with ending_threads():
        results = make_engine(1).map(task, range(10))
        next(results)
        wait_for(second_runs)
        del results  # as by leaving a ``for`` loop
        may_end.set()
    assert started == ended == [0, 1]


def test_an_exception_of_a_task_lets_no_further_task_start(make_engine: MakeEngine) -> None:
    raised = threading.Event()
    started: list[int] = []

    def task(number: int) -> None:
        started.append(number)
        if number == 0:
            raise LookupError
        wait_for(raised)

    with ending_threads():
        with pytest.raises(LookupError):
            list(make_engine(1).map(task, range(10)))
        raised.set()
    assert started in ([0], [0, 1])  # item 1 may have started before the iteration raised


@contextlib.contextmanager
def ending_threads() -> Iterator[None]:
    """Wait at the end for all threads started within: a task that starts late is seen, too."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(BROKEN_S)
