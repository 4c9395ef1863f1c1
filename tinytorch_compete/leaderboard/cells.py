"""The cells of a leaderboard notebook; their code is for readers, who may run and change it."""

from __future__ import annotations

import json

from nbformat import NotebookNode, v4

from tinytorch_compete.model import Challenge, Metric
from tinytorch_compete.ranking import format_figure

LOAD = """\
import matplotlib.pyplot as plt
import pandas as pd

CHALLENGE = {facts}

FIGURES = [metric["name"] for metric in CHALLENGE["metrics"]] + ["peak_mib"]
empty = {{name: [""] for name in FIGURES}}
board = pd.read_csv("{slug}.csv", keep_default_na=False, na_values=empty)
ranked = board[board["handle"] != ""]  # a line without a handle is a withdrawn result's
print(f"{{len(ranked)}} ranked submissions, {{len(board) - len(ranked)}} withdrawn")\
"""

TABLE = """\
def shown(rows):
    table = rows.drop(columns=["division"]).copy()
    for metric in CHALLENGE["metrics"]:
        share = metric["unit"].startswith("share")
        form = "{:.1%}" if share else "{:.0f} " + metric["unit"]
        table[metric["name"]] = table[metric["name"]].map(form.format, na_action="ignore")
    table.loc[table["handle"] == "", "handle"] = "(withdrawn)"
    table = table.rename(columns={"peak_mib": "peak memory"}).style.format(na_rep="")
    table = table.hide(axis="index")
    return table.set_properties(subset=["handle", "tier"], **{"text-align": "left"})


for division, rows in board.groupby("division", sort=False):
    display(shown(rows).set_caption(f"Division: {division}" if division else CHALLENGE["title"]))\
"""

PICTURE = """\
FIRST = CHALLENGE["metrics"][0]
MARKERS = "osD^vP*X"
share = FIRST["unit"].startswith("share")

figure, axes = plt.subplots(figsize=(8, 4.5), dpi=110, layout="constrained")
for number, (tier, rows) in enumerate(ranked.groupby("tier", sort=False)):
    height = rows[FIRST["name"]] * (100 if share else 1)
    axes.scatter(rows["peak_mib"], height, s=60, marker=MARKERS[number % len(MARKERS)], label=tier)
    for x, y, handle in zip(rows["peak_mib"], height, rows["handle"]):
        axes.annotate(handle, (x, y), xytext=(5, 5), textcoords="offset points", fontsize=8)
for division in CHALLENGE["divisions"]:
    axes.axvline(division["peak_mib"], color="gray", linestyle=":", linewidth=1)
axes.set_xlabel("peak memory above the idle kernel (MiB)")
axes.set_ylabel(FIRST["name"] + (" (%)" if share else f" ({FIRST['unit']})"))
axes.set_title(CHALLENGE["title"] + ": further up and further left is better")
axes.margins(x=0.12, y=0.12)
axes.grid(alpha=0.25)
if len(ranked):
    axes.legend(title="tier")
plt.show()\
"""


def cells(slug: str, challenge: Challenge) -> list[NotebookNode]:
    """The notebook's cells, not yet executed; the data is read from ``SLUG.csv`` beside it."""
    facts = {
        "title": challenge.title,
        "metrics": [{"name": m.name, "unit": m.unit} for m in _ranked_first(challenge)],
        "divisions": [{"name": d.name, "peak_mib": d.peak_mib} for d in challenge.divisions],
    }
    load = LOAD.format(facts=json.dumps(facts, indent=4), slug=slug)
    return [
        _numbered(number, cell)
        for number, cell in enumerate(
            [
                v4.new_markdown_cell(_heading(challenge)),
                v4.new_code_cell(load),
                v4.new_code_cell(TABLE),
                v4.new_code_cell(PICTURE),
                v4.new_markdown_cell(_method(challenge)),
            ]
        )
    ]


def _ranked_first(challenge: Challenge) -> list[Metric]:
    ranked = [challenge.metric(name) for name in challenge.rank]
    return [*ranked, *(metric for metric in challenge.metrics if metric.name not in challenge.rank)]


def _heading(challenge: Challenge) -> str:
    return f"# Leaderboard: {challenge.title}\n\n{challenge.summary}"


def _method(challenge: Challenge) -> str:
    order = ", then ".join(f"`{name}`" for name in challenge.rank)
    first = challenge.metric(challenge.rank[0])
    tiers = ", ".join(f"{t.name} from {format_figure(first, t.at)}" for t in challenge.tiers)
    return (
        "## How to read this\n\n"
        f"Ordered by {order}; equal figures share a rank. Tiers: {tiers}. Only submissions that "
        "reached a tier are ranked, each by its newest result; one that was withdrawn later leaves "
        "an empty line. Memory is the operating system's "
        "figure for the whole process tree above an idle kernel. Accuracy is measured on images "
        "that no submission has seen, once: **neighbours whose figures differ by a few points may "
        "well stand the other way round on other images.**\n\n"
        "Handles are pseudonyms. The figures are in the CSV file beside this notebook."
    )


def _numbered(number: int, cell: NotebookNode) -> NotebookNode:
    cell.id = f"cell-{number}"
    return cell
