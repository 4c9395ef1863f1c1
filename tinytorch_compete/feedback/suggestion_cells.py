"""Advice as Markdown cells: hints before answers, and nothing that needs a script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tinytorch_compete.model import (
    Advice,
    Autopsy,
    Insight,
    LineAllocation,
    MemoryPeak,
    Profile,
    Reason,
    StackFrame,
)
from tinytorch_compete.profiling import markdown, view
from tinytorch_compete.profiling.bottlenecks import TITLE
from tinytorch_compete.profiling.report import lines_of
from tinytorch_compete.rendering.markdown import escape, fence, row_of, sentence
from tinytorch_compete.suggestions import selection

LARGEST, DEEPEST = 5, 3
SUGGESTIONS = "suggestions"  # the cell on what to try
NOTHING = (
    "## What to try\n\nNone of the wasteful patterns that are looked for was found, or no change "
    "that was tried helped. What is left is to do less work: begin with the hottest line above."
)
MOST = 30  # suggestions that are written down at all
STEPS, COLUMNS = "▁▂▃▄▅▆▇█", 48


def make(advice: Advice) -> Iterator[tuple[str, str]]:
    """The name and the text of each cell, in their order; only those that have something to say."""
    if advice.autopsy:
        yield "autopsy", _autopsy(advice.autopsy, advice.profile)
    if advice.profile or advice.note:
        yield "profile", _profile(advice)
    if advice.insights:
        yield SUGGESTIONS, _suggestions(advice.insights)
    elif advice.profile:
        yield SUGGESTIONS, NOTHING


ELSEWHERE = (
    "No line of yours accounts for most of that: it was held by processes that the code started, "
    "or below Python. Does each of them get a copy of the data?"
)
UNSEEN = "What was held is not known: the code could not be profiled, even with more room."


def _autopsy(autopsy: Autopsy, profile: Profile | None) -> str:
    where = f" in the cell **{escape(autopsy.reached)}**" if autopsy.reached else ""
    parts = ["## Out of memory: what happened", _stopped(autopsy, where)]
    moment = profile.moment if profile else None
    if profile is None:
        parts.append(UNSEEN)
    elif moment is None:  # this machine's backend sees no blocks
        rows = selection.largest(profile, LARGEST)
        if rows:
            parts += ["These lines held the most while they ran, largest first:", _peaks(rows)]
        if max((row.peak_mib for _, row in rows), default=0.0) < autopsy.need_mib / 2:
            parts.append(ELSEWHERE)
    else:
        parts += _held(autopsy, profile, moment)
    parts.append(_way_out(autopsy))
    return "\n\n".join(parts)


def _held(autopsy: Autopsy, profile: Profile, moment: MemoryPeak) -> Iterator[str]:
    held = largest_held(autopsy, moment)
    if held:
        yield f"{when_held(autopsy, moment)} The lines that had made them:"
        yield _table(profile, held)
    else:
        yield ELSEWHERE
    if steps := where_then(moment):
        yield f"Your code was then on {escape(steps)}."


def when_held(autopsy: Autopsy, moment: MemoryPeak) -> str:
    """How much was held, and when."""
    when = "When the cap was passed" if moment.mib >= autopsy.cap_mib else "At the highest point"
    return f"{when}, {view.mib(moment.mib)} MiB were held."


def where_then(moment: MemoryPeak) -> str:
    """The lines that were on, innermost first."""
    return ", called from ".join(_step(step) for step in reversed(moment.steps[-DEEPEST:]))


def _step(step: StackFrame) -> str:
    begun = f", begun {step.begun:,} times" if step.begun > 1 else ""
    return f"{view.title(step.source)}, line {step.line}{begun}"


def _stopped(autopsy: Autopsy, where: str) -> str:
    said = f"The cap of {autopsy.cap_mib} MiB stopped the run{where}. "
    need = f"{autopsy.need_mib:.0f} MiB"
    if not autopsy.need_mib:
        return said + "What it would have needed is not known: this machine has no more room."
    if autopsy.more:
        return said + f"With more room it was stopped again: it needs more than {need}."
    if autopsy.need_mib <= autopsy.cap_mib:
        return said + (
            f"With more room the same code ran on and filled at most {need} at a time. Memory that "
            "is asked for counts against the cap, also before it is filled."
        )
    return said + (
        f"With more room the same code ran on: it would have needed {need} (cap {autopsy.cap_mib})."
    )


def autopsy_text(autopsy: Autopsy) -> str:
    """What stopped the run, in plain sentences."""
    where = f" in the cell {autopsy.reached}" if autopsy.reached else ""
    return _stopped(autopsy, where)


def largest_held(autopsy: Autopsy, moment: MemoryPeak) -> list[LineAllocation]:
    """The lines that had made the most of what was held, largest first; none if it wasn't they."""
    if sum(row.mib for row in moment.held) < autopsy.cap_mib / 2:
        return []
    return _most(moment, LARGEST)


def _most(moment: MemoryPeak, count: int) -> list[LineAllocation]:
    return [row for row in moment.held if row.mib >= moment.mib * view.HOT][:count]


def _way_out(autopsy: Autopsy) -> str:
    if autopsy.fits and autopsy.fits.trial:
        return (
            f"**It fits with one change:** {escape(selection.where(autopsy.fits))}, "
            f"{selection.gained(autopsy.fits.trial)}. With it your code ran to its end under the "
            "cap. Which change that is stands below, under *What to try*."
        )
    if autopsy.helped:
        return "What is named under *What to try* helps, but no change alone gets below the cap."
    return "No change that can be made mechanically brings it below the cap. See the top line."


