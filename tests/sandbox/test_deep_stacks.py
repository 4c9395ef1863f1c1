"""A deep recursion's traceback is short, says so, and costs no more than another's."""

from __future__ import annotations

import re

from support.notebooks import make_notebook

from tinytorch_compete.model import Limits, Verdict
from tinytorch_compete.sandbox.contract import RunRequest
from tinytorch_compete.sandbox.local import LocalSandbox

LIMITS = Limits(memory_mib=256, wall_s=60)
ENDLESS = "def first(n):\n    return second(n)\ndef second(n):\n    return first(n + 1)"
CHAIN = """\
def wrap(n):
    if n == 0:
        raise KeyError("the cause")
    try:
        wrap(n - 1)
    except Exception as error:
        raise ValueError(n) from error
"""


def traceback(*sources: str) -> str:
    """The traceback that the last cell shows, without colours."""
    run = LocalSandbox().run(RunRequest(make_notebook(*sources), LIMITS, {}))
    assert run.cells[-1].status == Verdict.ERROR
    lines = run.notebook.cells[-1].outputs[-1].get("traceback", [])
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(lines))


def test_an_endless_recursion_shows_its_first_and_its_last_calls() -> None:
    shown = traceback(ENDLESS, "first(0)")
    assert shown.count("\n") < 250
    assert shown.index("----> 1 first(0)") < shown.index("in second(n)")
    assert re.search(r"\(9\d\d calls between the first 10 and the last 20", shown)
    assert shown.splitlines()[-1].startswith("RecursionError: maximum recursion depth exceeded")


def test_a_long_chain_of_errors_shows_its_end_and_what_began_it() -> None:
    shown = traceback(CHAIN, "wrap(100)")
    assert shown.count("\n") < 250
    assert re.findall(r"^ValueError: (\d+)", shown, re.M) == ["97", "98", "99", "100"]
    assert "KeyError: 'the cause'" in shown
    assert "(96 errors between the first and the last 4 are left out)" in shown


def test_other_errors_are_shown_whole() -> None:
    shown = traceback(CHAIN, "wrap(3)")
    assert re.findall(r"^(?:Value|Key)Error: (.*)", shown, re.M) == ["'the cause'", "1", "2", "3"]
    assert "left out" not in shown


def test_breaking_the_tracebacks_changes_no_verdict() -> None:
    broken = "get_ipython().InteractiveTB.get_records = None"
    run = LocalSandbox().run(RunRequest(make_notebook(broken, "1 / 0", "x = 1"), LIMITS, {}))
    assert [cell.status for cell in run.cells] == [Verdict.OK, Verdict.ERROR, Verdict.OK]
    assert run.message == "ZeroDivisionError: division by zero"
