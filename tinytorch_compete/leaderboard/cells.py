"""The cells of a leaderboard notebook, whose code readers may run and change."""

from __future__ import annotations

from nbformat import NotebookNode, v4

from tinytorch_compete.leaderboard.board import Board
from tinytorch_compete.model import ChallengeSpec
from tinytorch_compete.results.figures import FEWEST, format_figure
from tinytorch_compete.util.stats import CONFIDENCE

LOAD = """\
from tinytorch_compete.leaderboard import board, charts, ranking, tables
from tinytorch_compete.results.figures import FEWEST

ME = {me!r}  # your handle, such as "swift-heron-042", to see where you are

BOARD = board.read("{name}.json")
CHALLENGE = BOARD.challenge
rows = ranking.board(CHALLENGE, BOARD.newest)  # all computed here, from the raw samples
me = board.find(rows, ME)
ranked = [row for row in rows if not row.withdrawn]
large = len(ranked) >= FEWEST\
"""

SUMMARY = """\
print(f"{len(ranked)} submissions are ranked; data as of {BOARD.day:%Y-%m-%d}.")
if len(ranked) < len(rows):
    print(f"{len(rows) - len(ranked)} withdrawn: a withdrawn submission leaves its place empty.")
if BOARD.unshown:
    print(f"{BOARD.unshown} asked not to be shown; the ranking leaves them out.")
if BOARD.elsewhere:
    print(f"Not shown: {BOARD.elsewhere} graded under other conditions (an older version of the "
          "challenge, other seeds, data or limits), whose figures aren't comparable.")
if ranked and max(len(values) for row in ranked for values in row.samples.values()) < 2:
    print("Each submission was run only once, so no figure has a confidence interval and no two "
          "submissions are statistically distinguishable.")
if tables.too_noisy(BOARD):
    print("TOO NOISY TO RANK: the machine was so busy that a run says more about it than about the "
          "code. Treat the order below as unknown, and grade again on a quieter machine.")\
"""

RANKED = """\
for table in tables.ranked(CHALLENGE, rows, me):
    display(table)\
"""

PARETO = """\
if len(charts.trade(CHALLENGE)) < 2:
    print("Memory alone decides here: there is nothing to trade it for.")
elif ranked:
    display(charts.pareto(CHALLENGE, ranked, me))
    display(tables.front(CHALLENGE, ranked, charts.trade(CHALLENGE)))
else:
    print("Nobody is ranked yet.")\
"""

DISTRIBUTION = """\
if large:
    display(charts.distribution(CHALLENGE, ranked, me))
else:
    print(f"Fewer than {FEWEST} submissions are ranked: a chart would reveal who is who.")
display(tables.tiers(BOARD, rows))\
"""

PROGRESS = """\
if len({attempt.day for attempt in BOARD.history}) > 1:
    display(charts.progress(CHALLENGE, BOARD.history))
elif BOARD.history:
    print("All submissions were graded on one day: there is no progress to show yet.")
if BOARD.history:
    display(tables.records(BOARD))
else:
    print(f"Progress over time is shown once {FEWEST} ranked competitors share it.")\
"""

GROUPS = """\
groups = list(tables.differences(CHALLENGE, rows))
for table in groups:
    display(table)
if not groups:
    print("There is no second group anywhere: no figure separates the submissions.")
if BOARD.findings:
    display(tables.findings(BOARD))
else:
    print(f"Findings are listed for tiers with at least {FEWEST} inspected submissions.")\
"""

NOISE = """\
display(tables.certificate(BOARD))
for machine in BOARD.machines:
    print(f"Graded on: {machine}")\
"""


def cells(board: Board, me: str = "") -> list[NotebookNode]:
    """Build the notebook's cells, unexecuted; they read the data from ``NAME.json`` beside it."""
    nodes = [
        v4.new_markdown_cell(_heading(board)),
        v4.new_code_cell(LOAD.format(name=board.name, me=me)),
        v4.new_code_cell(SUMMARY),
        v4.new_markdown_cell("## Ranks"),
        v4.new_code_cell(RANKED),
        v4.new_markdown_cell(_method(board.challenge)),
    ]
    for title, code in (
        ("What it costs", PARETO),
        ("Where everybody stands", DISTRIBUTION),
        ("Over time", PROGRESS),
        ("What separated the groups", GROUPS),
        ("How reliable is this?", NOISE),
    ):
        nodes += [v4.new_markdown_cell(f"## {title}"), v4.new_code_cell(code)]
    nodes.append(v4.new_markdown_cell(_about(board)))
    for number, cell in enumerate(nodes):
        cell.id = f"cell-{number}"
    return nodes


def _heading(board: Board) -> str:
    stage = (
        "**Final board**: graded after the challenge closed, with secret seeds that were used for "
        "nothing else."
        if board.final
        else "**Public board**: graded while the challenge is open. After that the final board is "
        "graded with other secret seeds, and may differ."
    )
    return f"# Leaderboard: {board.challenge.title}\n\n{board.challenge.summary}\n\n{stage}"


def _method(spec: ChallengeSpec) -> str:
    order = ", then ".join(f"`{name}`" for name in spec.rank)
    first = spec.metric(spec.rank[0])
    tiers = ", ".join(f"{t.name} from {format_figure(first, t.at)}" for t in spec.tiers)
    return (
        f"Ranked by {order}. **Submissions that share a rank (marked `=`) are tied**: a paired t "
        "test over the secret seeds, with Holm's correction for all pairs and an equal share of a "
        "5 % error rate for each of these figures, can't distinguish them from the first of their "
        "group, and within a group the order means nothing. "
        f"Brackets give the {CONFIDENCE:.0%} confidence interval of the mean over the runs, each "
        "with a different secret seed. Memory is the operating system's figure for the whole "
        f"process tree above an idle kernel. Tiers: {tiers}. Only submissions that reached a tier "
        "are ranked, each handle by its newest result."
    )


def _about(board: Board) -> str:
    return (
        "## Run it again\n\n"
        f"Everything here is computed from `{board.name}.json`, which has handles and the raw "
        f"samples of each run. Open `{board.name}.ipynb` beside it, with `tinytorch_compete` "
        "installed, set `ME` to your handle and run all cells. Handles are pseudonyms, or "
        "names and teams that students chose; the number of an anonymous competitor is valid on "
        "this board alone. Times are published as days, since a class is graded in the order of "
        "its names, and only for competitors who share them; if fewer than "
        f"{FEWEST} do, not even days are."
    )
