"""What results were graded under, and which of them can be compared."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tinytorch_compete.model import Identity, Result, Verdict


def comparable(results: Sequence[Result]) -> tuple[list[Result], int]:
    """The results graded under the newest one's conditions, and how many there are beside them.

    The newest is one that was graded, if any was: a fault is no grade. Machines may differ: what is
    ranked doesn't depend on them or is a ratio to the same reference. How memory was taken may not:
    a watcher sees less than a control group.
    """
    graded = [result for result in results if result.verdict != Verdict.FAULT] or results
    if not graded:
        return [], 0
    in_time = sorted(graded, key=lambda result: result.graded_at)
    newest, ran = in_time[-1], [result for result in in_time if result.layers]
    kept = [
        result
        for result in results
        if conditions(result.identity) == conditions(newest.identity)
        and (not result.layers or counts_memory(result) == counts_memory(ran[-1]))
    ]
    return kept, len(results) - len(kept)


def counts_memory(result: Result) -> bool:
    """Whether the operating system counted a result's memory, and no watcher had to look at it."""
    return any(layer.startswith("cgroup") for layer in result.layers)


def conditions(identity: Identity) -> Identity:
    """What a result was graded under: figures under other conditions answer other questions.

    That is the challenge, its grader and reference, the secret seeds, the data set and the limits.
    """
    return msgspec.structs.replace(identity, student="", submission_sha="")
