"""The summary of a feedback notebook, for different results."""

from __future__ import annotations

import msgspec
from support.classes import CHALLENGE, attempt

from tinytorch_compete.feedback import notebook
from tinytorch_compete.model import Advice, Profile, Result, Verdict
from tinytorch_compete.rendering.markdown import GAP


def summary(result: Result) -> str:
    feedback = notebook.make(CHALLENGE, result, None)
    text: str = feedback.cells[0].source
    return text.replace(GAP, "")


def test_the_next_tier_is_the_first_one_that_was_not_reached() -> None:
    assert "**intermediate** at speedup 0.5" in summary(attempt("ada", 0.3))
    assert "**intermediate**" not in summary(attempt("ada", 9.0))


def test_figures_of_a_tier_that_a_stopped_run_lost_are_explained() -> None:
    stopped = msgspec.structs.replace(
        attempt("ada", 9.0), tier="", verdict=Verdict.OVER_TIME, message="run 4 of 5: stopped"
    )
    assert notebook.EVERY_RUN in summary(stopped)
    assert notebook.EVERY_RUN not in summary(attempt("ada", 0.3))


def test_the_summary_promises_what_is_at_the_end_and_nothing_else() -> None:
    def promised(advice: Advice) -> bool:
        feedback = notebook.make(CHALLENGE, attempt("ada", 2.0), None, advice=advice)
        return notebook.AT_THE_END in feedback.cells[0].source

    assert promised(Advice(Profile((), {}, ())))
    assert not promised(Advice(note="No line has figures: the kernel ended."))


def test_of_several_runs_the_time_is_that_of_one_run() -> None:
    assert "| time a run | 0.3 s |" in summary(attempt("ada", 2.0))
    assert "| time | 1.5 s |" in summary(msgspec.structs.replace(attempt("ada", 2.0), runs=1))
