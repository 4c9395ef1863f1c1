"""Findings in sources and in profiles: their order, and which are left out as trivial."""

from __future__ import annotations

import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinytorch_compete import insights
from tinytorch_compete.insights import RunContext
from tinytorch_compete.model import CellCost, LineCost, Profile

TWO = """\
import numpy as np

def collect(parts):
    out = np.empty((0, 10), dtype=np.float32)
    for part in parts:
        out = np.vstack([out, part])
    return out

def softmax(x):
    e = np.exp(x)
    return e / e.sum(axis=1, keepdims=True)

def gather(parts):
    return np.concatenate(parts).copy()
"""
RUNNING = """\
def train(model, loss_of, images, labels):
    total = 0.0
    for i in range(0, 320, 32):
        total = total + loss_of(model(images[i : i + 32].reshape(32, -1) / 255), labels[i : i + 32])
    return total
"""
OUTPUTS = """\
def predict(model, images):
    outputs = [model(images[i : i + 32].reshape(32, -1) / 255) for i in range(0, 320, 32)]
    return np.concatenate([output.data for output in outputs])
"""
TRAINING = """\
optimizer = SGD(model.parameters(), lr=0.05)
"""


def profile(*costs: tuple[int, float, float], source: str = TWO) -> Profile:
    """Return a run of ten seconds and 100 MiB; each cost is a line, its seconds and its peak."""
    lines = tuple(LineCost("cell:a", line, 1, s, 0.0, mib) for line, s, mib in costs)
    return Profile(("test",), {"cell:a": source}, lines, (CellCost("cell:a", 10.0, 0.0, 100.0),))


def names(work: Profile | dict[str, str], context: RunContext | None = None) -> list[str]:
    return [insight.name for insight in insights.find(work, context)]


def test_sources_without_a_profile_give_findings_from_top_to_bottom() -> None:
    assert names({"cell:a": TWO}) == ["growing-arrays", "exp-shift", "needless-copy"]


def test_with_a_profile_the_costliest_finding_comes_first() -> None:
    by_time = profile((6, 0.2, 10.0), (10, 0.0, 0.0), (14, 8.0, 10.0))
    assert names(by_time)[:2] == ["needless-copy", "growing-arrays"]


def test_memory_counts_as_much_as_time() -> None:
    by_memory = profile((6, 0.2, 90.0), (14, 3.0, 10.0))
    assert names(by_memory)[:2] == ["growing-arrays", "needless-copy"]


def test_a_finding_about_cost_is_left_out_where_its_lines_cost_nothing() -> None:
    assert "needless-copy" not in names(profile((6, 5.0, 50.0), (14, 0.001, 0.1)))


def test_a_finding_about_learning_is_reported_whatever_its_lines_cost() -> None:
    assert "exp-shift" in names(profile((6, 5.0, 50.0)))


def test_a_run_whose_loss_is_nan_puts_the_learning_rate_first() -> None:
    work = profile((6, 5.0, 50.0), source=TWO + TRAINING)
    assert names(work, RunContext({"cell:a": "loss 2.3\nloss nan\n"}))[0] == "learning-rate"


def test_a_falling_loss_gives_no_finding_about_the_learning_rate() -> None:
    falling = RunContext({"cell:a": "loss 2.3\nloss 2.0\nloss 1.7\nloss 1.5\n"})
    assert names({"cell:a": TRAINING}, falling) == []


@pytest.mark.parametrize(("threads", "expected"), [(1, ["threads"]), (4, []), (2, ["threads"])])
def test_threads_are_reported_only_above_the_number_the_run_may_use(
    threads: int, expected: list[str]
) -> None:
    source = 'import os\nos.environ["OMP_NUM_THREADS"] = "4"\n'
    assert names({"cell:a": source}, RunContext(threads=threads)) == expected


def test_findings_of_one_function_are_one_insight_with_all_its_lines() -> None:
    source = (
        "import numpy as np\n\ndef f(a, b, n):\n    x = np.zeros((n, n))\n    y = np.ones((n, n))\n"
    )
    (insight,) = insights.find({"cell:a": source})
    assert (insight.name, insight.lines) == ("float64", (4, 5))


def test_line_numbers_count_the_lines_of_magics() -> None:
    source = "%matplotlib inline\n!ls\n" + TWO
    assert insights.find({"cell:a": source})[0].lines == (8,)


def test_an_attribute_that_another_cell_reads_is_not_an_unread_cache() -> None:
    layer = "class Pool:\n    def forward(self, x):\n        self.kept = x\n        return x\n"
    assert names({"cell:a": layer}) == ["unread-cache"]
    assert names({"cell:a": layer, "cell:b": "print(pool.kept)\n"}) == []


@pytest.mark.parametrize(
    "source",
    [
        "def broken(:\n",
        "\0",
        "x = " + "(" * 5000,
        "x = " + "+".join(["x"] * 20_000),
        "x = " + "-" * 3000 + "1",
        "x" * 200_000,
        "",
    ],
    ids=["syntax", "null", "brackets", "sum", "signs", "long", "empty"],
)
def test_a_source_that_is_not_ordinary_python_has_no_findings(source: str) -> None:
    assert insights.find({"cell:a": source, "cell:b": TWO}) == insights.find({"cell:b": TWO})


WORDS = st.sampled_from(
    [
        *"x y self np.exp ( ) [ ] : , = += @ / for in range len .shape .sum .append".split(),
        *"if else return def f while 1 255.0 np.zeros .backward() .step()".split(),
        *"import numpy as np lambda **".split(),
        *("\n", "\n\t", "\n\t\t"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=40).map(" ".join))
def test_any_text_is_searched_and_rewritten_without_an_error(source: str) -> None:
    for insight in insights.find({"cell:a": source}):
        insights.rewrite(source, insight)


def test_reading_leaves_the_recursion_limit_alone() -> None:
    before = sys.getrecursionlimit()
    insights.find({"cell:a": TWO})
    assert sys.getrecursionlimit() == before


@pytest.mark.parametrize("source", [RUNNING, OUTPUTS])
def test_a_long_expression_is_quoted_once_and_cut(source: str) -> None:
    (insight,) = [i for i in insights.find({"cell:a": source}) if i.name == "graph-alive"]
    assert len(re.findall(r"`\w+\(.{25,35}\.\.\.`", insight.look)) == 1
    for sentence in (insight.look, insight.why, insight.change):
        assert len(sentence) < 160
    assert "model(" not in insight.why + insight.change
