"""Why one work's two results differ: a changed rule, a changed figure, or noise alone.

A reason is read off the results and today's challenge. What the old figures would get under
today's tiers and divisions tells a changed rule from a changed figure, and ``audit`` tells what two
gradings of the same work may differ by anyhow.
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
    """The reasons for a change, a sentence each, and whether noise alone explains it.

    There are none if nothing differs.
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
    figures_told = [*real, *(noise if crossed else ())]
    told = *work, *_verdict(before, after), *_cells(before, after), *figures_told, *rules, *crossed
    return told, False


def reworth(before: Result, after: Result) -> dict[str, str]:
    """What each cell was and is worth, where that differs; of all together if a side never ran."""
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
    """Whether two results are of the same submitted files."""
    return before.identity.submission_sha == after.identity.submission_sha


def _work(before: Result, after: Result) -> Iterator[str]:
    if not same_work(before, after):
        yield "another submission than the one that was graded before"


def _verdict(before: Result, after: Result) -> Iterator[str]:
    if before.verdict != after.verdict:
        said = after.message or before.message
        when = "" if after.message else "before: "
        yield f"verdict {before.verdict} → {after.verdict}" + (f" ({when}{said})" if said else "")
    if before.runs != after.runs:
        yield f"runs {before.runs} → {after.runs}"


def _cells(before: Result, after: Result) -> Iterator[str]:
    """What changed in each grading cell; a side that never ran has none to tell of."""
    old, new = (_by_name(result) for result in (before, after))
    if not (old and new):
        if before.max_points != after.max_points:
            yield f"worth {before.max_points:g} → {after.max_points:g} points in all"
        return
    for name in {**old, **new}:
        one, other = old.get(name), new.get(name)
        if one is None and other is not None:
            yield f"cell {name} is new: {_points(other)}. {other.message}"
        elif other is None and one is not None:
            yield f"cell {name} is gone: it gave {_points(one)}"
        elif one and other and (one.points, one.max_points) != (other.points, other.max_points):
            same = before.metrics == after.metrics and before.runs == after.runs
            yield f"cell {name}: {_points(one)} → {_points(other)}, {_finding(one, other, same)}"


def _finding(one: CellResult, other: CellResult, same_answers: bool) -> str:
    """How one came from the one judgement of a cell to the other."""
    expected = one.points / (one.max_points or 1) * other.max_points
    if one.max_points != other.max_points and abs(expected - other.points) <= audit.POINTS_ROUNDING:
        return "by its worth alone"
    if one.message == other.message:
        return f"{'for the same answers' if same_answers else 'both times'}: {other.message}"
    return f"before: {one.message} Now: {other.message}"


def _figures(spec: ChallengeSpec, before: Result, after: Result) -> Iterator[tuple[str, bool]]:
    """Each figure that isn't what it was, and whether noise explains that."""
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
    """What today's tiers and divisions make of the old figures, where that is something else."""
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
    """Today's thresholds that the figures crossed."""
    tier = _tier_now(spec, before)
    if tier != after.tier:
        why = _hurdle(spec, tier, before, after)
        yield f"tier {tier or NO_TIER} → {after.tier or NO_TIER}: {why}"
    division = tiers.division(spec, before.peak_mib)
    if tier and after.tier and division != after.division:
        yield f"division {division or 'none'} → {after.division or 'none'}"


def _hurdle(spec: ChallengeSpec, tier: str, before: Result, after: Result) -> str:
    """What stands between ``tier``, which the old figures get today, and the new one."""
    for side, reached, when in ((before, tier, " before"), (after, after.tier, "")):
        if not reached and _reaches(spec, side):
            return f"not every run reached one{when}"
    harder = [level for level in spec.tiers if level.name in (tier, after.tier)][-1]
    first = spec.metric(spec.rank[0])
    return f"{harder.name} starts at {first.name} {format_figure(first, harder.at)}"


def _reaches(spec: ChallengeSpec, result: Result) -> bool:
    """Whether a result's mean reaches a tier, whatever single runs did."""
    value = _figure(spec, result, spec.rank[0])
    return value is not None and bool(tiers.tier(spec, value))


def _tier_now(spec: ChallengeSpec, result: Result) -> str:
    """The tier that a result's figures reach today; as ever, only if each run reaches one."""
    name = spec.rank[0]
    samples, value = samples_of(result, name), _figure(spec, result, name)
    if value is None or len(samples) < result.runs:
        return ""
    return tiers.tier(spec, value) if all(tiers.tier(spec, s) for s in samples) else ""


def _figure(spec: ChallengeSpec, result: Result, name: str) -> float | None:
    found = estimate_of(spec, result, name)
    return None if found is None else found.value


def _holdout_n(spec: ChallengeSpec, result: Result) -> int:
    """How many images the result's shares are of: those of all its runs."""
    sizes = {choice.name: choice.holdout for choice in spec.datasets}
    name = result.identity.dataset.partition(":")[0]
    return max(1, sizes.get(name, 1) * result.runs)


def _by_name(result: Result) -> dict[str, CellResult]:
    return {cell.grade_id: cell for cell in result.cells}


def _points(cell: CellResult) -> str:
    return f"{cell.points:g} of {cell.max_points:g}"
