"""Advice in a notebook: three suggestions first, hints before answers, all of it harmless."""

from __future__ import annotations

import re

import msgspec
import pytest

from tinytorch_compete.feedback.suggestion_cells import (
    ELSEWHERE,
    LARGEST_FIRST,
    NO_CHANGE,
    NOTHING,
    ONE_CHANGE,
    SEVERAL_CHANGES,
    UNSEEN,
    UNTRIED,
    make,
)
from tinytorch_compete.insights import find
from tinytorch_compete.model import (
    Advice,
    Autopsy,
    CellCost,
    FixTrial,
    Insight,
    LineAllocation,
    LineCost,
    MemoryPeak,
    Profile,
    Reason,
    StackFrame,
)
from tinytorch_compete.profiling import view

TRIAL = FixTrial(2.0, 2.0, 412.0, 258.0, True)
TRIED = Insight(
    "float64",
    "cell:train",
    (2,),
    "Which dtype does `x / 255` have?",
    "It is wide.",
    "Make it narrow.",
    "float64",
    "--- a\n+++ b\n-x = images / 255\n+x = narrow(images)\n",
    TRIAL,
)
PROFILE = Profile(
    ("a", "b"),
    {"cell:train": "a = 1\nx = images / 255\n"},
    (LineCost("cell:train", 2, 1, 1.5, 100.0, 400.0),),
    (CellCost("cell:train", 2.0, 100.0, 400.0),),
    ((0.0, 0.0), (1.0, 400.0), (2.0, 100.0)),
    moment=MemoryPeak(
        300.0,
        (StackFrame("cell:train", 1, 1), StackFrame("cell:train", 2, 7)),
        (LineAllocation("cell:train", 2, 290.0), LineAllocation("cell:train", 1, 7.0)),
    ),
)
BLIND = msgspec.structs.replace(PROFILE, moment=None)  # of a backend that sees no blocks
NASTY = "<script>x</script>|```\n</details>[a](http://b)$x$"


def cells(advice: Advice) -> dict[str, str]:
    return dict(make(advice))


def test_no_advice_is_no_cell() -> None:
    assert cells(Advice()) == {}


def test_the_costs_come_before_what_to_try() -> None:
    shown = cells(Advice(PROFILE, (TRIED,)))
    assert list(shown) == ["profile", "suggestions"]
    assert "1.50&nbsp;s" in shown["profile"]
    assert re.search(r"400 MiB, 1\.00 s", shown["profile"])
    lines = [r"290 MiB\b[^;]* Cell train, line 2", r"7\.0 MiB\b[^;]* Cell train, line 1"]
    assert re.search(r"300 MiB: " + "; ".join(lines), shown["profile"])


def test_the_gain_stands_in_the_heading_and_the_answer_is_behind_the_hint() -> None:
    text = cells(Advice(PROFILE, (TRIED,)))["suggestions"]
    order = ["peak 412 → 258 MiB, same answers", "Which dtype", "<details>", "It is wide."]
    order += ["Make it narrow.", "</details>", "<details>", "+x = narrow(images)", "</details>"]
    place = 0
    for fragment in order:
        place = text.index(fragment, place)


def test_why_the_hottest_lines_cost_that_stands_below_their_table() -> None:
    reason = Reason("cell:train", 2, "memory-bound", f"It moves {NASTY}.")
    text = cells(Advice(PROFILE, reasons=(reason,)))["profile"]
    assert text.index("1.50&nbsp;s") < text.index("Cell train, line 2: **memory-bound**.")
    assert "<script" not in text
    assert "bound" not in cells(Advice(PROFILE))["profile"]


def test_a_profile_without_a_line_is_one_sentence() -> None:
    text = cells(Advice(Profile((), {}, ())))["profile"]
    assert text.endswith(f"\n\n{view.NONE_RAN}")
    assert "MiB" not in text


def test_a_profile_without_suggestions_says_that_there_are_none() -> None:
    assert cells(Advice(PROFILE))["suggestions"] == NOTHING


def test_three_are_shown_at_first_and_the_rest_on_request() -> None:
    others = tuple(msgspec.structs.replace(TRIED, lines=(n,), trial=None) for n in range(10, 14))
    text = cells(Advice(PROFILE, (*others, TRIED)))["suggestions"]
    shown, _, folded = text.partition("<details><summary>Open: 2 more</summary>")
    assert shown.count("### ") == 3
    assert folded.count("### ") == 2
    assert shown.index("same answers") < shown.index(": not tried")


