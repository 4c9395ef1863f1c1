"""Mechanical changes: both versions run on the same data and must give the same answer."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinytorch_compete import insights
from tinytorch_compete.insights import RunContext, equal
from tinytorch_compete.insights.rewriting.changes import REWRITERS

HEAD = "import numpy as np\n"
Namespace = dict[str, Any]
rng = np.random.default_rng(7)
ROWS = rng.standard_normal((12, 5), dtype=np.float32)
SQUARE = rng.standard_normal((5, 7), dtype=np.float32)
BYTES = rng.integers(0, 256, (6, 8, 9, 3), dtype=np.uint8)
LABELS = rng.integers(0, 5, 12)


class Number:
    """A loss as in a framework: a number with a history, with ``backward`` and ``item``."""

    def __init__(self, value: float) -> None:
        self.value = value
        self.data = np.float32(value)

    def backward(self) -> None:
        """Do nothing: only the objects kept matter here."""

    def item(self) -> float:
        return self.value

    def __radd__(self, other: float) -> float:
        return other + self.value


class Bench:
    """A model, optimiser and validation score that count their calls."""

    def __init__(self) -> None:
        self.evaluations = 0
        self.steps = 0

    def __call__(self, x: Any) -> Any:
        return x

    def zero_grad(self) -> None:
        """Do nothing: there are no gradients here."""

    def step(self) -> None:
        self.steps += 1

    def judge(self, *_: Any) -> float:
        self.evaluations += 1
        return 0.5


def changed(source: str, name: str, context: RunContext | None = None) -> str:
    """Return the source with the change for its only finding of that name."""
    (insight,) = [i for i in insights.find({"cell:a": source}, context) if i.name == name]
    result = insights.rewrite(source, insight)
    assert result is not None
    return result


def run(source: str) -> Namespace:
    """Return the names that a source defines."""
    namespace: Namespace = {}
    exec(HEAD + source, namespace)  # noqa: S102 - sources of this file
    return namespace


def is_gone(source: str, name: str) -> bool:
    """Whether the source no longer has the finding."""
    return name not in [insight.name for insight in insights.find({"cell:a": source})]


def matmul(namespace: Namespace) -> Any:
    return namespace["f"](ROWS, SQUARE)


CASES: list[tuple[str, str, Callable[[Namespace], Any]]] = [
    (
        "float64",
        "def f(images):\n    return (images / 255).sum(axis=0)  # of bytes\n",
        lambda ns: ns["f"](BYTES),
    ),
    (
        "float64",
        "def f(n, x):\n    out = np.zeros((n, len(x)),)\n    out += x\n    return out\n",
        lambda ns: ns["f"](3, ROWS[0]),
    ),
    (
        "float64",
        "def f(n, m):\n    np.random.seed(1)\n"
        "    return_me = np.random.randn(n, m) * np.sqrt(2 / n)\n"
        "    return return_me\n",
        lambda ns: ns["f"](4, 5),
    ),
    (
        "float64",
        "def f(images):\n    x = images.astype(float)\n    return x * 2\n",
        lambda ns: ns["f"](BYTES),
    ),
    (
        "dtype-promotion",
        "def f(x):\n    x = x.astype(np.float32)\n"
        "    factor = np.array([1.0, 2.0, 3.5, 4.0, 0.1])\n"
        "    return x * factor\n",
        lambda ns: ns["f"](ROWS),
    ),
    (
        "dtype-promotion",
        "def f(x, n):\n    w = np.zeros((n, n), np.float32) + np.float32(3)\n"
        "    return w * np.sqrt(2 / n)\n",
        lambda ns: ns["f"](ROWS, 6),
    ),
    (
        "exp-shift",
        "def f(x):\n    e = np.exp(x)  # softmax\n    return e / e.sum(axis=1, keepdims=True)\n",
        lambda ns: ns["f"](ROWS),
    ),
    (
        "exp-shift",
        "def f(x):\n    return np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True)\n",
        lambda ns: ns["f"](ROWS),
    ),
    (
        "one-hot",
        "def f(p, labels):\n    t = np.zeros_like(p)\n    t[np.arange(len(labels)), labels] = 1\n"
        "    return -np.sum(t * np.log(p)) / len(p)\n",
        lambda ns: ns["f"](np.abs(ROWS) + 1, LABELS),
    ),
    (
        "one-hot",
        "def f(p, labels):\n    t = np.eye(p.shape[1], dtype=np.float32)[labels]\n"
        "    return (-t * p).sum(axis=1).mean()\n",
        lambda ns: ns["f"](ROWS, LABELS),
    ),
    (
        "fancy-copy",
        "def f(x, a, b):\n    rows = np.arange(a, b)\n    return x[rows] * 2, x[rows, 1]\n",
        lambda ns: np.concatenate([part.ravel() for part in ns["f"](ROWS, 2, 9)]),
    ),
    (
        "fancy-copy",
        "def f(x):\n    return x[:, list(range(0, 5, 2))].sum(axis=0)\n",
        lambda ns: ns["f"](ROWS),
    ),
    (
        "needless-copy",
        "def f(x):\n    x = x.astype(np.float32)\n    return x.astype(np.float32) + 1\n",
        lambda ns: ns["f"](BYTES),
    ),
    (
        "needless-copy",
        "def f(x):\n    return np.array(np.maximum(x, 0)), np.concatenate([x, x]).copy()\n",
        lambda ns: np.concatenate(ns["f"](ROWS)),
    ),
    (
        "strided-matmul",
        "def f(x, w):\n    p = x.transpose(0, 2, 1)\n    for _ in range(3):\n"
        "        w = w + (p @ w)[0]\n"
        "    return w\n",
        lambda ns: ns["f"](ROWS[:, :, None] * np.ones(5, np.float32), ROWS[:5]),
    ),
    (
        "loop-constant",
        "def f(x, order):\n    out = []\n    # rows by rows\n    for i in order:\n"
        "        mean = x.mean(axis=0)  # of all\n        out.append(x[i] - mean)\n"
        "    return np.stack(out)\n",
        lambda ns: ns["f"](ROWS, [3, 1, 2]),
    ),
    (
        "loop-constant",
        "def f(x, g, order):\n    out = []\n    for i in order:\n"
        "        out.append(x[i] @ np.linalg.inv(g))\n    return np.stack(out)\n",
        lambda ns: ns["f"](ROWS, np.eye(5, dtype=np.float32) * 2, [0, 4]),
    ),
    (
        "temporaries",
        "def f(raw):\n    x = raw.astype(np.float32)\n    x = x - (x.mean(axis=0) + 1)  # shift\n"
        "    x = x * (2 + 1)\n    return x\n",
        lambda ns: ns["f"](ROWS),
    ),
    (
        "growing-arrays",
        "def f(x):\n    out = np.empty((0, 5), dtype=np.float32)\n    for i in range(0, 12, 5):\n"
        "        out = np.concatenate([out, x[i:i + 5]], axis=0)\n    return out\n",
        lambda ns: ns["f"](ROWS),
    ),
    (
        "growing-arrays",
        "def f(x):\n    out = np.array([])\n    for row in x:\n"
        "        out = np.append(out, row[0] * 2)\n"
        "    return out\n",
        lambda ns: ns["f"](ROWS),
    ),
    (
        "growing-arrays",
        "x = np.arange(12).reshape(4, 3)\nout = x[:1]\nfor i in range(3):\n"
        "    out = np.vstack((out, x[i:i + 1]))",
        lambda ns: ns["out"],
    ),
    (
        "unread-cache",
        "class Layer:\n    def forward(self, x):\n        self.kept = x * 2\n"
        "        return x + 1\n",
        lambda ns: ns["Layer"]().forward(ROWS),
    ),
    (
        "loop-matmul",
        "def f(a, b):\n    n, k = a.shape\n    m = b.shape[1]\n"
        "    c = np.zeros((n, m), np.float32)\n"
        "    for i in range(n):\n        for j in range(m):\n            for t in range(k):\n"
        "                c[i][j] += a[i][t] * b[t][j]\n    return c\n",
        matmul,
    ),
    (
        "loop-matmul",
        "def f(a, b):\n    n, m = len(a), b.shape[1]\n    c = np.empty((n, m), np.float32)\n"
        "    for i in range(n):\n        for j in range(m):\n            s = 0\n"
        "            for t in range(len(b)):\n                s += a[i, t] * b[t, j]\n"
        "            c[i, j] = s\n    return c\n",
        matmul,
    ),
    (
        "loop-matmul",
        "def f(a, b):\n    n, m = len(a), b.shape[1]\n    c = np.empty((n, m), np.float32)\n"
        "    bias = b[0]\n    for i in range(n):\n        for j in range(m):\n"
        "            c[i, j] = np.dot(a[i], b[:, j]) + bias[j]\n    return c\n",
        matmul,
    ),
    (
        "loop-over-pixels",
        "def f(image):\n    h, w = image.shape[:2]\n    out = np.zeros((h, w), np.float32)\n"
        "    for y in range(h):\n        for x in range(w):\n            r, g, b = image[y, x]\n"
        "            out[y, x] = 0.3 * r + 0.6 * g + 0.1 * b\n    return out\n",
        lambda ns: ns["f"](BYTES[0]),
    ),
    (
        "loop-over-pixels",
        "def f(p):\n    out = np.empty(p.shape, np.uint8)\n    for i in range(p.shape[0]):\n"
        "        for j in range(p.shape[1]):\n            if p[i][j] > 0:\n"
        "                out[i][j] = 1\n            else:\n                out[i][j] = 0\n"
        "    return out\n",
        lambda ns: ns["f"](ROWS),
    ),
    (
        "loop-over-batch",
        "def f(x, w, b):\n    out = np.empty((len(x), w.shape[1]), np.float32)\n"
        "    for i in range(len(x)):\n        out[i] = np.tanh(x[i] @ w + b)\n    return out\n",
        lambda ns: ns["f"](ROWS, SQUARE, SQUARE[0]),
    ),
    (
        "graph-alive",
        "def f(model, criterion, values):\n    losses = []\n    for value in values:\n"
        "        loss = criterion(value)\n        loss.backward()\n        losses.append(loss)\n"
        "    return losses\n",
        lambda ns: [float(getattr(v, "value", v)) for v in ns["f"](None, Number, [1.0, 2.0])],
    ),
    (
        "graph-alive",
        "def f(criterion, values):\n    total = 0\n    for value in values:\n"
        "        cost = criterion(value)\n        cost.backward()\n        total += cost\n"
        "    return total\n",
        lambda ns: ns["f"](Number, [1.5, 2.0]),
    ),
    (
        "threads",
        'import os\nsettings = {}\nos.environ["TESTED_NUM_THREADS"] = "16"\nanswer = 1\n',
        lambda ns: ns["answer"],
    ),
    (
        "print-hot-loop",
        "def f(x, say=None):\n    total = np.zeros(5, np.float32)\n    for i in range(2):\n"
        "        for j in range(3):\n            total += x[i] * j\n            print(i, j)\n"
        "    return total\n",
        lambda ns: ns["f"](ROWS),
    ),
    (
        "evaluate-often",
        "def f(model, loader, judge, x_val, epochs):\n    curve = []\n"
        "    for epoch in range(epochs):\n"
        "        for x in loader:\n            model.zero_grad()\n            model.step()\n"
        "            score = evaluate(model, x_val)\n            curve.append(score)\n"
        "    return model.steps\n\ndef evaluate(model, x_val):\n    return model.judge(x_val)\n",
        lambda ns: ns["f"](Bench(), [1, 2, 3], None, ROWS, 2),
    ),
]


@pytest.mark.parametrize(
    ("name", "source", "answer"), CASES, ids=[f"{case[0]}-{i}" for i, case in enumerate(CASES)]
)
def test_the_changed_source_gives_the_same_answer_and_the_finding_is_gone(
    name: str, source: str, answer: Callable[[Namespace], Any]
) -> None:
    after = changed(source, name)
    assert equal(np.asarray(answer(run(source))), np.asarray(answer(run(after))))
    assert is_gone(after, name)


@pytest.mark.parametrize(("name", "source", "answer"), CASES)
def test_comments_outside_the_change_stay(
    name: str, source: str, answer: Callable[[Namespace], Any]
) -> None:
    commented = "# first\n" + source.rstrip("\n") + "\n# last line, ünïcode\n"
    after = changed(commented, name)
    assert after.startswith("# first\n")
    assert after.endswith("# last line, ünïcode\n")


def test_every_rewriter_has_a_case_here() -> None:
    assert {name for name, _, _ in CASES} == set(REWRITERS)


def test_an_evaluation_moves_after_the_inner_loop() -> None:
    _, source, _ = next(case for case in CASES if case[0] == "evaluate-often")
    often, rarely = Bench(), Bench()
    run(source)["f"](often, [1, 2, 3], None, ROWS, 2)
    run(changed(source, "evaluate-often"))["f"](rarely, [1, 2, 3], None, ROWS, 2)
    assert (often.evaluations, rarely.evaluations) == (6, 2)


def test_an_evaluation_in_a_single_loop_runs_every_hundredth_step() -> None:
    source = (
        "def f(model, steps, x_val):\n    for step in range(steps):\n        model.zero_grad()\n"
        "        model.step()\n        evaluate(model, x_val)\n"
        "\ndef evaluate(model, x_val):\n    return model.judge(x_val)\n"
    )
    bench = Bench()
    run(changed(source, "evaluate-often"))["f"](bench, 250, ROWS)
    assert (bench.steps, bench.evaluations) == (250, 3)


def test_a_print_moves_after_the_inner_loop(capsys: pytest.CaptureFixture[str]) -> None:
    _, source, _ = next(case for case in CASES if case[0] == "print-hot-loop")
    run(changed(source, "print-hot-loop"))["f"](ROWS)
    assert capsys.readouterr().out == "0 2\n1 2\n"


def test_a_large_score_no_longer_makes_softmax_nan() -> None:
    source = "def f(x):\n    e = np.exp(x)\n    return e / e.sum(axis=1, keepdims=True)\n"
    after = run(changed(source, "exp-shift"))["f"](np.float32([[1000, 0]]))
    assert after.tolist() == [[1, 0]]


def test_the_dtype_is_float32_afterwards() -> None:
    source = "def f(images):\n    return images / 255.0\n"
    assert run(changed(source, "float64"))["f"](BYTES).dtype == np.float32


@pytest.mark.parametrize(
    "source",
    [
        # the counter is used for more than its own position
        "def f(p):\n    h, w = p.shape\n    out = np.zeros((h, w), np.float32)\n"
        "    for y in range(h):\n"
        "        for x in range(w):\n            out[y, x] = p[y, w - 1 - x] * p[y, x]\n"
        "    return out\n",
        # the array is read in the loop, so it must be whole there
        "def f(x):\n    out = np.empty((0, 5), np.float32)\n    for i in range(3):\n"
        "        out = np.vstack([out, x[i:i + 1] + len(out)])\n        print(out.shape)\n"
        "    return out\n",
        # the inner product runs over a different axis from a matrix product's
        "def f(a, b):\n    n, m = a.shape[0], b.shape[0]\n    c = np.zeros((n, m), np.float32)\n"
        "    for i in range(n):\n        for j in range(m):\n"
        "            for t in range(a.shape[1]):\n"
        "                c[i, j] += a[i, t] * b[j, t]\n    return c\n",
    ],
)
def test_a_source_that_can_not_be_changed_safely_is_left_alone(source: str) -> None:
    findings = insights.find({"cell:a": source})
    assert findings
    assert [insights.rewrite(source, insight) for insight in findings] == [None] * len(findings)


def test_a_product_with_a_fraction_stays_a_multiplication() -> None:
    source = "import numpy as np\ndef f(images):\n    return images * (1 / 255)\n"
    assert "np.multiply(images, 1 / 255, dtype=np.float32)" in changed(source, "float64")


def test_the_diff_shows_only_what_changed() -> None:
    source = "def f(images):\n    # scale\n    return images / 255.0\n"
    shown = insights.diff(source, changed(source, "float64"), "cell:train")
    assert "-    return images / 255.0\n" in shown
    assert "+    return np.divide(images, 255.0, dtype=np.float32)\n" in shown
    assert shown.startswith("--- cell:train (yours)\n+++ cell:train (changed)\n")
    assert ast.parse(changed(source, "float64"))
