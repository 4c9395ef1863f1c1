"""Arrays that are wider than they need be."""

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

# Smaller arrays aren't worth a word: 10,000 float64 are 80 kB.
FEW = 10_000
PICTURES = re.compile(r"image|img|pixel|picture|photo|raw|^x$|^X|x_|train|test|data|batch", re.I)
COPYING = {"array", "asarray", "ascontiguousarray", "ravel"}
SHAPING = {"reshape", "ravel", "flatten", "transpose", "squeeze", "copy"}
EXACT = re.compile(r"check|numeric|float64|double|exact", re.I)


def float64(code: Code, facts: RunContext) -> Iterator[Finding]:
    """Large float64 arrays made without anyone having asked for them."""
    for node in ast.walk(code.tree):
        if isinstance(node, ast.BinOp):
            what = scaled(code, node)
        elif isinstance(node, ast.Call):
            what = divided(code, node) or created(code, node)
        else:
            continue
        if what and not _narrowed(code, node) and not _on_purpose(code, node):
            yield Finding(
                (code.statement(node),),
                f"Which dtype does `{shown(node)}` have?",
                f"{what} It takes 8 bytes an element where float32 takes 4, so it needs twice the "
                "memory and every later operation moves twice the bytes.",
                "Make it float32 where it is made; networks don't need more digits than that.",
            )


def dtype_promotion(code: Code, facts: RunContext) -> Iterator[Finding]:
    """A float32 array that one float64 operand turns into float64."""
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
            "takes twice the memory and time, although nobody asked for float64.",
            f"Make `{shown(wide)}` float32 too, or a plain Python number, which changes no dtype.",
        )


def _is_root(code: Code, wide: ast.AST) -> bool:
    """Whether the float64 begins with this operand, and isn't a large array's own doing."""
    base = wide.value if isinstance(wide, ast.Subscript) else wide
    value = code.latest(base) if dotted(base) else base
    return isinstance(value, ast.Call) and not created(code, value)


def _origin(code: Code, wide: ast.AST) -> tuple[ast.AST, ...]:
    base = wide.value if isinstance(wide, ast.Subscript) else wide
    value = code.latest(base) if dotted(base) else None
    return (code.statement(value),) if value is not None else ()


def scaled(code: Code, node: ast.BinOp) -> str:
    """Integers divided by a number: numpy makes float64 of them."""
    if _divisor(node) not in (255, 256, 127.5, 128):
        return ""
    whole = _unshaped(code, node.left)
    name = dotted(whole)
    known = dtype(code, node.left) or dtype(code, whole)
    if not name or not PICTURES.search(name.split(".")[-1]) or known:
        return ""
    if isinstance(node.left, ast.Subscript) and _is_element(code, node.left):
        return ""
    if any(isinstance(up, ast.Call) and code.numpy(up) == "float32" for up in code.above(node)):
        return ""
    return f"Scaling the integers of `{name}` by a Python number makes float64."


def _divisor(node: ast.BinOp) -> float | None:
    """The number that something is divided by, also as ``* (1 / 255)``."""
    if isinstance(node.op, ast.Div):
        return number(node.right)
    share = node.right
    if not isinstance(node.op, ast.Mult) or not isinstance(share, ast.BinOp):
        return None
    return (
        number(share.right) if number(share.left) == 1 and isinstance(share.op, ast.Div) else None
    )


def _unshaped(code: Code, node: ast.expr, depth: int = 5) -> ast.expr:
    """The array that an expression shows in another shape, in part, or moved by a number."""
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
        inner = value if method(value) in SHAPING else _taken_from(code, node)
    return _unshaped(code, inner, depth - 1) if inner is not None and depth else node


def _taken_from(code: Code, node: ast.Name) -> ast.expr | None:
    """The array whose parts a name stands for one by one in a comprehension."""
    for up in code.above(node):
        for part in getattr(up, "generators", ()):
            if dotted(part.target) == node.id and dotted(part.iter):
                taken: ast.expr = part.iter
                return taken
    return None


def divided(code: Code, node: ast.Call) -> str:
    """The same, as a call of numpy that states no dtype and no place for the result."""
    if code.numpy(node) not in {"divide", "true_divide"} or len(node.args) != 2 or node.keywords:
        return ""
    quotient = ast.copy_location(ast.BinOp(node.args[0], ast.Div(), node.args[1]), node)
    return scaled(code, quotient)


def _is_element(code: Code, node: ast.Subscript) -> bool:
    """Whether a subscript picks one number: an index on two axes or more, all of them counters."""
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else []
    counters = {getattr(getattr(loop, "target", None), "id", "") for loop in code.loops(node)}
    return bool(parts) and all(dotted(part) in counters for part in parts)


def created(code: Code, node: ast.Call) -> str:
    if method(node) == "astype" and node.args and dtype_named(node.args[0]) == "f8":
        return f"`{shown(node)}` asks for float64 (Python's `float` is that too)."
    stated = stated_double(code, node)
    target = next((name for name, _ in assignments(code.statement(node))), "")
    named = (path.split(".")[-1] for path in (target, dotted(next(iter(node.args), None))))
    if stated is not None and any(PICTURES.search(name) for name in named if name):
        return f"`{shown(node)}` asks for float64 (Python's `float` is that too)."
    name = creates_double(code, node)
    if not name or name in {"eye", "linspace"} or not _large(node, name):
        return ""
    return f"`{name}` makes float64 unless it is told otherwise."


def stated_double(code: Code, node: ast.Call) -> ast.expr | None:
    """The float64 that ``np.asarray(x, float)`` or ``np.array(x, dtype=float)`` asks for."""
    if code.numpy(node) not in {"array", "asarray"} or not node.args:
        return None
    stated = keyword(node, "dtype") or (node.args[1] if len(node.args) > 1 else None)
    return stated if dtype_named(stated) == "f8" else None


def _large(node: ast.Call, name: str) -> bool:
    """Whether the shape has two or more axes and isn't small in plain sight."""
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
    """Whether the same statement hands an array to something that makes float32 of it.

    A scaled array isn't saved by that: the wide copy has been there.
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
    """Whether the function speaks of float64, or checks something to many digits."""
    scope = code.scope(node)
    if isinstance(scope, ast.FunctionDef) and EXACT.search(scope.name):
        return True
    # a number that is made a numpy scalar asks for no array of them
    scalars = [p.func for p in ast.walk(scope) if isinstance(p, ast.Call)]
    made = {dotted(called) for called in scalars if dotted(called).endswith(".float64")}
    asked = any("float64" in path for path in loads(scope) - made)
    return asked and method(node) != "astype"
