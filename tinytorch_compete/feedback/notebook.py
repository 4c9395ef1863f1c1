"""Make the notebook that goes back to a student: their code, its outputs, and its points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import nbformat
from nbformat import NotebookNode, v4

from tinytorch_compete.feedback import outputs, record, suggestion_cells
from tinytorch_compete.model import Advice, CellResult, ChallengeSpec, Result, Verdict
from tinytorch_compete.rendering.markdown import escape, row_of
from tinytorch_compete.results import figures
from tinytorch_compete.submissions import notebook

# Advice on what to do next, by the result's verdict.
ADVICE = {
    Verdict.OK: "",
    Verdict.WRONG: "Everything ran, but the answers don't reach the first tier yet. Run the "
    "notebook's own try-out cell from a fresh kernel and compare.",
    Verdict.ERROR: "Restart your kernel, run all cells from the top, and look at the first error: "
    "grading does the same in a fresh kernel. Put everything that the answers need into the answer "
    "cells.",
    Verdict.OVER_MEMORY: "Ask of each array: how many MiB is it (`a.nbytes / 2**20`), is it a "
    "copy, and how long is it needed? Work on slices of the data instead of all of it at once, and "
    "remember that `float64` takes twice the memory of `float32`.",
    Verdict.OVER_TIME: "Find the loop that Python runs more often than it has to. Time a hundredth "
    "of the work first, and multiply.",
    Verdict.FAULT: "This was our fault, not yours. Nothing was scored; the submission will be "
    "graded again.",
}

EVERY_RUN = "A tier counts only if every run reaches one."
AT_THE_END = "The cost of your lines, and what to try next, are at the end of this notebook."

# The title of the summary's last section, which is added and removed as the class changes.
CLASS_TITLE = "## In your class"
CLASS = f"\n\n{CLASS_TITLE}\n\n"


def make(
    spec: ChallengeSpec,
    result: Result,
    executed: NotebookNode | None,
    surplus: int = 0,
    handle: str = "",
    advice: Advice | None = None,
    note: str = "",
) -> NotebookNode:
    """Make the feedback for one result.

    ``executed`` is the run's notebook, ``None`` if it never ran; ``handle`` is the student's name
    on the leaderboard; ``note`` is about the student's team. The analysis of costs comes last: the
    autopsy, the profile, and suggestions. Hidden tests and their output are removed, outputs are
    text and pictures only, and everything that the student wrote is escaped in our own cells.
    """
    feedback = v4.new_notebook()
    if executed is not None:
        feedback = outputs.with_plain_outputs(outputs.without_hidden_tests(executed))
    advice_cells = list(suggestion_cells.make(advice)) if advice else []
    summary = _cell("summary", _summary(spec, result, surplus, handle, note))
    if suggestion_cells.SUGGESTIONS in dict(advice_cells):
        summary.source += f"\n\n{AT_THE_END}"
    cells = [summary, *_with_points(feedback.cells, result)]
    cells += [_cell(name, text) for name, text in advice_cells]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    feedback.cells = cells
    nbformat.validate(feedback)
    return feedback


def _with_points(cells: Sequence[NotebookNode], result: Result) -> Iterator[NotebookNode]:
    """The cells, each grading cell followed by a cell with its points."""
    results = {cell.grade_id: cell for cell in result.cells}
    for cell in cells:
        yield cell
        name = notebook.grade_id(cell)
        if name in results:
            yield _cell(f"feedback-{name}", _points(results[name]))


def with_class(feedback: NotebookNode, section: str) -> bool:
    """Put a section on the class at the end of a feedback's summary, or remove it if empty.

    Returns whether the notebook was changed. A notebook without our summary stays as it is.
    """
    marks = ((cell, cell.metadata.get("tinytorch_compete", {})) for cell in feedback.cells)
    summary = next((cell for cell, mark in marks if mark.get("feedback") == "summary"), None)
    if summary is None:
        return False
    before = summary.source
    own = before.partition(CLASS)[0]
    summary.source = f"{own}{CLASS}{section}" if section else own
    return bool(summary.source != before)


def _cell(name: str, text: str) -> NotebookNode:
    return v4.new_markdown_cell(text, metadata={"tinytorch_compete": {"feedback": name}})


def _summary(spec: ChallengeSpec, result: Result, surplus: int, handle: str, note: str) -> str:
    lines = [f"# Feedback: {spec.title}", "", f"**{_score(result)}**", ""]
    if result.message:
        lines += [f"*{escape(result.message)}*", ""]
    if note:
        lines += [f"*{escape(note)}*", ""]
    if result.layers:
        lines += [*_figures(spec, result), ""]
    paragraphs = (_next_tier(spec, result), ADVICE[result.verdict])
    lines += ["\n\n".join(text for text in paragraphs if text)]
    if surplus:
        lines += ["", _not_run(surplus)]
    return "\n".join([*lines, "", record.line(result, handle, note)])


def _not_run(surplus: int) -> str:
    cells, were = ("cell", "was") if surplus == 1 else ("cells", "were")
    return (
        f"{surplus} code {cells} that you added {were} not run: of your cells, grading runs only "
        "the answer cells."
    )


def _score(result: Result) -> str:
    if result.points is None:
        return f"{result.verdict} · not scored"
    parts = [str(result.verdict), f"{result.points:g} of {result.max_points:g} points"]
    parts += [f"tier {result.tier}"] if result.tier else []
    parts += [f"division {result.division}"] if result.division else []
    return " · ".join(parts)


def _figures(spec: ChallengeSpec, result: Result) -> list[str]:
    limits = result.identity.limits
    rows = [
        ("peak memory", f"{result.peak_mib:.0f} MiB", f"cap {limits.memory_mib} MiB"),
        (
            "time" if result.runs == 1 else "time a run",
            f"{result.wall_s / result.runs:.1f} s",
            f"limit {limits.wall_s:g} s",
        ),
    ]
    for metric in spec.metrics:
        estimate = figures.estimate_of(spec, result, metric.name)
        if estimate and metric.name in result.metrics:
            is_mean = estimate.n > 1
            note = f"mean of {estimate.n} runs, 95 % confidence interval" if is_mean else ""
            rows.append((metric.name, figures.format_estimate(metric, estimate), note))
    table = [row_of(row) for row in reversed(rows)]
    return [row_of(["figure", "yours", ""]), "|---|---|---|", *table]


def _next_tier(spec: ChallengeSpec, result: Result) -> str:
    """The distance to the next tier, in the first metric of the ranking."""
    metric = spec.metric(spec.rank[0])
    names = [tier.name for tier in spec.tiers]
    above = spec.tiers[names.index(result.tier) + 1 :] if result.tier else spec.tiers
    if not above:
        return "This is the highest tier."
    goal = figures.format_figure(metric, above[0].at)
    estimate = figures.estimate_of(spec, result, metric.name)
    if estimate is None:
        return f"The first tier, **{above[0].name}**, starts at {metric.name} {goal}."
    yours = figures.format_figure(metric, estimate.value)
    if metric.sign * estimate.value <= metric.sign * above[0].at:
        return (
            f"Next tier: **{above[0].name}** at {metric.name} {goal}. Yours is {yours} in the runs "
            f"that have a figure. {EVERY_RUN}"
        )
    return f"Next tier: **{above[0].name}** at {metric.name} {goal}; yours is {yours}."


def _points(cell: CellResult) -> str:
    mark = "✓" if cell.points >= cell.max_points else "◐" if cell.points else "✗"
    score = f"{cell.points:g} of {cell.max_points:g} points"
    return f"**{mark} {score}** — {escape(cell.message)}"
