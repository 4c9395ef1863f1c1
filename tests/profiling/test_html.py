"""Rendered profiles are escaped, folded and self-contained."""

from __future__ import annotations

import re

import msgspec

from tinytorch_compete.model import CellCost, LineCost, Profile, Reason
from tinytorch_compete.profiling import view
from tinytorch_compete.profiling.bottlenecks import TITLE
from tinytorch_compete.profiling.html import fragment, page
from tinytorch_compete.profiling.markdown import MOST_MEMORY, MOST_TIME, markdown

NASTY = "x = '</td><script>alert(1)</script>|`*_[a](http://b)'"
TEXT = "\n".join(["def f():", *(f"    a{n} = {n}" for n in range(20)), f"    {NASTY}", "f()"])
PROFILE = Profile(
    backends=("sys.monitoring", "memray"),
    sources={"cell:<b>": TEXT},
    lines=(
        LineCost("cell:<b>", 5, 20_000_000, 0.001, 0, 0, True),
        LineCost("cell:<b>", 22, 3, 2.0, 10, 400),
    ),
    cells=(CellCost("cell:<b>", 2.1, 0, 400), CellCost("cell:graded", 1.9, 0, 0)),
    timeline=((0.0, 1.0), (1.0, 400.0)),
)


def test_what_the_student_wrote_is_escaped_in_html() -> None:
    for text in (page(PROFILE, "<i>", None), fragment(PROFILE, None)):
        assert "<script" not in text
        assert "<b></" not in text
        assert "&lt;script&gt;" in text
    assert "<title>&lt;i&gt;</title>" in page(PROFILE, "<i>", None)


def test_a_page_needs_nothing_from_elsewhere() -> None:
    text = re.sub("&lt;.*?\n", "", page(PROFILE, "a", None))
    assert not re.search(r"""(src|href)=|url\(|@import|https?://""", text.replace("http://b", ""))


def test_lines_where_nothing_happens_are_folded() -> None:
    (section, graded) = view.sections(PROFILE)
    shown = [part.number for part in section.parts if isinstance(part, view.Row)]
    assert shown == [1, 21, 22, 23]
    assert [len(part) for part in section.parts if isinstance(part, tuple)] == [19]
    assert (graded.title, graded.parts) == ("Cell graded", ())


def test_a_cell_that_did_not_run_stands_in_its_place_with_its_error_and_the_line() -> None:
    text = "\n".join(["a = 1"] * 30 + ["for <i> in a", "b = 2"])
    failed = CellCost("cell:2", 0.01, 0, 0, "SyntaxError: expected ':' <b> (line 31)")
    profile = Profile(
        (),
        {"cell:1": "x = 1", "cell:2": text, "cell:4": "y = 2", "m.py": "z = 3"},
        (LineCost("cell:1", 1, 1, 1.0, 0, 5), LineCost("m.py", 1, 1, 1.0, 0, 5)),
        (CellCost("cell:1", 1.0, 0, 5), failed, CellCost("cell:graded", 1.0, 0, 5)),
    )
    shown_sections = view.sections(profile)
    assert [section.title for section in shown_sections] == [
        "Cell 1",
        "Cell 2",
        "Cell graded",
        "Cell 4",
        "m.py",
    ]
    (fold, *rows) = shown_sections[1].parts
    assert [row.cost for row in fold] == [None] * 29
    assert "29" in view.fold(fold)
    assert [row.number for row in rows] == [30, 31, 32]
    shown = page(profile, "a", None)
    assert "SyntaxError: expected &#x27;:&#x27; &lt;b&gt; (line 31)" in shown
    assert "for &lt;i&gt; in a" in shown


def test_a_cell_without_lines_has_no_empty_table() -> None:
    assert page(PROFILE, "a", None).count('<th class="n">line') == 1


