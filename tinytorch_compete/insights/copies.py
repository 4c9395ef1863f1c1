"""Detect needless copies, and memory layouts that make numpy copy."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tinytorch_compete.insights.dtype_inference import dtype, dtype_named, is_fresh
from tinytorch_compete.insights.finding import Finding, RunContext
from tinytorch_compete.source.code import Code
from tinytorch_compete.source.syntax import (
    changed,
    counted,
    dotted,
    method,
    number,
    receiver,
    shown,
)

MODELS = re.compile(r"(^|\.)_?(model|net|network|classifier|cnn|mlp)$")
PRODUCTS = {"matmul", "dot", "tensordot", "einsum", "inner"}
LAYOUTS = {"transpose", "swapaxes", "moveaxis", "rollaxis"}
COUNTED = {"sum", "len", "max", "min", "sorted", "list", "set", "enumerate"}


def fancy_copy(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find rows picked by an array of evenly spaced numbers, where a slice would do."""
    for node in ast.walk(code.tree):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            index = counted_index(code, node)
            if index is not None:
                yield Finding(
                    (node,),
                    f"Which rows does `{shown(node)}` pick, and in which order?",
                    f"`{shown(index)}` counts up in equal steps, but to numpy it is an arbitrary "
                    "array of numbers, so numpy copies every element it picks. A slice of the "
                    "same positions is a view, which copies nothing.",
                    "Use a slice, as in `x[start:stop]` or `x[::2]`.",
                )


