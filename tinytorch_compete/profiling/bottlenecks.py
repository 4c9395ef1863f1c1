"""Explain what limits the hottest lines: memory, arithmetic, or too many small calls.

Apply these rules, in this order, to a line with ``t`` seconds per hit and, by ``operations``,
``calls`` of numpy, ``bytes`` moved and ``flops``, under the machine's ``Roof``:

1. *Call-overhead-bound*: the calls alone, at the measured cost of one on a single number, take half
   of ``t`` or more; or no operation could be read, and the line ran a thousand times or more, each
   in the time of at most three such calls, which is what Python takes for any line.
2. The roof's time is ``max(bytes / bandwidth, flops / peak)`` (Williams, Waterman and Patterson
   2009, see ``roofline``). If it is at least a quarter of ``t``, the line is *memory-bound* left of
   the ridge point and *compute-bound* right of it. A quarter is enough because the bytes omit what
   a cache reads before it writes, and the time to get new memory from the system.
3. If the time to get new memory for the results, at the measured rate, and the roof's time together
   make up half of ``t``, the line is *memory-bound* too: it pays for new memory.
4. Otherwise the line is *below the roof*, and these figures can't say more.

If only part of a line could be read, rule 2 requires half of ``t``, and the other rules don't
apply. Estimated hits are accurate to a factor of about 4: only rule 1 applies to such a line.
"""

from __future__ import annotations

import math

from tinytorch_compete.model import LineCost, Operands, Profile, Reason
from tinytorch_compete.profiling import operations, roofline, view
from tinytorch_compete.profiling.operations import Work
from tinytorch_compete.profiling.roofline import Precision, Roof
from tinytorch_compete.source.code import read

MOSTLY_CALLS = 0.5
MANY_HITS, FEW_CALLS = 1000, 3
REACH, REACH_OF_PART = 0.25, 0.5
UNMEASURED = "To see what limits the hottest lines, run tito compete doctor --roofline once."
TITLE = "What limits the hottest lines"


def here(profile: Profile) -> tuple[Reason, ...] | None:
    """Return the reasons under this machine's roof; ``None`` if it wasn't measured."""
    roof = roofline.load()
    return None if roof is None else tuple(reasons(profile, roof))


def reasons(profile: Profile, roof: Roof, count: int = 5) -> list[Reason]:
    """Return reasons for at most ``count`` of the hottest lines, slowest first.

    Lines that no rule explains are skipped.
    """
    explained: list[Reason] = []
    total_s = view.whole(profile).seconds
    works = _works(profile)
    for cost in sorted(profile.lines, key=lambda line: -line.seconds):
        if cost.seconds < view.HOT * total_s or len(explained) == count:
            break
        if reason := _reason(cost, works.get((cost.source, cost.line)), roof):
            explained.append(reason)
    return explained


def _works(profile: Profile) -> dict[tuple[str, int], Work]:
    """Return each line's mean work per hit; lines with unreadable operands are left out."""
    by_line: dict[tuple[str, int], list[Operands]] = {}
    for operands in profile.operands:
        by_line.setdefault((operands.source, operands.line), []).append(operands)
    means = {}
    for code in read(profile.sources):
        for number, statement in operations.statements(code).items():
            sets = by_line.get((code.name, number), [])
            works = [(one.looks, operations.work(statement, one.arrays)) for one in sets]
            readable = [(looks, work) for looks, work in works if work is not None]
            if readable and len(readable) == len(works):
                means[code.name, number] = _mean(readable)
    return means


def _mean(works: list[tuple[int, Work]]) -> Work:
    """Return the mean work over the looks; the dtype is that of the heaviest."""
    looks = sum(n for n, _ in works)
    return Work(
        math.fsum(n * work.flops for n, work in works) / looks,
        math.fsum(n * work.moved_bytes for n, work in works) / looks,
        math.fsum(n * work.new_bytes for n, work in works) / looks,
        math.ceil(sum(n * work.calls for n, work in works) / looks),
        max(works, key=lambda pair: pair[1].moved_bytes)[1].dtype,
        all(work.whole for _, work in works),
    )


