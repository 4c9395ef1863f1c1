"""Detect arrays whose dtype is wider than needed."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator

from tinytorch_compete.insights.dtype_inference import creates_double, dtype, dtype_named
from tinytorch_compete.insights.finding import Finding, RunContext
from tinytorch_compete.source.code import Code
from tinytorch_compete.source.syntax import (
    assignments,
    dotted,
    keyword,
    loads,
    method,
    number,
    receiver,
    shown,
)

# Smaller arrays aren't worth a finding: 10,000 float64 values take 80 kB.
FEW = 10_000
PICTURES = re.compile(r"image|img|pixel|picture|photo|raw|^x$|^X|x_|train|test|data|batch", re.I)
COPYING = {"array", "asarray", "ascontiguousarray", "ravel"}
SHAPING = {"reshape", "ravel", "flatten", "transpose", "squeeze", "copy"}
EXACT = re.compile(r"check|numeric|float64|double|exact", re.I)


def float64(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find large arrays that are float64 by default or by a needless request."""
    for node in ast.walk(code.tree):
        if isinstance(node, ast.BinOp):
            reason = scaled(code, node)
        elif isinstance(node, ast.Call):
            reason = divided(code, node) or created(code, node)
        else:
            continue
        if reason and not _narrowed(code, node) and not _on_purpose(code, node):
            yield Finding(
                (code.statement(node),),
                f"Which dtype does `{shown(node)}` have?",
                f"{reason} It takes 8 bytes per element where float32 takes 4, so it needs twice "
                "the memory, and every later operation moves twice as many bytes.",
                "Create it as float32; networks don't need more digits than that.",
            )


