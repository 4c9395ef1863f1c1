"""A student's own check: the grader's route on the public images, before anything is sent."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tinytorch_compete.challenges.packs import Entry
from tinytorch_compete.datasets.splits import Progress
from tinytorch_compete.grading import pipeline
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import Result
from tinytorch_compete.participants.registration import Entrant
from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.sandbox.interruptible import apart
from tinytorch_compete.submissions.submission import Submission

Running = Callable[[float, float], None]


def plan(entry: Entry, who: Entrant, progress: Progress | None = None) -> Plan:
    """The plan of a check: the challenge's own limits, one run, the public images.

    The seed is new each time, so that the class numbers are shuffled as they will be in grading.
    Raises ``CompeteError``.
    """
    source = Path(who.source) if who.source and who.dataset == "cifar10" else None
    secret = os.urandom(32)
    return Plan(
        entry, secret, dataset=who.dataset, source=source, seeds=1, progress=progress
    ).public()


def check(plan: Plan, work: Submission, sandbox: Sandbox, running: Running | None = None) -> Result:
    """Run and judge a student's work once; see ``apart``.

    It takes as long as the work does, up to the challenge's own limit: with a smaller one, or on
    less data, another result would come out than in grading. Meanwhile ``running`` is told again
    and again how many seconds have gone by, and that limit.
    """

    def passing(seconds: float) -> None:
        if running:
            running(seconds, plan.limits.wall_s)

    return apart(lambda: pipeline.grade(plan, work, sandbox), sandbox, passing).result
