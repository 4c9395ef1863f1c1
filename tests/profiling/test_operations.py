"""A line's work is inferred from its text and its operands' shapes, or not at all."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from support.profile_truth import FILE

from tinytorch_compete.kernel.compete_profiling.operands import LOOKS
from tinytorch_compete.kernel.compete_profiling.profiler import Profiler
from tinytorch_compete.profiling.operations import watched, work

F4, F8 = "<f4", "<f8"
ARRAYS = {
    "x": (F4, (64, 100)),
    "w": (F4, (100, 10)),
    "b": (F4, (10,)),
    "d": (F8, (64, 100)),
    "self.w.data": (F4, (100, 10)),
    "batch": (F4, (8, 64, 100)),
    "n": ("int", ()),
}


def of(text: str):
    return work(ast.parse(text).body[0], ARRAYS)


@pytest.mark.parametrize(
    ("text", "flops", "moved", "calls"),
    [
        ("y = x @ w", 2 * 64 * 100 * 10, 4 * (6400 + 1000 + 640), 1),
        ("y = x @ self.w.data", 128_000, 4 * 8040, 1),
        ("y = np.dot(x, w)", 128_000, 4 * 8040, 1),
        ("y = np.einsum('nk,km->nm', x, w)", 128_000, 4 * 8040, 1),
        ("y = batch @ w", 8 * 128_000, 4 * (51_200 + 1000 + 5120), 1),
        ("y = x.T @ x", 2 * 100 * 64 * 100, 4 * (6400 + 6400 + 10_000), 1),
        ("y = x @ w + b", 128_000 + 640, 4 * 8040 + 4 * (640 + 10 + 640), 2),
        ("y = x * 2.0", 6400, 4 * 12_800, 1),
        ("y = x * x", 6400, 4 * 12_800, 1),
        ("y = x * d", 6400, 4 * 6400 + 8 * 12_800, 1),
        ("x += d", 6400, 4 * 12_800 + 8 * 6400, 1),
        ("y = x > 0", 6400, 5 * 6400, 1),
        ("y = x.sum(axis=0)", 6400, 4 * 6500, 1),
        ("y = np.max(x, axis=1, keepdims=True)", 6400, 4 * 6464, 1),
        ("y = x.copy()", 0, 4 * 12_800, 1),
        ("y = x.astype(np.float64)", 0, 12 * 6400, 1),
        ("y = np.exp(x[:10])", 1000, 4 * 2000, 1),
        ("y = batch.reshape(-1, 100) @ w", 8 * 128_000, 4 * 57_320, 1),
    ],
)
def test_operations_and_bytes_are_those_of_the_shapes(
    text: str, flops: float, moved: float, calls: int
) -> None:
    line_work = of(text)
    assert line_work is not None and line_work.whole
    assert (line_work.flops, line_work.moved_bytes, line_work.calls) == (flops, moved, calls)


@pytest.mark.parametrize(
    "text",
    ["y = f(x)", "y = x[n:] @ w", "y = x @ b", "y = n * 2", "y = [r @ w for r in x]",
     "y = x.reshape(n, -1)", "y = g @ w", "y = np.pad(x, 1)"],
)  # fmt: skip
def test_of_what_cannot_be_read_nothing_is_said(text: str) -> None:
    assert of(text) is None


def test_a_line_with_a_call_of_the_students_is_known_in_part() -> None:
    line_work = of("return record(x @ w, (x, w))")
    assert line_work is not None
    assert (line_work.flops, line_work.whole) == (128_000, False)


@pytest.mark.parametrize(
    ("text", "new"), [("y = x + 1", 4), ("x += 1", 0), ("np.add(x, x, out=x)", 0)]
)
def test_a_result_without_a_place_is_new_memory(text: str, new: int) -> None:
    line_work = work(ast.parse(text).body[0], {"x": (F4, (2**20,))})
    assert line_work is not None
    assert line_work.new_bytes == new * 2**20


def test_shapes_that_no_array_ever_had_are_no_work() -> None:
    huge = dict.fromkeys("ab", (F4, (2**53,) * 16))
    assert work(ast.parse("y = a * b").body[0], huge) is None


def test_only_lines_with_one_statement_are_watched() -> None:
    text = "y = x @ self.w.data\na = b * 2; c = d * 2\ny = f(\n  x)\nz = np.exp(x.T).sum()\n"
    assert watched({"m.py": text}) == {"m.py": {1: ["y", "x", "self.w.data"], 5: ["z", "x"]}}


def operands(source: str, home: Path, watch: dict[int, list[str]]) -> dict[int, list]:
    profiler = Profiler(str(home), watch={"cell:c": watch})
    profiler.start()
    try:
        profiler.begin_cell("c")
        exec(compile(source, FILE, "exec"), {})  # noqa: S102
    finally:
        profiler.stop()
    by_line: dict[int, list] = {}
    for _, line, looks, facts in profiler.report()["operands"]:
        by_line.setdefault(line, []).append((looks, facts))
    return by_line


def test_a_line_is_seen_with_each_of_its_shapes(tmp_path: Path) -> None:
    source = (
        "import numpy as np\nfor k in (2, 3, 3):\n    a = np.ones((k, 4), 'f4')\n    a = a * k\n"
    )
    by_line = operands(source, tmp_path, {4: ["a", "k", "none"]})
    assert by_line[4] == [
        (1, (("<f4", 2, 4), ("int",), None)),
        (2, (("<f4", 3, 4), ("int",), None)),
    ]


def test_attributes_and_slots_are_seen_and_properties_not_called(tmp_path: Path) -> None:
    source = (
        "import numpy as np\n"
        "class A:\n    __slots__ = ('s',)\n"
        "class B:\n    @property\n    def p(self):\n        raise SystemExit\n"
        "def f(a, b):\n    return a.s + b.d\n"
        "a, b = A(), B()\na.s = b.d = np.ones(3)\nf(a, b)\n"
    )
    by_line = operands(source, tmp_path, {9: ["a.s", "b.d", "b.p", "b.q"]})
    assert by_line[9] == [(1, (("<f8", 3), ("<f8", 3), None, None))]


def test_an_array_that_was_looked_at_is_freed_when_the_code_lets_go(tmp_path: Path) -> None:
    source = (
        "import numpy as np, weakref\n"
        "def f():\n    a = np.ones(3)\n    r = weakref.ref(a)\n    b = a * 2\n    del a\n"
        "    c = b * 2\n    assert r() is None\nf()\n"
    )
    assert set(operands(source, tmp_path, {5: ["a"], 7: ["b"]})) == {5, 7}


def test_only_the_first_hits_are_looked_at(tmp_path: Path) -> None:
    by_line = operands("x = 1.5\nfor _ in range(1000):\n    y = x * 2\n", tmp_path, {3: ["x"]})
    assert by_line[3] == [(LOOKS, (("float",),))]