def _table(profile: Profile, held: Sequence[LineAllocation]) -> str:
    lines = [row_of(["where", "line", "MiB"]), "|---|---|---:|"]
    for row in held:
        text = lines_of(profile.sources.get(row.source, ""))[row.line - 1]
        where = markdown.place(row.source, row.line)
        lines.append(row_of([where, markdown.code(text), view.mib(row.mib)]))
    return "\n".join(lines)


def _peaks(rows: Sequence[tuple[str, view.Row]]) -> str:
    lines = [row_of(["where", "line", "peak MiB"]), "|---|---|---:|"]
    for source, row in rows:
        where = markdown.place(source, row.number)
        lines.append(row_of([where, markdown.code(row.text), view.mib(row.peak_mib)]))
    return "\n".join(lines)


def _profile(advice: Advice) -> str:
    parts = ["## What your lines cost"]
    profile = advice.profile
    if profile and not profile.lines:
        parts.append(view.NONE_RAN)
    elif profile:
        total = view.whole(profile)
        parts += [
            f"**{view.seconds(total.seconds)}** in all cells, and at most "
            f"**{view.mib(total.peak_mib) or '0'} MiB** in one line. Seconds include what a line "
            "called. Peak is above what was held when the line began; net is what it left behind, "
            "summed over its hits. ~ marks estimates. This was a run of its own, which is slower "
            f"than a plain one and ranks nobody. {view.untimed(profile)}".rstrip(),
            markdown.markdown(profile),
            *_reasons(advice.reasons),
            *_timeline(profile),
            *(() if advice.autopsy else _makers(profile)),
        ]
    if advice.note:
        parts.append(f"*{escape(advice.note)}*")
    return "\n\n".join(parts)


def _reasons(found: Sequence[Reason]) -> list[str]:
    items = [
        f"- {escape(view.title(reason.source))}, line {reason.line}: **{reason.kind}**. "
        f"{escape(reason.words)}"
        for reason in found
    ]
    return [f"**{TITLE}**", "\n".join(items)] if items else []


def _timeline(profile: Profile) -> list[str]:
    top = max((mib for _, mib in profile.timeline), default=0.0)
    if top < 1:
        return []
    at = max(profile.timeline, key=lambda look: look[1])[0]
    end = profile.timeline[-1][0]
    return [
        f"Memory over the run, {view.seconds(end)} from left to right: `{_curve(profile, top)}` "
        f"at most {view.mib(top)} MiB, {view.seconds(at) or '0 s'} after the start."
    ]


def _makers(profile: Profile) -> Iterator[str]:
    """Whose memory it was at the highest point."""
    moment = profile.moment
    rows = [row for row in _most(moment, 3) if row.mib >= view.LEAST_MIB] if moment else []
    if moment and rows:
        lines = [
            f"{view.mib(row.mib)} MiB made by {escape(view.title(row.source))}, line {row.line}"
            for row in rows
        ]
        yield f"At the highest point Python held {view.mib(moment.mib)} MiB: {'; '.join(lines)}."


def _curve(profile: Profile, top: float) -> str:
    """The timeline as one row of bars, each the highest look of its stretch, or the last before."""
    end = profile.timeline[-1][0] or 1.0
    highest: list[float | None] = [None] * COLUMNS
    for at, mib in profile.timeline:
        column = min(COLUMNS - 1, max(0, int(at / end * COLUMNS)))
        highest[column] = max(highest[column] or 0.0, mib)
    bars, last = "", 0.0
    for seen in highest:
        last = last if seen is None else seen
        bars += STEPS[round(last / top * (len(STEPS) - 1))]
    return bars


def _suggestions(found: Sequence[Insight]) -> str:
    found = selection.ordered(found)[:MOST]
    first, rest = found[: selection.AT_FIRST], found[selection.AT_FIRST :]
    parts = ["## What to try", _lead(found), *(_one(insight) for insight in first)]
    if rest:
        inside = "\n\n".join(_one(insight) for insight in rest)
        parts.append(_folded(f"{len(rest)} more", inside))
    return "\n\n".join(parts)


def _lead(found: Sequence[Insight]) -> str:
    if any(insight.trial for insight in found):
        return (
            "Where a gain is named, the change was made on a copy of your code and run; the others "
            "were not tried. Look first, then open what you want to know."
        )
    return "None of these was tried. Look first, then open what you want to know."


def _one(insight: Insight) -> str:
    head = selection.gained(insight.trial) if insight.trial else "not tried"
    parts = [
        f"### {escape(selection.where(insight))}: {head}",
        sentence(insight.look),
        _folded(
            "why, and what to change",
            f"{sentence(insight.why)}\n\n{sentence(insight.change)}\n\n"
            f"More, with an example: `tito compete guide {insight.guide}`, or in a notebook "
            f"`%compete guide {insight.guide}`.",
        ),
    ]
    if insight.diff:
        parts.append(_folded("the change that was tried", fence(insight.diff, "diff")))
    return "\n\n".join(parts)


def _folded(title: str, text: str) -> str:
    """A text behind a title, on request; the empty lines make it Markdown inside.

    It says ``Open``, since nbgrader's pages show no triangle before a summary.
    """
    return f"<details><summary>Open: {title}</summary>\n\n{text}\n\n</details>"