def test_where_all_lines_are_alike_the_hottest_few_are_in_sight() -> None:
    text = "\n".join(f"x{number} = {number}" for number in range(1, 5001))
    costs = tuple(LineCost("cell:1", n, 1, 1e-5 + n * 1e-9, 0, 0) for n in range(1, 5001))
    flat = Profile((), {"cell:1": text}, costs, (CellCost("cell:1", 0.1, 0, 0),))
    (section,) = view.sections(flat)
    assert [part.number for part in section.parts if isinstance(part, view.Row)] == [
        *range(4995, 5001)
    ]
    assert "x5000 = 5000" in markdown(flat)
    assert "x5000 = 5000" in page(flat, "a", None).partition("<h2>Cell 1")[0]


def test_lines_are_counted_as_python_counts_them() -> None:
    text = "a = '\x0c\u2028'\nb = 2\n"
    (section,) = view.sections(Profile((), {"m.py": text}, (LineCost("m.py", 2, 1, 1.0, 0, 5),)))
    assert [(part.number, part.text) for part in section.parts] == [
        (1, "a = '\x0c\u2028'"),
        (2, "b = 2"),
    ]


def test_estimates_are_marked() -> None:
    assert view.hits(PROFILE.lines[0]) == "~20,000,000"
    assert view.hits(PROFILE.lines[1]) == "3"


def test_a_markdown_table_holds_what_the_student_wrote_in_its_cells() -> None:
    rows = [line for line in markdown(PROFILE).splitlines() if "script" in line]
    assert len(rows) == 2
    for row in rows:
        cells = row.strip("| ").split(" | ")
        assert len(cells) == 5
        plain = row.replace("<code>", "", 1).replace("</code>", "", 1)
        assert not re.search(r"[<>`*\[\]]", plain)
        assert "&#60;script&#62;" in cells[1]


def test_lines_are_named_for_what_they_are_hot_in() -> None:
    text = "slow()\nlarge()\nboth()\nneither()"
    costs = ((1, 2.0, 0, 0.2), (2, 0.001, 300, 300), (3, 1.0, 0, 400), (4, 0.01, 0, 0.1))
    lines = tuple(LineCost("m.py", n, 1, time, net, peak) for n, time, net, peak in costs)
    hot = Profile((), {"m.py": text}, lines, (CellCost("cell:1", 3.011, 0, 400),))
    names = [(MOST_TIME, MOST_MEMORY), ("Most time", "Most memory")]
    for shown, (time, memory) in zip((markdown(hot), page(hot, "a", None)), names, strict=True):
        by_time, by_memory = shown.partition("<h2>m.py")[0].partition(memory)[::2]
        by_time = by_time.partition(time)[2]
        assert re.findall(r"slow|large|both|neither", by_time) == ["slow", "both"]
        assert re.findall(r"slow|large|both|neither", by_memory) == ["both", "large"]


def test_a_profile_of_nothing_can_be_shown() -> None:
    empty = Profile((), {}, ())
    for shown in (page(empty, "a", None), fragment(empty, None)):
        assert view.NONE_RAN in shown
        assert "MiB" not in shown
    assert markdown(empty) and "|" not in markdown(empty)
    assert view.NONE_RAN not in page(PROFILE, "a", None)
    assert markdown(empty) not in markdown(PROFILE)


def test_a_page_says_why_lines_cost_that_or_how_to_find_out() -> None:
    why = [Reason("cell:<b>", 22, "memory-bound", f"It moves {NASTY}.")]
    shown = page(PROFILE, "a", why)
    assert "<b>memory-bound</b>: Cell &lt;b&gt;, line 22" in shown
    assert "<script" not in shown
    assert "doctor --roofline" not in shown
    assert "doctor --roofline" in page(PROFILE, "a", None)
    assert TITLE in shown and TITLE not in page(PROFILE, "a", [])


def test_threads_without_time_are_said_to_have_none() -> None:
    source = {"cell:c": "from concurrent.futures import ThreadPoolExecutor"}
    lines = (LineCost("cell:c", 1, 1, 0.5, 0.0, 0.0),)
    traced = Profile(("sys.settrace", "memray"), source, lines)
    assert "3.12" in view.untimed(traced)
    monitored = msgspec.structs.replace(traced, backends=("sys.monitoring", "memray"))
    assert not view.untimed(monitored)
    assert not view.untimed(msgspec.structs.replace(traced, sources={"cell:c": "a = 1"}))
