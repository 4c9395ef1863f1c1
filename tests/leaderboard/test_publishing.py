"""Leaderboards show what a reader needs, and nothing that nobody must see."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import nbformat
import pytest
from support.classes import CHALLENGE, MONDAY, NAMES, SECRET, SHARING, SLUG, attempt, history

from tinytorch_compete.errors import StoreError
from tinytorch_compete.leaderboard import board as boards
from tinytorch_compete.leaderboard import html, ranking, tables
from tinytorch_compete.leaderboard.board import Board
from tinytorch_compete.leaderboard.publish import publish
from tinytorch_compete.model import Metric, Result, Withdrawal
from tinytorch_compete.participants import pseudonyms
from tinytorch_compete.participants.roster import Participant, Roster, Team
from tinytorch_compete.rendering import chart
from tinytorch_compete.results.figures import FEWEST
from tinytorch_compete.sandbox.timing import noise, race

pytestmark = pytest.mark.slow  # boards are executed notebooks


def collected(results: list[Result], **options: Any) -> Board:
    latest = list({result.identity.student: result for result in results}.values())
    return boards.collect(SLUG, CHALLENGE, latest, results, SECRET, SHARING, **options)


ME = pseudonyms.handle("turing", SECRET)
LOST = "instructions"
PARETO = "speedup against memory"
HISTORY = ("Submissions by speedup", "speedup over time", "First to reach")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a published board of ten competitors, marked for one of them."""
    folder = tmp_path_factory.mktemp("large")
    publish(collected(history()), folder, html=True, me=ME)
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a published board of four competitors."""
    folder = tmp_path_factory.mktemp("small")
    publish(collected(history(4)), folder, html=True)
    return folder


def outputs(folder: Path) -> str:
    notebook = nbformat.read(folder / f"{SLUG}.ipynb", 4)
    return "\n".join(
        output.get("text") or "\n".join(output.get("data", {}).values())
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )


def test_all_cells_were_run_and_none_failed(large: Path) -> None:
    notebook = nbformat.read(large / f"{SLUG}.ipynb", 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kinds = {output.output_type for cell in code for output in cell.outputs}
    assert kinds <= {"display_data", "stream"}


def test_ranks_from_the_exported_data_are_the_boards(large: Path) -> None:
    results = history()[len(NAMES) :]
    expected = ranking.board(CHALLENGE, ranking.published(CHALLENGE, results, SECRET))
    exported = boards.read(large / f"{SLUG}.json")
    assert ranking.board(exported.challenge, exported.newest) == expected
    assert len({row.rank for row in expected}) > 2
    shown = re.findall(r'<td>(\d+)=?</td><th scope="row">([a-z0-9-]+)', outputs(large))
    assert shown == [(str(row.rank), row.handle) for row in expected]


def test_a_reader_can_run_it_again_from_the_data_beside_it(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (f"{SLUG}.json", f"{SLUG}.ipynb"):
        shutil.copy(large / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    mine = pseudonyms.handle("curie", SECRET)
    shown: list[Any] = []
    scope: dict[str, Any] = {"display": shown.append}
    for cell in nbformat.read(f"{SLUG}.ipynb", 4).cells:
        if cell.cell_type == "code":
            source = cell.source.replace(f"ME = {ME!r}", f"ME = {mine!r}")
            exec(source, scope)  # noqa: S102  (as the reader's kernel does)
    assert f"{mine} (you)" in repr(shown[0])
    assert any("Yours is" in getattr(thing, "alt", "") for thing in shown)


def test_the_reader_is_marked(large: Path) -> None:
    assert f"{ME} (you)" in outputs(large)
    assert "you are here" in outputs(large)


def test_no_name_and_no_time_of_day_is_in_any_file(large: Path, small: Path) -> None:
    written = [path for folder in (large, small) for path in folder.iterdir()]
    assert len(written) == 6
    for path in written:
        text = path.read_text().lower()
        assert not [name for name in NAMES if name in text]
        assert "09:0" not in text


def test_a_small_class_shows_nobodys_history_and_no_distribution(small: Path) -> None:
    exported = boards.read(small / f"{SLUG}.json")
    assert exported.history == ()
    assert {attempt.day for attempt in exported.newest} == {None}
    shown = outputs(small)
    assert PARETO in shown
    for hidden in HISTORY:
        assert hidden not in shown
    assert re.search(rf"\b{FEWEST}\b.* ranked", shown)


def test_a_large_class_shows_them(large: Path) -> None:
    shown = outputs(large)
    for title in (*HISTORY, "first group"):
        assert title in shown


def with_findings(kinds: tuple[str, ...] | None, n: int, tier: str = "expert") -> list[Result]:
    results = [attempt(name, 3.0) for name in NAMES[:n]]
    return [msgspec.structs.replace(r, tier=tier, findings=kinds) for r in results]


def test_findings_are_counted_by_tier() -> None:
    board = collected([*with_findings(("float64", "threads"), 5), *with_findings((), 9)[5:]])
    (expert,) = board.findings
    assert (expert.tier, expert.looked, expert.kinds) == ("expert", 9, {"float64": 5, "threads": 5})
    shown = repr(tables.findings(board))
    assert "expert (of 9)" in shown and "float64  5" in shown
    assert not [name for name in NAMES if name in boards.encode(board)]


def test_findings_of_fewer_than_five_are_in_no_file() -> None:
    four = collected([*with_findings(("float64",), 4), *with_findings(None, 10)[4:]])
    assert four.findings == ()
    assert "float64" not in boards.encode(four)
    five = with_findings(("float64",), 5)
    assert collected(five).findings
    withdrawal = Withdrawal(five[4].identity, "d", "why", MONDAY)
    five[4] = msgspec.structs.replace(five[4], withdrawal=withdrawal)
    assert collected(five).findings == ()


def test_findings_without_a_tier_are_counted_too() -> None:
    board = collected(with_findings(("loop-matmul",), 6, tier=""))
    (tierless,) = board.findings
    assert tierless.kinds == {"loop-matmul": 6}
    assert "no tier (of 6)" in repr(tables.findings(board))


class Reader(HTMLParser):
    """Walk through a page as a screen reader would."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.bare: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        needed = {"th": "scope", "svg": "aria-label", "html": "lang"}
        if tag in needed and not dict(attrs).get(needed[tag]):
            self.bare.append(tag)


