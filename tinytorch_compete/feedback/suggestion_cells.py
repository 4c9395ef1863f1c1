"""Turn advice into Markdown cells, with hints before answers and without scripts."""

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
    "## What to try\n\nNo known wasteful pattern was found, or none of the changes that were tried "
    "helped. What remains is to do less work: start with the hottest line above."
)
ELSEWHERE = (
    "None of your lines accounts for most of that memory: it was held by processes that the code "
    "started, or by code below Python. Does each process get a copy of the data?"
)
UNSEEN = "It is unknown what held the memory: the code couldn't be profiled, even with more memory."
LARGEST_FIRST = "These lines held the most memory while they ran, largest first:"
ONE_CHANGE = "It fits with one change"
SEVERAL_CHANGES = (
    "The suggestions under *What to try* help, but no single change brings it below the cap."
)
NO_CHANGE = (
    "No change that can be made automatically brings it below the cap. Start with the top line."
)
UNTRIED = "None of these was tried."
MOST = 30  # suggestions that are listed at all
STEPS, COLUMNS = "▁▂▃▄▅▆▇█", 48


def make(advice: Advice) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each cell that has content, in order."""
    if advice.autopsy:
        yield "autopsy", _autopsy(advice.autopsy, advice.profile)
    if advice.profile or advice.note:
        yield "profile", _profile(advice)
    if advice.insights:
        yield SUGGESTIONS, _suggestions(advice.insights)
    elif advice.profile:
        yield SUGGESTIONS, NOTHING


def _autopsy(autopsy: Autopsy, profile: Profile | None) -> str:
    where = f" in the cell **{escape(autopsy.reached)}**" if autopsy.reached else ""
    parts = ["## Out of memory: what happened", _stopped(autopsy, where)]
    moment = profile.moment if profile else None
    if profile is None:
        parts.append(UNSEEN)
    elif moment is None:  # this machine's backend sees no blocks
        rows = selection.largest(profile, LARGEST)
        if rows:
            parts += [LARGEST_FIRST, _peaks(rows)]
        if max((row.peak_mib for _, row in rows), default=0.0) < autopsy.need_mib / 2:
            parts.append(ELSEWHERE)
    else:
        parts += _held(autopsy, profile, moment)
    parts.append(_way_out(autopsy))
    return "\n\n".join(parts)


def _held(autopsy: Autopsy, profile: Profile, moment: MemoryPeak) -> Iterator[str]:
    held = largest_held(autopsy, moment)
    if held:
        yield f"{when_held(autopsy, moment)} They were allocated by these lines:"
        yield _table(profile, held)
    else:
        yield ELSEWHERE
    if steps := where_then(moment):
        yield f"At that moment your code was at {escape(steps)}."


def when_held(autopsy: Autopsy, moment: MemoryPeak) -> str:
    """Say how much memory was held, and when."""
    when = "When the cap was passed" if moment.mib >= autopsy.cap_mib else "At the peak"
    return f"{when}, {view.mib(moment.mib)} MiB were held."


def where_then(moment: MemoryPeak) -> str:
    """Name the lines that were running, innermost first."""
    return ", called from ".join(_step(step) for step in reversed(moment.steps[-DEEPEST:]))


def _step(step: StackFrame) -> str:
    times = f", reached {step.begun:,} times" if step.begun > 1 else ""
    return f"{view.title(step.source)}, line {step.line}{times}"


def _stopped(autopsy: Autopsy, where: str) -> str:
    return f"The cap of {autopsy.cap_mib} MiB stopped the run{where}. {_needed(autopsy)}"


def _needed(autopsy: Autopsy) -> str:
    need = f"{autopsy.need_mib:.0f} MiB"
    if not autopsy.need_mib:
        return "How much it would have needed is unknown: this machine has no more memory."
    if autopsy.more:
        return f"With more memory it was stopped again: it needs more than {need}."
    if autopsy.need_mib <= autopsy.cap_mib:
        return (
            f"With more memory the same code ran on, and filled at most {need} at a time. Memory "
            "that is requested counts against the cap even before it is filled."
        )
    return (
        f"With more memory the same code ran on: it would have needed {need} "
        f"(cap {autopsy.cap_mib})."
    )


def autopsy_text(autopsy: Autopsy) -> str:
    """Say in plain sentences what stopped the run, and how much memory it needs."""
    where = f" in the cell {autopsy.reached}" if autopsy.reached else ""
    return _stopped(autopsy, where)


def largest_held(autopsy: Autopsy, moment: MemoryPeak) -> list[LineAllocation]:
    """Return the lines that allocated the most of the memory held, largest first.

    Empty if the student's lines allocated less than half the cap.
    """
    if sum(row.mib for row in moment.held) < autopsy.cap_mib / 2:
        return []
    return _most(moment, LARGEST)


def _most(moment: MemoryPeak, count: int) -> list[LineAllocation]:
    return [row for row in moment.held if row.mib >= moment.mib * view.HOT][:count]


def _way_out(autopsy: Autopsy) -> str:
    if autopsy.fits and autopsy.fits.trial:
        return (
            f"**{ONE_CHANGE}:** {escape(selection.where(autopsy.fits))}, "
            f"{selection.gained(autopsy.fits.trial)}. With it, your code ran to its end under the "
            "cap. The change is described below, under *What to try*."
        )
    return SEVERAL_CHANGES if autopsy.helped else NO_CHANGE


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
            f"**{view.mib(total.peak_mib) or '0'} MiB** in one line. Seconds include the calls "
            "that a line makes. Peak is the memory above what was held when the line began; net is "
            "what the line left behind, summed over its hits. ~ marks estimates. The profile comes "
            "from a separate run, which is slower than a plain one and doesn't count for the "
            f"ranking. {view.untimed(profile)}".rstrip(),
            markdown.markdown(profile),
            *_reasons(advice.reasons),
            *_timeline(profile),
            *(() if advice.autopsy else _makers(profile)),
        ]
    if advice.note:
        parts.append(f"*{escape(advice.note)}*")
    return "\n\n".join(parts)


def _reasons(reasons: Sequence[Reason]) -> list[str]:
    items = [
        f"- {escape(view.title(reason.source))}, line {reason.line}: **{reason.kind}**. "
        f"{escape(reason.words)}"
        for reason in reasons
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
    """Say which lines had allocated the memory that was held at the peak."""
    moment = profile.moment
    rows = [row for row in _most(moment, 3) if row.mib >= view.LEAST_MIB] if moment else []
    if moment and rows:
        lines = [
            f"{view.mib(row.mib)} MiB from {escape(view.title(row.source))}, line {row.line}"
            for row in rows
        ]
        yield f"At the peak, Python held {view.mib(moment.mib)} MiB: {'; '.join(lines)}."


def _curve(profile: Profile, top: float) -> str:
    """The timeline as a row of bars, each the maximum of its interval, or the bar before it."""
    end = profile.timeline[-1][0] or 1.0
    highest: list[float | None] = [None] * COLUMNS
    for at, mib in profile.timeline:
        column = min(COLUMNS - 1, max(0, int(at / end * COLUMNS)))
        highest[column] = max(highest[column] or 0.0, mib)
    bars, last = "", 0.0
    for peak in highest:
        last = last if peak is None else peak
        bars += STEPS[round(last / top * (len(STEPS) - 1))]
    return bars


def _suggestions(insights: Sequence[Insight]) -> str:
    listed = selection.ordered(insights)[:MOST]
    first, rest = listed[: selection.AT_FIRST], listed[selection.AT_FIRST :]
    parts = ["## What to try", _lead(listed), *(_suggestion(insight) for insight in first)]
    if rest:
        inside = "\n\n".join(_suggestion(insight) for insight in rest)
        parts.append(_folded(f"{len(rest)} more", inside))
    return "\n\n".join(parts)


def _lead(insights: Sequence[Insight]) -> str:
    tried = UNTRIED
    if any(insight.trial for insight in insights):
        tried = (
            "Where a gain is given, the change was made in a copy of your code and run; the others "
            "were not tried."
        )
    return f"{tried} Look for yourself first, then open what you want to know."


def _suggestion(insight: Insight) -> str:
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
    """A text that opens on a click on its title; the empty lines make it Markdown inside.

    The title begins with ``Open``, since nbgrader's pages show no triangle before a summary.
    """
    return f"<details><summary>Open: {title}</summary>\n\n{text}\n\n</details>"
