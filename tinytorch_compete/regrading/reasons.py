"""Explain why two results of a student differ: a changed rule, a changed figure, or only noise.

Reasons are derived from the results and today's challenge. Today's tiers and divisions are applied
to the old figures, which separates a changed rule from a changed figure; ``audit`` says by how much
two gradings of the same work may differ anyway.
"""

from __future__ import annotations

from collections.abc import Iterator

from tinytorch_compete.judging import tiers
from tinytorch_compete.model import CellResult, ChallengeSpec, Result
from tinytorch_compete.regrading import audit
from tinytorch_compete.results.figures import (
    columns,
    declared,
    estimate_of,
    format_figure,
    samples_of,
)

NO_TIER = "no tier"


def reasons(spec: ChallengeSpec, before: Result, after: Result) -> tuple[tuple[str, ...], bool]:
    """Return the reasons for a change, a sentence each, and whether noise alone explains it.

    There are no reasons if nothing differs.
    """
    figures = list(_figures(spec, before, after))
    noise = [text for text, is_noise in figures if is_noise]
    real = [text for text, is_noise in figures if not is_noise]
    work, rules = list(_work(before, after)), list(_rules(spec, before))
    again = audit.compare(spec, before, after, _holdout_n(spec, before))
    if not (work or rules or real or again.differences or reworth(before, after)):
        if (before.points, before.tier) != (after.points, after.tier) and not noise:
            noise = ["a figure differs by less than is shown"]
        return tuple(noise), bool(noise)
    crossed = list(_crossed(spec, before, after))
    changed = [*work, *_verdict(before, after), *_cells(before, after), *real]
    return (*changed, *(noise if crossed else ()), *rules, *crossed), False


def reworth(before: Result, after: Result) -> dict[str, str]:
    """Return the old and new worth of each cell where they differ.

    If a result has no cells because it never ran, the worth of all cells together is compared.
    """
    old, new = (
        {cell.grade_id: cell.max_points for cell in result.cells} for result in (before, after)
    )
    if not (old and new):
        old, new = {"all": before.max_points}, {"all": after.max_points}
    return {
        name: f"{old.get(name, 0):g} → {new.get(name, 0):g}"
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    }


def same_work(before: Result, after: Result) -> bool:
    """Return whether two results are of the same submitted files."""
    return before.identity.submission_sha == after.identity.submission_sha


def _work(before: Result, after: Result) -> Iterator[str]:
    if not same_work(before, after):
        yield "another submission than the one that was graded before"


def _verdict(before: Result, after: Result) -> Iterator[str]:
    if before.verdict != after.verdict:
        message = after.message or before.message
        when = "" if after.message else "before: "
        detail = f" ({when}{message})" if message else ""
        yield f"verdict {before.verdict} → {after.verdict}{detail}"
    if before.runs != after.runs:
        yield f"runs {before.runs} → {after.runs}"


def _cells(before: Result, after: Result) -> Iterator[str]:
    """Yield what changed in each grading cell; a result that never ran has no cells."""
    old, new = (_by_name(result) for result in (before, after))
    if not (old and new):
        if before.max_points != after.max_points:
            yield f"worth {before.max_points:g} → {after.max_points:g} points in all"
        return
    for name in {**old, **new}:
        was, now = old.get(name), new.get(name)
        if was is None and now is not None:
            yield f"cell {name} is new: {_points(now)}. {now.message}"
        elif now is None and was is not None:
            yield f"cell {name} is gone: it gave {_points(was)}"
        elif was and now and (was.points, was.max_points) != (now.points, now.max_points):
            same = before.metrics == after.metrics and before.runs == after.runs
            yield f"cell {name}: {_points(was)} → {_points(now)}, {_finding(was, now, same)}"


def _finding(was: CellResult, now: CellResult, same_answers: bool) -> str:
    """Explain how a cell's points changed: by its worth, its grading, or its answers."""
    expected = was.points / (was.max_points or 1) * now.max_points
    if was.max_points != now.max_points and abs(expected - now.points) <= audit.POINTS_ROUNDING:
        return "only because its worth changed"
    if was.message == now.message:
        return f"{'for the same answers' if same_answers else 'both times'}: {now.message}"
    return f"before: {was.message} Now: {now.message}"


