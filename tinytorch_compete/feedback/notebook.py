"""The notebook that goes back to a student: their work, what it printed, and what it earned."""

from __future__ import annotations

import nbformat
from nbformat import NotebookNode, v4

from tinytorch_compete.feedback import outputs, record, suggestion_cells
from tinytorch_compete.model import Advice, CellResult, ChallengeSpec, Result, Verdict
from tinytorch_compete.rendering.markdown import escape, row_of
from tinytorch_compete.results import figures
from tinytorch_compete.submissions import notebook

# What to do next, by how the run ended.
ADVICE = {
    Verdict.OK: "",
    Verdict.WRONG: "Everything ran, but the answers don't reach the first tier yet. Run the "
    "notebook's own try-out cell from a fresh kernel and compare.",
    Verdict.ERROR: "Restart your kernel, run all cells from the top, and look at the first error: "
    "grading does the same in a fresh kernel. Put all that the answers need into the answer cells.",
    Verdict.OVER_MEMORY: "Ask of each array: how many MiB is it (`a.nbytes / 2**20`), is it a "
    "copy, and how long is it needed? Work on slices of the data instead of all of it at once, and "
    "mind that `float64` doubles everything.",
    Verdict.OVER_TIME: "Find the loop that Python runs more often than it must. Time a hundredth "
    "of the work first and multiply.",
    Verdict.FAULT: "This was our fault, not yours. Nothing was scored; the submission will be "
    "graded again.",
}

AT_THE_END = "What your lines cost, and what to try next, stands at the end of this notebook."

# What begins the last part of the summary, which comes and goes with the class.
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
    """The feedback for one result; ``executed`` is the run's notebook, ``None`` if it never ran.

    ``handle`` is the student's name on the leaderboard, ``note`` what there is to say of the
    student's team. What was found out about costs comes last:
    the autopsy, the profile, and what to try. Hidden tests and their output are taken out; outputs
    are text and pictures only; all that the student wrote is escaped in our own cells.
    """
    shown = v4.new_notebook()
    if executed is not None:
        shown = outputs.with_plain_outputs(outputs.without_hidden_tests(executed))
    by_id = {cell.grade_id: cell for cell in result.cells}
    about = list(suggestion_cells.make(advice)) if advice else []
    cells = [_cell("summary", _summary(spec, result, surplus, handle, note))]
    cells[0].source += f"\n\n{AT_THE_END}" if suggestion_cells.SUGGESTIONS in dict(about) else ""
    for cell in shown.cells:
        cells.append(cell)
        name = notebook.grade_id(cell)
        if name in by_id:
            cells.append(_cell(f"feedback-{name}", _about_cell(by_id[name])))
    cells += [_cell(name, text) for name, text in about]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    shown.cells = cells
    nbformat.validate(shown)
    return shown


def with_class(made: NotebookNode, section: str) -> bool:
    """Put a section on the class at the end of a feedback's summary, or take it out if empty.

    Returns whether the notebook is another now. One without a summary of ours stays as it is.
    """
    marks = ((cell, cell.metadata.get("tinytorch_compete", {})) for cell in made.cells)
    found = [cell for cell, mark in marks if mark.get("feedback") == "summary"]
    if not found:
        return False
    before = found[0].source
    own = before.partition(CLASS)[0]
    found[0].source = f"{own}{CLASS}{section}" if section else own
    return bool(found[0].source != before)


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
    words = (_next_tier(spec, result), ADVICE[result.verdict])
    lines += ["\n\n".join(text for text in words if text)]
    if surplus:
        cells, were = ("cell", "was") if surplus == 1 else ("cells", "were")
        lines += [
            "",
            f"{surplus} code {cells} that you added {were} not run: grading runs the answer cells.",
        ]
    return "\n".join([*lines, "", record.line(result, handle, note)])


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
        found = figures.estimate_of(spec, result, metric.name)
        if found and metric.name in result.metrics:
            note = f"mean of {found.n} runs, 95 % interval" if found.n > 1 else ""
            rows.append((metric.name, figures.format_estimate(metric, found), note))
    table = [row_of(row) for row in reversed(rows)]
    return [row_of(["figure", "yours", ""]), "|---|---|---|", *table]


def _next_tier(spec: ChallengeSpec, result: Result) -> str:
    """How far it is to the next tier, in the first rank metric."""
    metric = spec.metric(spec.rank[0])
    names = [tier.name for tier in spec.tiers]
    above = spec.tiers[names.index(result.tier) + 1 :] if result.tier else spec.tiers
    if not above:
        return "This is the highest tier."
    goal = figures.format_figure(metric, above[0].at)
    found = figures.estimate_of(spec, result, metric.name)
    if found is None:
        return f"The first tier, **{above[0].name}**, starts at {metric.name} {goal}."
    yours = figures.format_figure(metric, found.value)
    if metric.sign * found.value <= metric.sign * above[0].at:
        return (
            f"Next tier: **{above[0].name}** at {metric.name} {goal}. Yours is {yours} in the runs "
            "that gave one, but a tier counts only if every run reaches one."
        )
    return f"Next tier: **{above[0].name}** at {metric.name} {goal}; yours is {yours}."


def _about_cell(cell: CellResult) -> str:
    mark = "✓" if cell.points >= cell.max_points else "◐" if cell.points else "✗"
    score = f"{cell.points:g} of {cell.max_points:g} points"
    return f"**{mark} {score}** — {escape(cell.message)}"
