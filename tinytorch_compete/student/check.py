"""Grade a student's notebook on the public images, by the grader's route, before submission."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.grading import pipeline
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import ChallengeSpec, Result, Verdict
from tinytorch_compete.participants.registration import Registration
from tinytorch_compete.rendering.column import Column
from tinytorch_compete.rendering.panel import Panel
from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.sandbox.interruptible import apart
from tinytorch_compete.student import package
from tinytorch_compete.student.workspace import Progress, cell_notes, saved_at, work_of
from tinytorch_compete.submissions.snapshot import Snapshot

Running = Callable[[float, float], None]


def public_plan(challenge: Challenge, who: Registration, progress: Progress | None = None) -> Plan:
    """Plan a check: the challenge's own limits, one run, the public images.

    The seed is new each time, so that the class numbers are shuffled as they will be in grading.
    Raises ``CompeteError``.
    """
    source = Path(who.source) if who.source and who.dataset == "cifar10" else None
    secret = os.urandom(32)
    return Plan.of(
        challenge, secret, dataset=who.dataset, source=source, seeds=1, progress=progress
    ).public()


def grade_public(
    plan: Plan, snapshot: Snapshot, sandbox: Sandbox, running: Running | None = None
) -> Result:
    """Run and judge a student's work once, interruptibly; see ``apart``.

    The run may take up to the challenge's own time limit: a shorter limit, or less data, would give
    a different result from grading. Meanwhile ``running`` is called repeatedly with the seconds
    that have passed and that limit.
    """

    def passing(seconds: float) -> None:
        if running:
            running(seconds, plan.limits.wall_s)

    return apart(lambda: pipeline.grade(plan, snapshot, sandbox), sandbox, passing).result


def check(
    challenges: Mapping[str, Challenge],
    here: Path,
    slug: str | None,
    path: Path | None,
    sandbox: Sandbox,
    progress: Progress | None = None,
    running: Running | None = None,
) -> Panel:
    """Grade a student's notebook on the public images, as the course will on hidden ones.

    ``progress`` is called during a download, ``running`` with the run's seconds and its limit.
    Raises ``CompeteError``.
    """
    challenge, folder, who, path = work_of(challenges, here, slug, path)
    with package.packed(challenge, folder, path, who) as submission_package:
        plan = public_plan(challenge, who, progress)
        result = grade_public(plan, submission_package.snapshot, sandbox, running)
    lines = [*_outcome(result), *cell_notes(submission_package), saved_at(path)]
    lines += [f"Not checked: {_not_checked(challenge.spec, who)}"]
    return Panel(
        f"{path.name}: {_score(result)}, on public images",
        (Column(), Column.numeric("points"), Column()),
        tuple(
            (cell.grade_id, f"{cell.points:g}/{cell.max_points:g}", cell.message)
            for cell in result.cells
        ),
        tuple(lines),
    )


def _score(result: Result) -> str:
    if result.points is None:
        return f"{result.verdict}, not scored"
    tier = f", tier {result.tier}" if result.tier else ""
    return f"{result.verdict}, {result.points:g} of {result.max_points:g} points{tier}"


def _outcome(result: Result) -> list[str]:
    """Say why the run ended as it did, and what it used."""
    lines = [result.message] if result.message else []
    if result.layers:
        limits = result.identity.limits
        lines += [
            f"{result.wall_s:.1f} of {limits.wall_s:g} s, peak {result.peak_mib:.0f} of "
            f"{limits.memory_mib} MiB. Held by: {', '.join(result.layers)}."
        ]
    if result.verdict == Verdict.FAULT:
        lines += ["The fault is not in your code. See: tito compete doctor"]
    return lines


def _not_checked(spec: ChallengeSpec, who: Registration) -> str:
    first = spec.datasets[0].name
    other = f" of {first} (you have {who.dataset})" if who.dataset != first else ""
    seeds = f"{spec.seeds} secret seeds" if spec.seeds > 1 else "a secret seed"
    return (
        f"the hidden images{other}; {seeds} (this was one run with a random seed); the "
        "speed of the grading machine. You have seen the public images, so expect a little less."
    )
