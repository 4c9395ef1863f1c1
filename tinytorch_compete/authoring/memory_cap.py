"""Find the smallest memory cap under which a submission still reaches a tier."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tinytorch_compete.errors import CompeteError
from tinytorch_compete.grading.pipeline import grade
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import ChallengeSpec, Result
from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.submissions.snapshot import load
from tinytorch_compete.submissions.submission import Submission


class Attempt(msgspec.Struct, frozen=True):
    """A run under a memory cap, and whether it reached the requested tier."""

    memory_mib: int
    reached: bool
    result: Result


def attempts(
    plan: Plan, work: Submission, sandbox: Sandbox, tier: str, resolution_mib: int
) -> Iterator[Attempt]:
    """Run a submission under smaller and smaller caps; the answer is the smallest that ``reached``.

    The first run is under the challenge's own cap, the second under the measured peak; the others
    halve the remaining range, until two caps that are ``resolution_mib`` apart differ in outcome.
    Code that adapts to the memory it gets may need less than its peak. Raises ``CompeteError`` for
    a tier that the challenge doesn't have, or that isn't reached under the challenge's own cap.
    """
    _check_tier(plan.spec, tier)
    first = _attempt(plan, work, sandbox, tier, plan.limits.memory_mib)
    yield first
    if not first.reached:
        reason = f" ({first.result.message})" if first.result.message else ""
        raise CompeteError(
            f"{work.notebook}: doesn't reach the tier {tier!r} under the challenge's own "
            f"cap{reason}."
        )
    low, high = 0, -(-plan.limits.memory_mib // resolution_mib)
    middle = int(first.result.peak_mib) // resolution_mib + 1
    while high - low > 1:
        middle = min(max(middle, low + 1), high - 1)
        attempt = _attempt(plan, work, sandbox, tier, middle * resolution_mib)
        yield attempt
        low, high = (low, middle) if attempt.reached else (middle, high)
        middle = (low + high) // 2


def _attempt(plan: Plan, work: Submission, sandbox: Sandbox, tier: str, cap_mib: int) -> Attempt:
    result = grade(plan.capped(cap_mib), load(work), sandbox).result
    return Attempt(cap_mib, _rank(plan.spec, result.tier) >= _rank(plan.spec, tier), result)


def _rank(spec: ChallengeSpec, tier: str) -> int:
    names = ["", *(tier.name for tier in spec.tiers)]
    return names.index(tier)


def _check_tier(spec: ChallengeSpec, tier: str) -> None:
    names = [tier.name for tier in spec.tiers]
    if tier not in names:
        raise CompeteError(f"there is no tier {tier!r}; choose one of: {', '.join(names)}.")
