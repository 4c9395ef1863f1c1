"""The conditions that results were graded under, and which results are comparable."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tinytorch_compete.model import Identity, Result, Verdict


def comparable(results: Sequence[Result]) -> tuple[list[Result], int]:
    """Return the results graded under the newest one's conditions, and the number of the others.

    The newest is the newest grade if there is any: a fault is no grade. Machines may differ, since
    ranked figures don't depend on them or are ratios to the same reference. How memory was measured
    may not: a watcher sees less than a control group.
    """
    graded = [result for result in results if result.verdict != Verdict.FAULT] or results
    if not graded:
        return [], 0
    in_time = sorted(graded, key=lambda result: result.graded_at)
    newest, sandboxed = in_time[-1], [result for result in in_time if result.layers]
    matching = [
        result
        for result in results
        if conditions(result.identity) == conditions(newest.identity)
        and (not result.layers or counts_memory(result) == counts_memory(sandboxed[-1]))
    ]
    return matching, len(results) - len(matching)


def counts_memory(result: Result) -> bool:
    """Whether the operating system counted a result's memory, rather than a watcher sampling it."""
    return any(layer.startswith("cgroup") for layer in result.layers)


def conditions(identity: Identity) -> Identity:
    """Return the conditions of a grading: figures under other conditions aren't comparable.

    They are the challenge, its grader and reference, the secret seeds, the data set and the limits.
    """
    return msgspec.structs.replace(identity, student="", submission_sha="")
