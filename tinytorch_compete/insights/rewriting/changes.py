"""Apply an insight's change to a source, and show it as a diff."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping

from tinytorch_compete.insights.rewriting import edits, expressions, statements, vectorise
from tinytorch_compete.insights.rewriting.edits import Edit
from tinytorch_compete.model import Insight
from tinytorch_compete.source.code import Code, read

Rewriter = Callable[[Code, set[int]], Iterator[Edit]]

REWRITERS: Mapping[str, Rewriter] = {
    "float64": expressions.float64,
    "dtype-promotion": expressions.dtype_promotion,
    "exp-shift": expressions.exp_shift,
    "fancy-copy": expressions.fancy_copy,
    "needless-copy": expressions.needless_copy,
    "strided-matmul": expressions.strided_matmul,
    "graph-alive": expressions.graph_alive,
    "one-hot": expressions.one_hot,
    "threads": expressions.threads,
    "loop-constant": statements.loop_constant,
    "temporaries": statements.temporaries,
    "growing-arrays": statements.growing_arrays,
    "print-hot-loop": statements.print_hot_loop,
    "evaluate-often": statements.evaluate_often,
    "unread-cache": statements.unread_cache,
    "loop-matmul": vectorise.loop_matmul,
    "loop-over-pixels": vectorise.loop_over_pixels,
    "loop-over-batch": vectorise.loop_over_batch,
}


def rewrite(source: str, insight: Insight) -> str | None:
    """Return the source with the insight's change made on its lines and the rest untouched.

    Return None if the change can't be made mechanically. The result is valid Python; only a trial
    can tell whether it computes the same and gains anything.
    """
    rewriter = REWRITERS.get(insight.name)
    codes = read({insight.source: source})
    if rewriter is None or not codes:
        return None
    return edits.apply(codes[0], rewriter(codes[0], set(insight.lines)))


def diff(source: str, changed: str, name: str) -> str:
    """Return the difference between two versions of a source as a unified diff."""
    lines = difflib.unified_diff(
        source.splitlines(),
        changed.splitlines(),
        f"{name} (yours)",
        f"{name} (changed)",
        lineterm="",
    )
    return "\n".join(lines) + "\n"