def test_the_page_needs_nothing_from_elsewhere(large: Path) -> None:
    text = (large / f"{SLUG}.html").read_text()
    reader = Reader()
    reader.feed(text)
    assert "http" not in text
    assert not {"script", "link", "iframe", "img"} & reader.tags.keys()
    links = [v for _, name, v in reader.attributes if name in ("src", "href", "xlink:href")]
    assert all(link.startswith("#") for link in links)
    assert all(link.startswith("#") for link in re.findall(r"url\(([^)]*)\)", text))


def test_the_page_can_be_read_aloud(large: Path) -> None:
    reader = Reader()
    reader.feed((large / f"{SLUG}.html").read_text())
    assert reader.bare == []
    assert reader.tags["table"] == reader.tags["caption"] > 4
    assert reader.tags["svg"] == reader.tags["figcaption"] == 3
    front, distribution, progress = (
        value for tag, name, value in reader.attributes if (tag, name) == ("svg", "aria-label")
    )
    assert re.search(r"of 10 submissions .* front", front)
    assert re.search(r"median speedup of 10 .* is [0-9.]+ x", distribution)
    assert re.search(r"best speedup .* 2026-03-09; 10 handles", progress)
    ids = Counter(value for _, name, value in reader.attributes if name == "id")
    assert [name for name, count in ids.items() if count > 1] == []


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.2."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [chart.COLOURS, html.DARK], ids=["light", "dark"])
def test_words_and_marks_stand_out_in_both_themes(theme: dict[str, str]) -> None:
    assert theme.keys() == chart.COLOURS.keys()
    paper = luminance(theme["paper"])
    for name in ("ink", "muted", "accent", "second"):
        darker, lighter = sorted((paper, luminance(theme[name])))
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, name