def strided_matmul(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find a matrix product in a loop with an operand whose memory layout forces a copy."""
    for node in ast.walk(code.tree):
        if not _is_product(code, node) or not code.loops(node):
            continue
        for operand in _operands(node):
            origin = strided_origin(code, operand, node)
            if origin is not None:
                yield Finding(
                    (node, origin),
                    f"How is `{shown(operand)}` laid out in memory?",
                    f"`{shown(operand)}` is a view with its axes reordered or with gaps. The "
                    "matrix library needs rows (or columns) without gaps, so numpy copies it for "
                    "every product in the loop, or falls back to slow code.",
                    "Make it contiguous once before the loop, with `np.ascontiguousarray`.",
                )


def needless_copy(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find a copy of a new array, a cast to the dtype it already has, or a needless list."""
    for node in ast.walk(code.tree):
        if not isinstance(node, ast.Call):
            continue
        reason = redundant(code, node)
        if reason:
            yield Finding(
                (node,),
                f"What does `{shown(node)}` give you that you didn't have before?",
                f"{reason} Every byte is read and written once more for no benefit.",
                "Drop the call and use the array itself.",
            )


def counted_index(code: Code, node: ast.Subscript) -> ast.expr | None:
    """Return a subscript's only index if it is ``np.arange(...)`` or ``list(range(...))``."""
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    others = [part for part in parts if not isinstance(part, (ast.Slice, ast.Constant))]
    if len(others) != 1 or isinstance(others[0], ast.Starred):
        return None
    index = others[0]
    value = code.latest(index) if isinstance(index, ast.Name) else index
    if value is None or (isinstance(index, ast.Name) and _is_touched(code, index, value)):
        return None
    items = value.args if isinstance(value, ast.Call) and dotted(value.func) == "list" else []
    counts = bool(items and counted(items[0])) or code.numpy(value) == "arange"
    return index if counts else None


def strided_origin(code: Code, operand: ast.expr, product: ast.AST) -> ast.stmt | None:
    """Return the statement before the loop that reorders or strides an operand's axes."""
    base = operand.value if isinstance(operand, ast.Attribute) and operand.attr == "T" else operand
    if not isinstance(base, ast.Name) or (value := code.latest(base)) is None:
        return None
    statement = code.statement(value)
    if len(code.loops(statement)) >= len(code.loops(product)) or not is_strided(code, value):
        return None
    return statement


def redundant(code: Code, node: ast.Call) -> str:
    """Explain why a copying call is needless; empty where that isn't certain."""
    called, name = method(node), code.numpy(node)
    inner = receiver(node)
    if called == "astype" and inner is not None and len(node.args) == 1 and not node.keywords:
        target = dtype_named(node.args[0])
        if target in {"f4", "f8"} and dtype(code, inner) == target:
            return f"`{shown(inner)}` already has that dtype, and `astype` copies it anyway."
    if called == "copy" and inner is not None and not node.args and _is_new(code, inner):
        return f"`{shown(inner)}` is already a new array that nothing else refers to."
    if called == "copy" and inner is not None and not node.args and _is_only_read(code, node):
        return f"`{shown(inner)}` is a slice that is only read, never written to."
    if _is_own_name(code, node) and _is_never_written(code, node):
        return "The copy replaces the array under the same name, and nothing writes to it."
    if (
        name == "array"
        and len(node.args) == 1
        and not node.keywords
        and _is_new(code, node.args[0])
    ):
        return f"`{shown(node.args[0])}` is already a new array, and `np.array` copies it."
    if called == "tolist" and inner is not None and _is_walked(code, node):
        return f"`tolist` makes a Python object for each element of `{shown(inner)}`."
    return ""


def _is_new(code: Code, node: ast.AST | None) -> bool:
    sure = (
        isinstance(node, ast.Call) and is_fresh(code, node) and method(node) not in {"mean", "sum"}
    )
    return sure or code.numpy(node) in {"maximum", "minimum", "concatenate", "where", "exp"}


def copied(code: Code, node: ast.Call) -> ast.expr | None:
    """Return the ``x`` of ``x.copy()``, ``np.copy(x)`` or ``np.array(x, copy=True)``."""
    if code.numpy(node) in {"array", "copy"} and len(node.args) == 1:
        return node.args[0] if {k.arg for k in node.keywords} <= {"copy"} else None
    plain = method(node) == "copy" and not code.numpy(node) and not node.args
    return receiver(node) if plain else None


def _is_own_name(code: Code, node: ast.Call) -> bool:
    """Whether a copy replaces an array under its own name: ``x = np.array(x, copy=True)``."""
    statement, inner = code.statement(node), copied(code, node)
    if not isinstance(statement, ast.Assign) or statement.value is not node:
        return False
    return isinstance(inner, ast.Name) and dotted(statement.targets[0]) == inner.id


def _is_never_written(code: Code, node: ast.Call) -> bool:
    """Whether the function only reads the copy, in arithmetic, numpy or a model."""
    name, scope = dotted(copied(code, node)), code.scope(node)
    if not isinstance(scope, ast.FunctionDef) or len(code.values(name, node)) > 1:
        return False
    others = [s for s in scope.body if s is not code.statement(node)]
    uses = [n for s in others for n in ast.walk(s) if dotted(n) == name]
    return bool(uses) and name not in changed(others) and all(_reads(code, use) for use in uses)


def _is_only_read(code: Code, node: ast.Call) -> bool:
    """Whether a slice copied in a loop is only read there, by a model or numpy."""
    statement, inner = code.statement(node), receiver(node)
    if not isinstance(statement, ast.Assign) or statement.value is not node:
        return False
    name = dotted(statement.targets[0])
    plain = isinstance(inner, ast.Subscript) and isinstance(inner.slice, ast.Slice)
    if not plain or not name or "." in name or not code.loops(node):
        return False
    if len(code.values(name, node)) > 1:
        return False
    others = [s for s in code.loops(node)[0].body if s is not statement]
    if name in changed(others):
        return False
    uses = [n for s in others for n in ast.walk(s) if dotted(n) == name]
    return bool(uses) and all(_reads(code, use) for use in uses)


def _reads(code: Code, use: ast.AST) -> bool:
    """Whether a use passes an array to arithmetic, numpy, ``len`` or a model's forward pass."""
    up = code.parents[use]
    if isinstance(up, ast.Call) and use in up.args:
        called = dotted(up.func)
        reading = called == "len" or called.split(".")[-1] in {"forward", "predict"}
        return reading or bool(code.numpy(up)) or bool(MODELS.search(called))
    if isinstance(up, ast.Attribute):
        return up.attr in {"shape", "size", "sum", "mean", "max", "min", "T", "dtype"}
    return isinstance(up, (ast.BinOp, ast.Compare))


def _is_walked(code: Code, node: ast.Call) -> bool:
    """Whether a list is only iterated over or turned back into an array."""
    up = code.parents[node]
    if isinstance(up, (ast.For, ast.comprehension)):
        return up.iter is node
    return isinstance(up, ast.Call) and (
        dotted(up.func) in COUNTED or code.numpy(up) in {"array", "asarray"}
    )


def _is_touched(code: Code, index: ast.Name, value: ast.expr) -> bool:
    """Whether the index array is modified somewhere, as by ``rng.shuffle(order)``."""
    if len(code.values(index.id, index)) > 1:
        return True
    own = code.statement(value)
    simple = (ast.Expr, ast.AugAssign, ast.Assign)
    others = [s for s in code.below(code.scope(index)) if isinstance(s, simple) and s is not own]
    return index.id in changed(others)


def _is_product(code: Code, node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.MatMult)
    return isinstance(node, ast.Call) and (code.numpy(node) in PRODUCTS or method(node) == "dot")


def _operands(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    return list(node.args) if isinstance(node, ast.Call) else []


def is_strided(code: Code, value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        reordered = method(value) in LAYOUTS or code.numpy(value) in LAYOUTS
        return reordered and len(value.args) > 1
    if isinstance(value, ast.Subscript):
        parts = value.slice.elts if isinstance(value.slice, ast.Tuple) else [value.slice]
        last = parts[-1]
        step = number(last.step) if isinstance(last, ast.Slice) else None
        return len(parts) > 1 and step is not None and step != 1
    return False
