"""Detect loops over array elements that a single numpy operation could replace."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tinytorch_compete.insights.finding import Finding, RunContext
from tinytorch_compete.insights.loop_nests import is_product, kind, nests
from tinytorch_compete.source.code import Code
from tinytorch_compete.source.syntax import shown

# Measured on one core: c[i, j] += a[i, t] * b[t, j] takes 1.2 microseconds, `a * b` of a million
# float32 0.1 nanoseconds per element, and `@` of two 40 x 40 matrices a 25,000th of three loops.
ELEMENT_COST = "Reading and writing single elements takes Python about a microsecond per pass"


def loop_over_pixels(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find nested loops that treat every element alike."""
    for outer, store, _ in nests(code):
        if kind(code, outer, store) == "pixels":
            name = shown(store.value) if isinstance(store, ast.Subscript) else ""
            yield Finding(
                (outer,),
                f"How often does the innermost line that fills `{name}` run for one picture?",
                f"The loops visit `{name}` element by element. {ELEMENT_COST}, where numpy's "
                "compiled loop needs less than a nanosecond.",
                "Write the same arithmetic on whole arrays, with slices for neighbours and "
                "`np.where` for conditions.",
                (outer,),
            )


def loop_matmul(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find a matrix product written as loops, or as nested comprehensions."""
    loops = [(o, shown(store)) for o, store, _ in nests(code) if kind(code, o, store) == "matmul"]
    products = [node for node in ast.walk(code.tree) if is_product(node)]
    for node, place in [*loops, *((product, shown(product)) for product in products)]:
        yield Finding(
            (node,),
            f"What would you call the sum that ends up in `{place}`?",
            f"These loops compute a matrix product, one multiplication at a time. {ELEMENT_COST}, "
            "while `@` hands the whole job to a library that uses the processor's caches and "
            "vector units and is thousands of times faster.",
            "Replace the loops with one `@` of the two matrices.",
            (node,),
        )


def convolution_loops(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find a convolution that visits each output position in Python."""
    for outer, store, _ in nests(code):
        if kind(code, outer, store) == "convolution":
            yield Finding(
                (outer,),
                f"How often does the line that writes `{shown(store)}` run for one batch?",
                "The loops visit every window of every picture from Python. The arithmetic in one "
                "window is tiny, so nearly all of the time is spent in Python itself.",
                "Loop over the few kernel positions and add whole shifted planes, or lay the "
                "windows out as columns (im2col, a few pictures at a time) and use one `@`.",
                (outer,),
            )