def _reason(cost: LineCost, work: Work | None, roof: Roof) -> Reason | None:
    each_s = cost.seconds / cost.hits
    ran = f"It ran {view.hits(cost)} times at about {_time(each_s)}"
    if work is None:
        if cost.hits < MANY_HITS or each_s > FEW_CALLS * roof.call_s:
            return None
        words = (
            f"{ran}, which is what Python takes for a line on a single number. "
            "Do more at a time: call numpy once for many numbers."
        )
        return Reason(cost.source, cost.line, "call-overhead-bound", words)
    if work.whole and work.calls * roof.call_s >= MOSTLY_CALLS * each_s:
        words = (
            f"{ran}, and {_calls(work)} "
            f"{_time(work.calls * roof.call_s)} even on a single number. Its arrays are too small: "
            "work on many of them at a time."
        )
        return Reason(cost.source, cost.line, "call-overhead-bound", words)
    # Estimated hits are too rough for the other rules.
    return None if cost.estimated else _under(cost, work, roof, each_s)


def _under(cost: LineCost, work: Work, roof: Roof, each_s: float) -> Reason | None:
    """Explain a line by its position under the roof."""
    precision: Precision = "float32" if work.dtype == "float32" else "float64"
    floor_s = work.moved_bytes / roof.bandwidth.median
    if work.flops and work.dtype in ("float32", "float64"):
        floor_s = max(floor_s, work.flops / roof.peak(precision).median)
    if each_s <= 0 or not work.moved_bytes:
        return None
    reach, intensity = floor_s / each_s, work.flops / work.moved_bytes
    if reach < (REACH if work.whole else REACH_OF_PART):
        return _below(cost, work, roof, floor_s) if work.whole else None
    ridge = roof.ridge(precision)
    side = f"{_moved(work)} per hit: {intensity:.3g} flop/byte, and the ridge is at {ridge:.2g}."
    if intensity < ridge:
        words = f"{side} {_memory(work, roof, reach)}"
        return Reason(cost.source, cost.line, "memory-bound", words)
    if work.dtype not in ("float32", "float64"):
        return None  # the peak of this dtype was not measured
    share = "as fast as" if reach >= 1 else f"at {reach:.0%} of"
    speed = f"It runs {share} the {precision} matrix products measured on one core."
    advice = "Only less arithmetic helps" + ("." if precision == "float32" else ", or float32.")
    return Reason(cost.source, cost.line, "compute-bound", f"{side} {speed} {advice}")


def _below(cost: LineCost, work: Work, roof: Roof, floor_s: float) -> Reason:
    """Explain a line far slower than its arithmetic and bytes: by new memory, if that suffices."""
    each_s, new_s = cost.seconds / cost.hits, work.new_bytes / roof.fresh.median
    words = f"{_moved(work)} per hit could take {_time(floor_s)}, but took {_time(each_s)}"
    if new_s > floor_s and new_s + floor_s >= REACH_OF_PART * each_s:
        words += f". Getting {_scaled(work.new_bytes)}B of new memory from the system takes about "
        words += f"{_time(new_s)}: write into an existing array (out=, +=)."
        return Reason(cost.source, cost.line, "memory-bound", words)
    words += ": functions such as exp, strides, new arrays or thin matrices can be the cause."
    return Reason(cost.source, cost.line, "below the roof", words)


def _memory(work: Work, roof: Roof, reach: float) -> str:
    speed = "It moves them "
    speed += "as fast as the memory" if reach >= 1 else f"at {reach:.0%} of the memory's speed"
    if work.moved_bytes <= roof.cache_bytes:
        speed += ", which arrays in the cache can beat"
    advice = "use smaller dtypes" if work.dtype == "float64" else "work in place"
    return f"{speed}. Make fewer passes over the arrays, and {advice}."


def _moved(work: Work) -> str:
    return f"{_scaled(work.flops)}flop on {_scaled(work.moved_bytes)}B"


def _scaled(value: float) -> str:
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.3g} "


def _time(seconds: float) -> str:
    return view.seconds(seconds) or f"{seconds * 1e9:.0f} ns"


def _calls(work: Work) -> str:
    return "one numpy call costs" if work.calls == 1 else f"{work.calls} numpy calls cost"