@pytest.mark.parametrize("nasty", [NASTY, "`" * 9, "$$\\x$$", "\x1b]0;t\x07"])
def test_a_students_words_are_only_shown(nasty: str) -> None:
    insight = msgspec.structs.replace(
        TRIED, look=f"See `{nasty}`?", why=nasty, change=nasty, diff=f"--- a\n+++ b\n+{nasty}\n"
    )
    profile = msgspec.structs.replace(PROFILE, sources={"cell:train": f"a\n{nasty}"})
    autopsy = Autopsy(nasty, 1024, 2000.0, more=False, helped=1, fits=insight)
    shown = cells(Advice(profile, (insight,), autopsy, nasty))
    text = "\n".join(shown.values())
    assert "\x1b" not in text and "\x07" not in text
    mark, block = fenced(shown["suggestions"])
    assert mark not in block
    outside = text.replace(block, "")
    for sign in ("<script", "](http", "$x$", "$$", "http://"):
        assert sign not in outside
    assert outside.count("<details>") == outside.count("</details>") == 2


def fenced(text: str) -> tuple[str, str]:
    """The marks and the content of the only block of code."""
    head, _, rest = text.partition("diff\n")
    mark = head.rsplit("\n", 1)[-1]
    return mark, rest[: rest.index(f"\n{mark}\n")]


def test_an_insight_from_real_code_can_be_read() -> None:
    code = "import numpy as np\nimages = np.load('a.npy')\nx = images / 255.0\n"
    profile = msgspec.structs.replace(PROFILE, sources={"cell:train": code}, lines=())
    text = cells(Advice(profile, tuple(find(profile.sources))))["suggestions"]
    assert "<code>images / 255.0</code>" in text
    assert UNTRIED in text


@pytest.mark.parametrize(
    ("autopsy", "fact"),
    [
        (Autopsy("train", 1024, 1312.0, False), "1312 MiB (cap 1024)"),
        (Autopsy("train", 1024, 4096.0, True), "more than 4096 MiB"),
        (Autopsy("train", 1024, 900.0, False), "at most 900 MiB"),
        (Autopsy("", 1024, 0.0, True), "unknown"),
        (Autopsy("train", 1024, 1312.0, False, 1, TRIED), ONE_CHANGE),
        (Autopsy("train", 1024, 1312.0, False, 1), SEVERAL_CHANGES),
        (Autopsy("train", 1024, 1312.0, False), NO_CHANGE),
    ],
)
def test_an_autopsy_says_what_was_needed_and_what_would_help(autopsy: Autopsy, fact: str) -> None:
    text = cells(Advice(BLIND, (), autopsy))["autopsy"]
    assert fact in text
    assert text.index("x = images / 255") > text.index(LARGEST_FIRST)


def test_an_autopsy_without_a_profile_has_no_table() -> None:
    text = cells(Advice(None, (), Autopsy("a", 10, 40.0, True)))["autopsy"]
    assert LARGEST_FIRST not in text
    assert "|" not in text


def test_the_reason_why_there_are_no_figures_is_one_line() -> None:
    assert cells(Advice(note="It was stopped."))["profile"].endswith("\n\n*It was stopped.*")


@pytest.mark.parametrize(("need_mib", "elsewhere"), [(700.0, False), (1312.0, True)])
def test_memory_that_no_line_accounts_for_is_reported_as_elsewhere(
    need_mib: float, elsewhere: bool
) -> None:
    text = cells(Advice(BLIND, (), Autopsy("train", 256, need_mib, False)))["autopsy"]
    assert (ELSEWHERE in text) is elsewhere


def test_memory_held_when_the_cap_was_passed_is_listed_by_the_lines_that_allocated_it() -> None:
    text = cells(Advice(PROFILE, (), Autopsy("train", 256, 700.0, False)))["autopsy"]
    assert "300 MiB were held" in text
    assert "images / 255</code>&nbsp;&nbsp; | 290 |" in text
    assert "| 7.0 |" in text
    assert re.search(r"Cell train, line 2, \w+ 7 times, .*Cell train, line 1\.", text)


@pytest.mark.parametrize(("cap_mib", "elsewhere"), [(400, False), (1024, True)])
def test_a_run_whose_lines_never_held_what_was_needed_looks_elsewhere(
    cap_mib: int, elsewhere: bool
) -> None:
    text = cells(Advice(PROFILE, (), Autopsy("train", cap_mib, 2000.0, False)))["autopsy"]
    assert (ELSEWHERE in text) is elsewhere
    assert ("300 MiB were held" in text) is not elsewhere


def test_without_any_profile_it_is_unknown_what_was_held() -> None:
    text = cells(Advice(None, (), Autopsy("train", 256, 1024.0, True)))["autopsy"]
    assert UNSEEN in text


def test_a_curve_of_few_looks_has_no_gaps() -> None:
    few = msgspec.structs.replace(PROFILE, timeline=((0.0, 400.0), (1.0, 400.0)))
    assert "`" + "█" * 48 + "`" in cells(Advice(few))["profile"]
