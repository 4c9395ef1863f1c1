"""Run all detectors, and order their findings by what the lines cost."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

from tinytorch_compete.insights.finding import Detector, Finding, RunContext
from tinytorch_compete.insights.registry import DETECTORS
from tinytorch_compete.model import Insight, Profile
from tinytorch_compete.source.code import Code, read

# Below a hundredth of the run and below one MiB, nobody would notice the gain.
LEAST_SHARE = 0.01
LEAST_MIB = 1.0


def find(work: Profile | Mapping[str, str], context: RunContext | None = None) -> list[Insight]:
    """Return the findings in a profile or in sources alone, costliest first.

    With a profile, findings are ordered by the larger of their lines' share of the run's seconds
    and of its peak memory; a finding on cost whose lines cost next to nothing is left out. Without
    a profile, findings keep the order of the sources, from top to bottom.
    """
    context = context or RunContext()
    profile = work if isinstance(work, Profile) else None
    sources = work.sources if isinstance(work, Profile) else work
    weighted = []
    for code in read(sources):
        for detector in DETECTORS:
            for group in _grouped(code, detector.find(code, context)):
                share, mib = _cost(code, group, profile)
                if profile and detector.about == "cost" and share < LEAST_SHARE and mib < LEAST_MIB:
                    continue
                weighted.append((share, _insight(code, detector, group)))
    names = list(sources)
    weighted.sort(key=lambda pair: (-pair[0], names.index(pair[1].source), pair[1].lines))
    return [insight for _, insight in weighted]


def _grouped(code: Code, findings: Iterable[Finding]) -> list[list[Finding]]:
    """Group the findings by the function that contains them."""
    groups: dict[ast.AST, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(code.scope(finding.nodes[0]), []).append(finding)
    return list(groups.values())


def _insight(code: Code, detector: Detector, group: list[Finding]) -> Insight:
    first = group[0]
    lines = tuple(sorted({_line(node) for finding in group for node in finding.nodes}))
    return Insight(
        detector.name, code.name, lines, first.look, first.why, first.change, detector.name
    )


def _cost(code: Code, group: list[Finding], profile: Profile | None) -> tuple[float, float]:
    """Return the share of the run that a group's lines cost, and their highest peak in MiB."""
    if any(finding.whole_run for finding in group):
        return 1.0, 0.0
    if profile is None:
        return 0.0, 0.0
    lines = {line for finding in group for line in _region(finding)}
    own = [cost for cost in profile.lines if cost.source == code.name and cost.line in lines]
    seconds = max((cell.seconds for cell in profile.cells), default=0.0)
    total_s = max(sum(cell.seconds for cell in profile.cells), seconds, *_seconds(profile), 1e-9)
    peaks = [line.peak_mib for line in profile.lines] + [cell.peak_mib for cell in profile.cells]
    total_mib = max(peaks, default=0.0)
    mib = max((max(cost.peak_mib, cost.net_mib) for cost in own), default=0.0)
    share = min(1.0, max((cost.seconds for cost in own), default=0.0) / total_s)
    return max(share, mib / total_mib if total_mib else 0.0), mib


def _seconds(profile: Profile) -> list[float]:
    return [cost.seconds for cost in profile.lines]


def _region(finding: Finding) -> set[int]:
    nodes = finding.region or finding.nodes
    return {line for node in nodes for line in range(_line(node), _end(node) + 1)}


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 1)


def _end(node: ast.AST) -> int:
    return getattr(node, "end_lineno", None) or _line(node)