def dtype_promotion(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find a float32 array that a float64 operand turns into float64."""
    for node in ast.walk(code.tree):
        if not isinstance(node, ast.BinOp) or number(node.left) or number(node.right):
            continue
        kinds = dtype(code, node.left), dtype(code, node.right)
        if sorted(kinds) != ["f4", "f8"] or _on_purpose(code, node):
            continue
        narrow, wide = (node.left, node.right) if kinds[0] == "f4" else (node.right, node.left)
        if not _is_root(code, wide):
            continue
        yield Finding(
            (code.statement(node), *_origin(code, wide)),
            f"What is the dtype of `{shown(node)}`?",
            f"`{shown(narrow)}` is float32, but `{shown(wide)}` is a float64 array or "
            "numpy scalar, and numpy gives the result the wider dtype. From here on everything "
            "takes twice the memory and time, although the code never asks for float64.",
            f"Make `{shown(wide)}` float32 too, or a plain Python number, which leaves the dtype.",
        )


def _is_root(code: Code, wide: ast.AST) -> bool:
    """Whether float64 originates in this operand, and not in a large array reported elsewhere."""
    base = wide.value if isinstance(wide, ast.Subscript) else wide
    value = code.latest(base) if dotted(base) else base
    return isinstance(value, ast.Call) and not created(code, value)


def _origin(code: Code, wide: ast.AST) -> tuple[ast.AST, ...]:
    base = wide.value if isinstance(wide, ast.Subscript) else wide
    value = code.latest(base) if dotted(base) else None
    return (code.statement(value),) if value is not None else ()


def scaled(code: Code, node: ast.BinOp) -> str:
    """Explain that scaling integers by a number gives float64; empty where nothing is scaled."""
    if _divisor(node) not in (255, 256, 127.5, 128):
        return ""
    whole = _unshaped(code, node.left)
    name = dotted(whole)
    inferred = dtype(code, node.left) or dtype(code, whole)
    if not name or not PICTURES.search(name.split(".")[-1]) or inferred:
        return ""
    if isinstance(node.left, ast.Subscript) and _is_element(code, node.left):
        return ""
    if any(isinstance(up, ast.Call) and code.numpy(up) == "float32" for up in code.above(node)):
        return ""
    return f"Scaling the integers of `{name}` by a Python number gives float64."


def _divisor(node: ast.BinOp) -> float | None:
    """Return the number that a division divides by, also as ``* (1 / 255)``."""
    if isinstance(node.op, ast.Div):
        return number(node.right)
    share = node.right
    if not isinstance(node.op, ast.Mult) or not isinstance(share, ast.BinOp):
        return None
    return (
        number(share.right) if number(share.left) == 1 and isinstance(share.op, ast.Div) else None
    )


def _unshaped(code: Code, node: ast.expr, depth: int = 5) -> ast.expr:
    """Return the array that an expression reshapes, slices, copies or shifts by a number."""
    inner: ast.expr | None = None
    if isinstance(node, ast.Subscript):
        inner = node.value
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        inner = node.left if number(node.right) is not None else None
    elif method(node) in SHAPING and not code.numpy(node):
        inner = receiver(node)
    elif isinstance(node, ast.Call) and code.numpy(node) in COPYING and len(node.args) == 1:
        inner = node.args[0] if keyword(node, "dtype") is None else None
    elif isinstance(node, ast.Name) and not PICTURES.search(node.id):
        value = code.latest(node)
        inner = value if method(value) in SHAPING else _iterated(code, node)
    return _unshaped(code, inner, depth - 1) if inner is not None and depth else node


def _iterated(code: Code, node: ast.Name) -> ast.expr | None:
    """Return the array over which a comprehension iterates with this name."""
    for up in code.above(node):
        for part in getattr(up, "generators", ()):
            if dotted(part.target) == node.id and dotted(part.iter):
                array: ast.expr = part.iter
                return array
    return None


def divided(code: Code, node: ast.Call) -> str:
    """Explain the same of ``np.divide(x, 255)``, a call with neither ``dtype`` nor ``out``."""
    if code.numpy(node) not in {"divide", "true_divide"} or len(node.args) != 2 or node.keywords:
        return ""
    quotient = ast.copy_location(ast.BinOp(node.args[0], ast.Div(), node.args[1]), node)
    return scaled(code, quotient)


def _is_element(code: Code, node: ast.Subscript) -> bool:
    """Whether a subscript picks one number: two or more indices, all of them loop counters."""
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else []
    counters = {getattr(getattr(loop, "target", None), "id", "") for loop in code.loops(node)}
    return bool(parts) and all(dotted(part) in counters for part in parts)


def created(code: Code, node: ast.Call) -> str:
    """Explain why a call makes a large float64 array; empty if it doesn't."""
    if method(node) == "astype" and node.args and dtype_named(node.args[0]) == "f8":
        return f"`{shown(node)}` asks for float64 (as does Python's `float`)."
    stated = stated_double(code, node)
    target = next((name for name, _ in assignments(code.statement(node))), "")
    names = (path.split(".")[-1] for path in (target, dotted(next(iter(node.args), None))))
    if stated is not None and any(PICTURES.search(name) for name in names if name):
        return f"`{shown(node)}` asks for float64 (as does Python's `float`)."
    name = creates_double(code, node)
    if not name or name in {"eye", "linspace"} or not _large(node, name):
        return ""
    return f"`{name}` makes float64 unless you pass a dtype."


def stated_double(code: Code, node: ast.Call) -> ast.expr | None:
    """Return the float64 argument of ``np.asarray(x, float)`` or ``np.array(x, dtype=float)``."""
    if code.numpy(node) not in {"array", "asarray"} or not node.args:
        return None
    stated = keyword(node, "dtype") or (node.args[1] if len(node.args) > 1 else None)
    return stated if dtype_named(stated) == "f8" else None


def _large(node: ast.Call, name: str) -> bool:
    """Whether the shape has two or more axes and its literals don't show that it is small."""
    shape = node.args[0] if node.args else keyword(node, "size") or keyword(node, "shape")
    parts = shape.elts if isinstance(shape, (ast.Tuple, ast.List)) else [shape]
    if name in {"randn", "rand"}:
        parts = list(node.args)
    if name in {"normal", "uniform"}:
        size = keyword(node, "size") or (node.args[2] if len(node.args) > 2 else None)
        parts = size.elts if isinstance(size, (ast.Tuple, ast.List)) else [size]
    whole = isinstance(shape, ast.Attribute) and shape.attr == "shape"
    sizes = [number(part) for part in parts]
    unknown = any(size is None for size in sizes)
    return whole or (len(parts) > 1 and (unknown or math.prod(s or 1 for s in sizes) >= FEW))


def _narrowed(code: Code, node: ast.AST) -> bool:
    """Whether the same statement converts the array to float32.

    That doesn't excuse a scaled array: its float64 copy has already been made.
    """
    for up in code.above(node):
        if isinstance(up, ast.stmt):
            return False
        if isinstance(up, ast.Call) and dtype(code, up) == "f4":
            return not isinstance(node, ast.BinOp)
        if isinstance(up, ast.Call) and dotted(up.func).split(".")[-1] in {"Tensor", "Parameter"}:
            return not isinstance(node, ast.BinOp)
    return False


def _on_purpose(code: Code, node: ast.AST) -> bool:
    """Whether the function asks for float64 explicitly, or checks something to many digits."""
    scope = code.scope(node)
    if isinstance(scope, ast.FunctionDef) and EXACT.search(scope.name):
        return True
    # converting a number to a numpy scalar doesn't ask for a float64 array
    callees = [dotted(call.func) for call in ast.walk(scope) if isinstance(call, ast.Call)]
    scalars = {callee for callee in callees if callee.endswith(".float64")}
    explicit = any("float64" in path for path in loads(scope) - scalars)
    return explicit and method(node) != "astype"
