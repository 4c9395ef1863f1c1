"""What the summary of a feedback says, of results as they can come."""

from __future__ import annotations

import msgspec
from support.classes import CHALLENGE, attempt

from tinytorch_compete.feedback import notebook
from tinytorch_compete.model import Advice, Profile, Result, Verdict
from tinytorch_compete.rendering.markdown import GAP


def summary(result: Result) -> str:
    made = notebook.make(CHALLENGE, result, None)
    text: str = made.cells[0].source
    return text.replace(GAP, "")


def test_the_next_tier_is_the_first_one_that_was_not_reached() -> None:
    assert "Next tier: **intermediate** at speedup 0.5" in summary(attempt("ada", 0.3))
    assert "This is the highest tier." in summary(attempt("ada", 9.0))


def test_figures_of_a_tier_that_a_stopped_run_lost_are_explained() -> None:
    stopped = msgspec.structs.replace(
        attempt("ada", 9.0), tier="", verdict=Verdict.OVER_TIME, message="run 4 of 5: stopped"
    )
    shown = summary(stopped)
    assert "a tier counts only if every run reaches one" in shown
    assert "a tier counts only" not in summary(attempt("ada", 0.3))


def test_the_summary_promises_what_is_at_the_end_and_nothing_else() -> None:
    def promised(advice: Advice) -> bool:
        made = notebook.make(CHALLENGE, attempt("ada", 2.0), None, advice=advice)
        return notebook.AT_THE_END in made.cells[0].source

    assert promised(Advice(Profile((), {}, ())))
    assert not promised(Advice(note="No line has figures: the kernel ended."))


def test_time_is_said_to_be_of_a_run_where_there_were_several() -> None:
    assert "| time a run | 0.3 s |" in summary(attempt("ada", 2.0))
    assert "| time | 1.5 s |" in summary(msgspec.structs.replace(attempt("ada", 2.0), runs=1))