def test_text_of_a_challenge_is_shown_and_never_obeyed(tmp_path: Path) -> None:
    evil = msgspec.structs.replace(CHALLENGE, title="<script>alert(1)</script>", summary="<b>")
    board = msgspec.structs.replace(collected(history(2)), challenge=evil)
    publish(board, tmp_path, html=True)
    text = (tmp_path / f"{SLUG}.html").read_text()
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_a_handle_that_has_no_row_is_one_clear_error_and_nothing_is_written(
    tmp_path: Path,
) -> None:
    with pytest.raises(StoreError, match="'nobody-at-all'"):
        publish(collected(history()), tmp_path / "out", me="nobody-at-all")
    assert not (tmp_path / "out").exists()


def test_results_under_other_conditions_are_counted_and_not_shown() -> None:
    new = attempt("erdos", 2.0, 9)
    identity = msgspec.structs.replace(new.identity, grader_sha="newer")
    board = collected([*history(), msgspec.structs.replace(new, identity=identity)])
    assert [a.handle for a in board.newest] == [pseudonyms.handle("erdos", SECRET)]
    assert board.elsewhere == len(NAMES) - 1


def test_students_without_a_tier_are_counted_and_not_named() -> None:
    board = collected([*history(), attempt("galois", 0.01)])
    assert board.unranked == 1
    assert pseudonyms.handle("galois", SECRET) not in boards.encode(board)
    rows = ranking.board(CHALLENGE, board.newest)
    assert tables.tiers(board, rows).groups[0][-1][2] == "1"


def test_a_withdrawn_result_leaves_an_empty_line() -> None:
    board = collected(history())
    gone = msgspec.structs.replace(board.newest[0], handle="", withdrawn=True)
    rows = ranking.board(CHALLENGE, (gone, *board.newest[1:]))
    (table,) = tables.ranked(CHALLENGE, rows)
    (line,) = [row for group in table.groups for row in group if row[1] == "(withdrawn)"]
    assert set(line[2:]) == {""}


def test_withdrawn_students_are_in_no_part_of_the_data() -> None:
    results = history()
    withdrawal = Withdrawal(results[-1].identity, "0" * 64, "copied", MONDAY)
    results[-1] = msgspec.structs.replace(results[-1], withdrawal=withdrawal)
    board = collected(results)
    assert board.history
    assert pseudonyms.handle(NAMES[-1], SECRET) not in boards.encode(board)


def test_where_memory_alone_decides_nothing_is_traded_for_it(tmp_path: Path) -> None:
    peak = Metric("peak_mib", "MiB", "lower", resolution=1)
    memory = msgspec.structs.replace(
        CHALLENGE,
        metrics=(peak,),
        rank=("peak_mib",),
        requires=(),
        tiers=(msgspec.structs.replace(CHALLENGE.tiers[0], at=1000.0),),
    )
    results = [msgspec.structs.replace(r, tier=memory.tiers[0].name) for r in history()]
    latest = list({result.identity.student: result for result in results}.values())
    board = boards.collect(SLUG, memory, latest, results, SECRET, SHARING)
    publish(board, tmp_path)
    shown = outputs(tmp_path)
    assert "Memory alone" in shown
    assert "against memory" not in shown


def test_a_figure_that_the_machine_cannot_count_has_no_column() -> None:
    board = collected(history())
    counted = ranking.board(CHALLENGE, board.newest)
    uncounted = [
        msgspec.structs.replace(a, samples={k: v for k, v in a.samples.items() if k != LOST})
        for a in board.newest
    ]
    heads = [
        next(tables.ranked(CHALLENGE, rows)).head
        for rows in (counted, ranking.board(CHALLENGE, uncounted))
    ]
    assert [any(LOST in cell for cell in head) for head in heads] == [True, False]
    assert len(heads[0]) == len(heads[1]) + 1


@pytest.mark.parametrize(("spread", "noisy"), [(0.3, True), (noise.LOUDEST, False), (0.05, False)])
def test_a_machine_that_is_too_noisy_to_rank_on_is_reported(spread: float, noisy: bool) -> None:
    board = collected([attempt(name, 1.0, spread=spread) for name in NAMES])
    assert tables.too_noisy(board) == noisy


