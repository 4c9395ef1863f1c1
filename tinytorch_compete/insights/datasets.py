"""Detect whole datasets, or all im2col columns, in memory where a part would do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tinytorch_compete.insights.dtype_inference import dtype_named
from tinytorch_compete.insights.finding import Finding, RunContext
from tinytorch_compete.source.code import Code
from tinytorch_compete.source.syntax import (
    arguments,
    counted,
    dotted,
    keyword,
    method,
    number,
    receiver,
    root,
    shown,
)

COLUMNS = re.compile(r"^_?(im2col|im_to_col|unfold|image_to_columns)", re.I)


def whole_dataset(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find all examples converted to floats at once although training takes batches."""
    for node in ast.walk(code.tree):
        if not isinstance(node, ast.Assign) or code.loops(node):
            continue
        name = dotted(node.targets[0])
        if _joins_files(code, node.value):
            yield _at_once(node, name, "The line reads all files before it uses the first.")
            continue
        data = _converted(code, node.value)
        if data is None:
            continue
        on_disk = code.numpy(data) == "load" or _is_mapped(code, data)
        if on_disk or (_is_input(code, data) and _cut(code, node, name)):
            why = (
                f"The line converts all of `{shown(data)}` to floats at once: each byte of a uint8 "
                "picture becomes four bytes as float32, eight as float64."
            )
            yield _at_once(node, name, why)


def im2col_whole_batch(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find im2col columns that are made for all pictures of a batch at once."""
    for node in ast.walk(code.tree):
        if not isinstance(node, ast.Call) or code.loops(node) or _makes_columns(code, node):
            continue
        unfolds = COLUMNS.match(dotted(node.func).split(".")[-1]) and _whole(node)
        if unfolds or _unrolled(code, node) or _shifted(code, node):
            yield Finding(
                (node,),
                "How large are the columns, compared with the pictures?",
                "im2col writes every pixel once for each window that contains it: 9 times the "
                "batch for a 3 x 3 kernel, 25 times for 5 x 5. For the whole batch at once, that "
                "is often the peak of the run, and too large for the caches.",
                "Make the columns for a few pictures at a time, and write each product into its "
                "slice of the result.",
            )


def _at_once(node: ast.Assign, name: str, why: str) -> Finding:
    return Finding(
        (node,),
        f"How many MiB does `{name}` take, and how much of it does one step need?",
        f"{why} A step needs only one batch.",
        'Leave the data on disk as it is (`mmap_mode="r"`) and convert each batch where '
        "it is sliced out.",
    )


def _joins_files(code: Code, value: ast.expr) -> bool:
    """Whether arrays are loaded from one file after another and copied into a single array."""
    parts = arguments(value)[0] if arguments(value) else None
    joins = code.numpy(value) in {"concatenate", "stack", "vstack", "array"}
    return joins and isinstance(parts, ast.ListComp) and code.numpy(parts.elt) == "load"


def _converted(code: Code, value: ast.expr) -> ast.expr | None:
    """Return the array that ``x.astype(float)`` or ``x / 255`` converts to floats as a whole."""
    value = _stripped(value)
    if isinstance(value, ast.BinOp):
        plain = number(value.right) is not None and isinstance(value.op, (ast.Div, ast.Mult))
        inner = _converted(code, value.left)
        return inner or (value.left if plain and number(value.right) == 255 else None)
    if not isinstance(value, ast.Call):
        return None
    if method(value) == "astype" and value.args and dtype_named(value.args[0]) in {"f4", "f8"}:
        whole = _stripped(receiver(value) or value)
        return _converted(code, whole) or whole
    if code.numpy(value) in {"asarray", "array"} and value.args:
        stated = keyword(value, "dtype") or (value.args[1] if len(value.args) > 1 else None)
        return value.args[0] if dtype_named(stated) in {"f4", "f8"} else None
    if dotted(value.func) == "Tensor" and value.args:
        return _converted(code, value.args[0])
    return None


def _stripped(value: ast.expr) -> ast.expr:
    """Return the array under a chain of reshapes and transposes, which copy nothing."""
    while isinstance(value, ast.Call) and method(value) in {"reshape", "transpose"}:
        value = receiver(value) or value
    return value


def _is_input(code: Code, node: ast.expr) -> bool:
    """Whether a name is a parameter of the function, or was loaded from a file."""
    scope = code.scope(node)
    if not isinstance(node, ast.Name):
        return False
    if isinstance(scope, ast.FunctionDef) and node.id in {a.arg for a in scope.args.args}:
        return True
    return code.numpy(code.latest(node)) == "load"


def _is_mapped(code: Code, node: ast.expr) -> bool:
    """Whether a name is a memory-mapped file, which is read only where it is accessed."""
    value = code.latest(node) if dotted(node) else None
    return isinstance(value, ast.Call) and keyword(value, "mmap_mode") is not None


def _cut(code: Code, node: ast.AST, name: str) -> bool:
    """Whether a loop slices batches from an array, or a ``TensorDataset`` holds it."""
    parts = [n for n in code.below(code.scope(node)) if isinstance(n, ast.Subscript)]
    own = [part for part in parts if root(part) == name and code.loops(part)]
    if own:
        return all(isinstance(part.ctx, ast.Load) for part in own)
    for other in code.below(code.scope(node)):
        if isinstance(other, ast.Call) and dotted(other.func).endswith("TensorDataset"):
            return name in {dotted(arg) for arg in other.args}
    return False


def _makes_columns(code: Code, node: ast.AST) -> bool:
    scope = code.scope(node)
    return isinstance(scope, ast.FunctionDef) and bool(COLUMNS.match(scope.name))


def _whole(node: ast.AST | None) -> bool:
    """Whether the first argument is a whole array, not a part of one."""
    return isinstance(node, ast.Call) and bool(node.args) and bool(dotted(node.args[0]))


def _shifted(code: Code, node: ast.Call) -> bool:
    """Whether shifted planes of an array, one per kernel position, are joined side by side."""
    parts = node.args[0] if node.args else None
    if code.numpy(node) not in {"stack", "concatenate"} or not isinstance(parts, ast.ListComp):
        return False
    counters = {dotted(g.target) for g in parts.generators if counted(g.iter)}
    cut = parts.elt.slice if isinstance(parts.elt, ast.Subscript) else None
    axes = cut.elts if isinstance(cut, ast.Tuple) else []
    lower = {dotted(axis.lower) for axis in axes if isinstance(axis, ast.Slice)}
    return len(counters & lower) > 1 and bool(dotted(getattr(parts.elt, "value", None)))


def _unrolled(code: Code, node: ast.Call) -> bool:
    """Whether ``sliding_window_view`` of a whole array is transposed and reshaped, so copied."""
    if method(node) != "reshape":
        return False
    inner: ast.AST | None = receiver(node)
    if code.numpy(inner) in {"ascontiguousarray", "array", "copy"}:
        inner = arguments(inner)[0] if arguments(inner) else None
    elif method(inner) == "copy":
        inner = receiver(inner)
    if method(inner) != "transpose":
        return False
    source: ast.AST | None = receiver(inner)
    source = code.latest(source) if source is not None and dotted(source) else source
    name = code.numpy(source)
    return name.endswith("sliding_window_view") and _whole(source)