def _figures(spec: ChallengeSpec, before: Result, after: Result) -> Iterator[tuple[str, bool]]:
    """Yield each figure that differs, and whether noise explains the difference."""
    for name in columns(spec):
        metric = declared(spec, name)
        values = [_figure(spec, result, name) for result in (before, after)]
        old, new = values
        if old == new:
            continue
        shown = ["none" if v is None else format_figure(metric, v) for v in values]
        text = f"{name} {shown[0].split()[0]} → {shown[1]}"
        if old is None or new is None:
            yield text, False
            continue
        allowed = audit.tolerance(spec, before, name, _holdout_n(spec, before))
        if name == "peak_mib":
            allowed = audit.PEAK_NOISE_MIB
        is_noise = abs(old - new) <= allowed
        if shown[0] == shown[1]:
            if is_noise:
                continue
            text = f"{name} {old:.6g} → {new:.6g}"
        yield f"{text}, within noise" if is_noise else f"{text}, beyond noise", is_noise


def _rules(spec: ChallengeSpec, before: Result) -> Iterator[str]:
    """Yield the tier and division of the old figures under today's rules, where they differ."""
    first = spec.metric(spec.rank[0])
    value, tier = _figure(spec, before, first.name), _tier_now(spec, before)
    if tier != before.tier and value is not None:
        shown = format_figure(first, value)
        yield (
            f"the tiers changed: {first.name} {shown} was {before.tier or NO_TIER}, and is "
            f"{tier or NO_TIER} now"
        )
    division = tiers.division(spec, before.peak_mib) if tier else ""
    if division != before.division and tier == before.tier:
        yield (
            f"the divisions changed: a peak of {before.peak_mib:.0f} MiB was in "
            f"{before.division or 'none'}, and is in {division or 'none'} now"
        )


def _crossed(spec: ChallengeSpec, before: Result, after: Result) -> Iterator[str]:
    """Yield today's thresholds that the figures crossed."""
    tier = _tier_now(spec, before)
    if tier != after.tier:
        why = _hurdle(spec, tier, before, after)
        yield f"tier {tier or NO_TIER} → {after.tier or NO_TIER}: {why}"
    division = tiers.division(spec, before.peak_mib)
    if tier and after.tier and division != after.division:
        yield f"division {division or 'none'} → {after.division or 'none'}"


def _hurdle(spec: ChallengeSpec, tier: str, before: Result, after: Result) -> str:
    """Explain why the new tier isn't ``tier``, which the old figures get today."""
    for side, reached, when in ((before, tier, " before"), (after, after.tier, "")):
        if not reached and _reaches(spec, side):
            return f"not every run reached a tier{when}"
    harder = [level for level in spec.tiers if level.name in (tier, after.tier)][-1]
    first = spec.metric(spec.rank[0])
    return f"{harder.name} starts at {first.name} {format_figure(first, harder.at)}"


def _reaches(spec: ChallengeSpec, result: Result) -> bool:
    """Return whether a result's mean reaches a tier, whatever its single runs did."""
    value = _figure(spec, result, spec.rank[0])
    return value is not None and bool(tiers.tier(spec, value))


def _tier_now(spec: ChallengeSpec, result: Result) -> str:
    """Return a result's tier under today's rules; none unless each run reaches a tier."""
    name = spec.rank[0]
    samples, value = samples_of(result, name), _figure(spec, result, name)
    if value is None or len(samples) < result.runs:
        return ""
    return tiers.tier(spec, value) if all(tiers.tier(spec, s) for s in samples) else ""


def _figure(spec: ChallengeSpec, result: Result, name: str) -> float | None:
    estimate = estimate_of(spec, result, name)
    return None if estimate is None else estimate.value


def _holdout_n(spec: ChallengeSpec, result: Result) -> int:
    """Return the number of images behind a result's shares: those of all its runs."""
    sizes = {choice.name: choice.holdout for choice in spec.datasets}
    name = result.identity.dataset.partition(":")[0]
    return max(1, sizes.get(name, 1) * result.runs)


def _by_name(result: Result) -> dict[str, CellResult]:
    return {cell.grade_id: cell for cell in result.cells}


def _points(cell: CellResult) -> str:
    return f"{cell.points:g} of {cell.max_points:g}"
