"""A student's own check: the grader's route on the public images, before anything is sent."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from typing import TypeVar

from tinytorch_compete import grading
from tinytorch_compete.datasets.splits import Progress
from tinytorch_compete.entrant import Entrant
from tinytorch_compete.model import Result
from tinytorch_compete.pack import Entry
from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.submissions.submission import Submission

Done = TypeVar("Done")
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
    """Run and judge a student's work once; see ``apart``.

    It takes as long as the work does, up to the challenge's own limit: with a smaller one, or on
    less data, another result would come out than in grading. Meanwhile ``running`` is told again
    and again how many seconds have gone by, and that limit.
    """

    def passing(seconds: float) -> None:
        if running:
            running(seconds, plan.limits.wall_s)

    return apart(lambda: grading.grade(plan, work, sandbox), sandbox, passing).result


def apart(
    run: Callable[[], Done], sandbox: Sandbox, passing: Callable[[float], None] = lambda _: None
) -> Done:
    """What a run in a sandbox returns, in a thread of its own.

    A notebook's kernel is busy with an event loop in this one. When this thread is interrupted, the
    run is ended first, and then the interruption goes on. Meanwhile ``passing`` is told again and
    again how many seconds have gone by.
    """
    started = time.monotonic()
    with futures.ThreadPoolExecutor(1) as pool:
        done = pool.submit(run)
        try:
            while not futures.wait([done], INTERRUPTIBLE_S).done:
                passing(time.monotonic() - started)
            return done.result()
        except BaseException:
            sandbox.stop()
            raise
