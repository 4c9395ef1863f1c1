"""Run a batch on this machine, several submissions at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Protocol, TypeVar

import psutil

from tinytorch_compete.model import MIB, Limits

Item = TypeVar("Item")
Done = TypeVar("Done")
# A generous allowance for what a kernel and its grader need besides the student's budget.
OVERHEAD_MIB = 400


class Engine(Protocol):
    """The seam between a batch and where it runs.

    Every implementation passes ``tests/grading/test_engine.py``.
    """

    def map(self, task: Callable[[Item], Done], items: Iterable[Item]) -> Iterator[Done]:
        """Yield ``task(item)`` for each item, in the order in which the tasks finish.

        Exceptions of a task are raised here. When the iteration ends early, no further task starts;
        running tasks end on their own.
        """
        ...


class LocalEngine:
    """Runs tasks in threads of this process; each task does its work in a process of its own."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def map(self, task: Callable[[Item], Done], items: Iterable[Item]) -> Iterator[Done]:
        """See ``Engine.map``."""
        pool = ThreadPoolExecutor(self._workers)
        try:
            for future in as_completed([pool.submit(task, item) for item in items]):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def workers_for(limits: Limits) -> int:
    """Return how many submissions this machine's cores and free memory can take, at least 1."""
    cores = (psutil.cpu_count() or 1) // limits.threads
    free_mib = psutil.virtual_memory().available // MIB
    return max(1, min(cores, free_mib // (limits.memory_mib + OVERHEAD_MIB)))
