"""Infer dtype, freshness and passes of array expressions without running them."""

from __future__ import annotations

import ast

from tinytorch_compete.source.code import Code
from tinytorch_compete.source.syntax import dotted, keyword, method, number, receiver

SINGLE = {"numpy.float32", "np.float32", "float32", "f4", "single"}
DOUBLE = {"numpy.float64", "np.float64", "float64", "f8", "float", "double"}
CREATORS = {"zeros", "ones", "empty", "full", "eye", "linspace"}
ELEMENTWISE = (
    "exp log log1p expm1 sqrt tanh sin cos abs absolute maximum minimum clip where power square "
    "negative sign divide multiply add subtract logaddexp log2 log10"
).split()
REDUCTIONS = "sum mean std var max min argmax argmin prod any all argsort median norm".split()
SAME_DTYPE = {"reshape", "transpose", "copy", "T", "flatten", "ravel", "mean", "sum", "max", "min"}
SAME_DTYPE |= {"squeeze", "swapaxes", "clip", "std"}
DRAWN = {"randn", "rand", "random", "standard_normal", "normal", "uniform"}
FRESH = {"copy", "astype", "flatten", "mean", "sum"}


def dtype_named(node: ast.AST | None) -> str:
    """Return ``f4`` or ``f8`` if an expression names it, ``other`` for other dtypes, else empty."""
    if node is None:
        return ""
    name = node.value if isinstance(node, ast.Constant) else dotted(node)
    return "f4" if name in SINGLE else "f8" if name in DOUBLE else "other"


def dtype(code: Code, node: ast.AST | None, depth: int = 8) -> str:
    """Return ``f4`` or ``f8`` where that is certain, ``weak`` for a Python number, else empty."""
    if node is None or depth == 0:
        return ""
    if number(node) is not None:
        return "weak"
    if isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and dotted(node)):
        if isinstance(node, ast.Attribute) and node.attr == "T":
            return dtype(code, node.value, depth - 1)
        return dtype(code, code.latest(node), depth - 1)
    if isinstance(node, ast.Subscript):
        return dtype(code, node.value, depth - 1)
    if isinstance(node, ast.UnaryOp):
        return dtype(code, node.operand, depth - 1)
    if isinstance(node, ast.BinOp):
        return _joined(dtype(code, node.left, depth - 1), dtype(code, node.right, depth - 1))
    return _of_call(code, node, depth) if isinstance(node, ast.Call) else ""


def creates_double(code: Code, node: ast.AST) -> str:
    """Return the numpy function that makes float64 here by default; empty if none does."""
    if not isinstance(node, ast.Call) or keyword(node, "dtype") is not None:
        return ""
    name = code.numpy(node)
    if name in {"zeros", "ones", "empty"} and len(node.args) == 1:
        return name
    if name in {"eye", "linspace"} or (name == "full" and _floating(node.args[1:2])):
        return name
    drawn = name.removeprefix("random.") if name.startswith("random.") else method(node)
    generator = "rng" in dotted(node.func) or "random" in dotted(node.func)
    return drawn if drawn in DRAWN and (name or generator) and (node.args or node.keywords) else ""


def is_scalar(code: Code, node: ast.AST) -> bool:
    """Whether an expression is certainly a Python number: literals, lengths, their arithmetic."""
    if number(node) is not None or code.axis(node) is not None:
        return True
    if isinstance(node, ast.BinOp):
        return is_scalar(code, node.left) and is_scalar(code, node.right)
    if isinstance(node, ast.Name):
        return _is_dimension(code, node)
    return False


def is_fresh(code: Code, node: ast.AST | None) -> bool:
    """Whether an expression makes a new array that nothing else can refer to."""
    if isinstance(node, ast.BinOp):
        return number(node.left) is None or number(node.right) is None
    if not isinstance(node, ast.Call):
        return False
    return method(node) in FRESH or code.numpy(node) in {*CREATORS, *ELEMENTWISE, "concatenate"}


def passes(code: Code, node: ast.AST) -> int:
    """Count an expression's passes over whole arrays, each of which writes a new array."""
    if isinstance(node, ast.BinOp):
        own = not (is_scalar(code, node.left) and is_scalar(code, node.right))
        return own + passes(code, node.left) + passes(code, node.right)
    if isinstance(node, ast.UnaryOp):
        return (number(node) is None) + passes(code, node.operand)
    if isinstance(node, ast.Compare):
        return 1 + sum(passes(code, part) for part in (node.left, *node.comparators))
    if isinstance(node, ast.Call) and code.numpy(node) in ELEMENTWISE:
        return 1 + sum(passes(code, part) for part in node.args)
    return 0


def _joined(one: str, other: str) -> str:
    """Return an operation's dtype: float64 beats float32, and a Python number adapts."""
    if "f8" in (one, other):
        return "f8"
    kinds = {one, other} - {"weak"}
    return kinds.pop() if len(kinds) == 1 else "" if kinds else "weak"


def _of_call(code: Code, node: ast.Call, depth: int) -> str:
    name, called = code.numpy(node), method(node)
    stated = keyword(node, "dtype") or _positional(name, called, node)
    if stated is not None:
        return dtype_named(stated).replace("other", "")
    if name in {"float32", "float64"}:
        return "f4" if name == "float32" else "f8"
    if creates_double(code, node) or (
        name in {"array", "arange"} and any(_floating([part]) for part in node.args)
    ):
        return "f8"
    if name in ELEMENTWISE and node.args:
        if name in {"sqrt", "exp", "log"} and is_scalar(code, node.args[0]):
            return "f8"
        kinds = [dtype(code, part, depth - 1) for part in node.args]
        return "f8" if "f8" in kinds else kinds[0] if len({*kinds} - {"weak"}) == 1 else ""
    if name in {"zeros_like", "ones_like", "empty_like", "full_like", "asarray", "array"}:
        return dtype(code, node.args[0], depth - 1) if node.args else ""
    if called in SAME_DTYPE and isinstance(node.func, ast.Attribute) and not name:
        return dtype(code, receiver(node), depth - 1)
    return ""


def _positional(name: str, called: str, node: ast.Call) -> ast.expr | None:
    """Return the dtype that a call passes by position."""
    index = {"zeros": 1, "ones": 1, "empty": 1, "asarray": 1, "array": 1, "full": 2}.get(name)
    if called == "astype":
        index = 0
    return node.args[index] if index is not None and len(node.args) > index else None


def _floating(nodes: list[ast.expr]) -> bool:
    """Whether literals hold a float, and nothing but numbers and names."""
    parts = [part for node in nodes for part in ast.walk(node)]
    allowed = (ast.List, ast.Tuple, ast.Constant, ast.Name, ast.Load, ast.UnaryOp, ast.USub)
    floats = any(isinstance(p, ast.Constant) and type(p.value) is float for p in parts)
    return floats and all(isinstance(part, allowed) for part in parts)


def _is_dimension(code: Code, node: ast.Name) -> bool:
    """Whether the function uses a name as a length in some shape."""
    return node.id in code.once(
        "dimensions", code.scope(node), lambda home: _dimensions(code, home)
    )


def _dimensions(code: Code, home: ast.AST) -> set[str]:
    lengths: set[str] = set()
    for node in ast.walk(home):
        if not isinstance(node, ast.Call):
            continue
        if code.numpy(node) in CREATORS or creates_double(code, node) or method(node) in DRAWN:
            shape = node.args[0] if node.args else keyword(node, "size")
            parts = shape.elts if isinstance(shape, ast.Tuple) else [shape]
            lengths |= {part.id for part in parts if isinstance(part, ast.Name)}
    return lengths