def test_the_loudest_spread_leaves_a_run_a_standard_deviation_of_3_per_cent() -> None:
    left = noise.LOUDEST / race.MOST**0.5
    assert left == pytest.approx(0.03, rel=0.05)


def test_the_board_says_whether_it_is_the_final_one(tmp_path: Path) -> None:
    final = [attempt(name, 1.0, final=True) for name in NAMES[:2]]
    paths = publish(collected(final, final=True), tmp_path, html=True)
    assert [path.name for path in paths] == [f"{SLUG}-final.{e}" for e in ("ipynb", "json", "html")]
    assert "Final board" in paths[2].read_text()


def test_the_public_board_says_so(large: Path) -> None:
    assert "Public board" in (large / f"{SLUG}.html").read_text()


@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"slug": 3}'])
def test_invalid_data_is_one_clear_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(StoreError, match=r"x\.json: not .* leaderboard"):
        boards.read(path)


def test_missing_data_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"x\.json: .*No such file.* folder"):
        boards.read(tmp_path / "x.json")


def test_letters_go_on_after_z() -> None:
    assert [tables.letter(n) for n in (0, 25, 26, 27, 52)] == ["A", "Z", "AA", "AB", "BA"]


def sharing(**changes: Participant) -> Roster:
    return Roster(entered={**SHARING.entered, **changes})


def with_roster(roster: Roster, results: list[Result]) -> Board:
    latest = list({result.identity.student: result for result in results}.values())
    return boards.collect(SLUG, CHALLENGE, latest, results, SECRET, roster)


def test_only_those_who_share_it_have_a_history_and_five_of_them_at_least() -> None:
    quiet = {name: Participant("") for name in NAMES[5:]}
    board = with_roster(sharing(**quiet), history())
    assert len(board.newest) == len(NAMES)
    assert {a.handle for a in board.history} == {pseudonyms.handle(n, SECRET) for n in NAMES[:5]}
    assert with_roster(sharing(**quiet, turing=Participant("")), history()).history == ()
    assert with_roster(Roster(), history()).history == ()


def test_an_anonymous_line_has_its_rank_and_nothing_that_leads_to_another_board() -> None:
    nameless = {
        name: Participant("", show="anonymous", progress=True) for name in ("turing", "curie")
    }
    board = with_roster(sharing(**nameless), history())
    text = boards.encode(board)
    for name in nameless:
        assert pseudonyms.handle(name, SECRET) not in text
    rows = {row.handle: row for row in ranking.board(CHALLENGE, board.newest)}
    assert {handle for handle in rows if " " in handle} == {"anonymous 1", "anonymous 2"}
    public = ranking.board(CHALLENGE, with_roster(SHARING, history()).newest)
    assert [row.rank for row in rows.values()] == [row.rank for row in public]
    assert all("anonymous" not in attempt.handle for attempt in board.history)


def test_students_who_asked_not_to_be_shown_are_counted_and_nowhere_else(tmp_path: Path) -> None:
    board = with_roster(sharing(turing=Participant("", show="nothing", progress=True)), history())
    assert board.unshown == 1
    assert len(board.newest) == len(NAMES) - 1
    assert pseudonyms.handle("turing", SECRET) not in boards.encode(board)
    publish(board, tmp_path)
    assert re.search(r"^1 asked not", outputs(tmp_path), re.MULTILINE)


def test_a_team_has_one_line_and_counts_once_for_a_small_class(tmp_path: Path) -> None:
    team = Team("Rocket", "0" * 32, "turing")
    members = {name: Participant("", team="rocket", progress=True) for name in NAMES[:6]}
    roster = Roster(teams={"rocket": team}, entered={**SHARING.entered, **members})
    board = with_roster(roster, history(9))
    assert len(board.newest) == 4  # nine students
    assert sum(a.handle.startswith("Rocket-") for a in board.newest) == 1
    assert board.history == ()
