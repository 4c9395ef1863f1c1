"""A student's own check: the grader's route on the public images, before anything is sent."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent import futures
from pathlib import Path

from tinytorch_compete import grading
from tinytorch_compete.data.splits import Progress
from tinytorch_compete.entrant import Entrant
from tinytorch_compete.model import Result
from tinytorch_compete.pack import Entry
from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.submission import Submission

# A signal that another thread of the process gets doesn't wake this one.
INTERRUPTIBLE_S = 0.2

Running = Callable[[float, float], None]


def plan(entry: Entry, who: Entrant, progress: Progress | None = None) -> grading.Plan:
    """The plan of a check: the challenge's own limits, one run, the public images.

    The seed is new each time, so that the class numbers are shuffled as they will be in grading.
    Raises ``CompeteError``.
    """
    source = Path(who.source) if who.source and who.dataset == "cifar10" else None
    secret = os.urandom(32)
    return grading.Plan(
        entry, secret, dataset=who.dataset, source=source, seeds=1, progress=progress
    ).public()


def check(
    plan: grading.Plan, work: Submission, sandbox: Sandbox, running: Running | None = None
) -> Result:
    """Run and judge a student's work once.

    It takes as long as the work does, up to the challenge's own limit: with a smaller one, or on
    less data, another result would come out than in grading. Meanwhile ``running`` is told again
    and again how many seconds have gone by, and that limit.

    The run has a thread of its own, as a notebook's kernel is busy with an event loop in this one.
    When this thread is interrupted, the run is ended first, and then the interruption goes on.
    """
    with futures.ThreadPoolExecutor(1) as pool:
        started = time.monotonic()
        graded = pool.submit(grading.grade, plan, work, sandbox)
        try:
            while not futures.wait([graded], INTERRUPTIBLE_S).done:
                if running:
                    running(time.monotonic() - started, plan.limits.wall_s)
            return graded.result().result
        except BaseException:
            sandbox.stop()
            raise
