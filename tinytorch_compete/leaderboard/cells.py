"""The cells of a leaderboard notebook; their code is for readers, who may run and change it."""

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
rows = ranking.board(CHALLENGE, BOARD.newest)  # order, tie groups, intervals: from raw samples
me = board.find(rows, ME)
ranked = [row for row in rows if not row.withdrawn]
large = len(ranked) >= FEWEST\
"""

SUMMARY = """\
print(f"{len(ranked)} submissions are ranked; data of {BOARD.day:%Y-%m-%d}.")
if len(ranked) < len(rows):
    print(f"{len(rows) - len(ranked)} withdrawn: the place stays empty.")
if BOARD.unshown:
    print(f"{BOARD.unshown} asked not to be shown: the ranks are without them.")
if BOARD.elsewhere:
    print(f"{BOARD.elsewhere} graded under other conditions (an older version of the challenge, "
          "other seeds, data or limits) are not shown: their figures can't be compared.")
if ranked and max(len(values) for row in ranked for values in row.samples.values()) < 2:
    print("Each was run once, so that no figure has an interval and nobody can be told apart.")
if tables.too_noisy(BOARD):
    print("TOO NOISY TO RANK: the machine was so busy that a run says more of it than of the code. "
          "Take the order below as unknown, and grade again on a quieter machine.")\
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
    print(f"Fewer than {FEWEST} submissions are ranked: a picture would show who is who.")
display(tables.tiers(BOARD, rows))\
"""

PROGRESS = """\
if len({attempt.day for attempt in BOARD.history}) > 1:
    display(charts.progress(CHALLENGE, BOARD.history))
elif BOARD.history:
    print("All were graded on one day: there is no progress to show yet.")
if BOARD.history:
    display(tables.records(BOARD))
else:
    print(f"Who was when where is not shown for fewer than {FEWEST} who share it.")\
"""

GROUPS = """\
groups = list(tables.differences(CHALLENGE, rows))
for table in groups:
    display(table)
if not groups:
    print("There is no second group anywhere: nothing separates them.")
if BOARD.findings:
    display(tables.findings(BOARD))
else:
    print(f"What code wastes is told of tiers with {FEWEST} or more that were looked at.")\
"""

NOISE = """\
display(tables.certificate(BOARD))
for machine in BOARD.machines:
    print(f"Graded on: {machine}")\
"""


def cells(board: Board, me: str = "") -> list[NotebookNode]:
    """The notebook's cells, not yet executed; the data is read from ``NAME.json`` beside it."""
    made = [
        v4.new_markdown_cell(_heading(board)),
        v4.new_code_cell(LOAD.format(name=board.name, me=me)),
        v4.new_code_cell(SUMMARY),
        v4.new_markdown_cell("## Ranks"),
        v4.new_code_cell(RANKED),
        v4.new_markdown_cell(_method(board.challenge)),
    ]
    for title, code in (
        ("What it costs", PARETO),
        ("Where everybody is", DISTRIBUTION),
        ("Over time", PROGRESS),
        ("What separated the groups", GROUPS),
        ("How sure is this?", NOISE),
    ):
        made += [v4.new_markdown_cell(f"## {title}"), v4.new_code_cell(code)]
    made.append(v4.new_markdown_cell(_about(board)))
    for number, cell in enumerate(made):
        cell.id = f"cell-{number}"
    return made


def _heading(board: Board) -> str:
    which = (
        "**Final board**: graded after closing, with secret seeds that were used for nothing else."
        if board.final
        else "**Public board**: graded while the challenge is open. The final board is graded with "
        "other secret seeds after closing, and may look different."
    )
    return f"# Leaderboard: {board.challenge.title}\n\n{board.challenge.summary}\n\n{which}"


def _method(spec: ChallengeSpec) -> str:
    order = ", then ".join(f"`{name}`" for name in spec.rank)
    first = spec.metric(spec.rank[0])
    tiers = ", ".join(f"{t.name} from {format_figure(first, t.at)}" for t in spec.tiers)
    return (
        f"Decided by {order}. **Submissions of one rank (marked `=`) are tied**: a paired t test "
        "over the secret seeds, with Holm's correction for all pairs and an equal part of 5 % for "
        "each of these figures, can't tell them from the first of their group, and within a group "
        "the order says nothing. "
        f"In brackets stand {CONFIDENCE:.0%} confidence intervals of the mean over the runs, each "
        "with another secret seed. Memory is the operating system's figure for the whole process "
        f"tree above an idle kernel. Tiers: {tiers}. Only submissions that reached a tier are "
        "ranked, each handle by its newest result."
    )


def _about(board: Board) -> str:
    return (
        "## Run it again\n\n"
        f"Everything here is computed from `{board.name}.json`, which has handles and the raw "
        f"samples of each run. Open `{board.name}.ipynb` beside it, with `tinytorch_compete` "
        "installed, set `ME` to your handle and run all cells. Handles are pseudonyms, or "
        "names and teams that students chose; who is anonymous here is so on this board alone. "
        "Days are all that is told of time, since a class is graded in the order of its names, and "
        "only of those who share them; if these are fewer than "
        f"{FEWEST}, not even days."
    )
