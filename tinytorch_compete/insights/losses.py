"""Detect softmax that overflows, and one-hot matrices where an index would do."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator

from tinytorch_compete.insights.finding import Finding, RunContext
from tinytorch_compete.source.code import Code
from tinytorch_compete.source.syntax import (
    arguments,
    changed,
    dotted,
    keyword,
    loads,
    method,
    number,
    receiver,
    root,
    shown,
)

HELPER = re.compile(r"^_?(\w+_)?(one_?hot(_encoded?)?|to_categorical)$", re.I)
MAXIMA = re.compile(r"(^|[._])(max|amax|nanmax|maximum)$")


def exp_shift(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find a softmax whose exponents aren't shifted by their maximum."""
    for node in ast.walk(code.tree):
        if isinstance(node, ast.Call) and unshifted(code, node):
            inner = shown(node.args[0])
            yield Finding(
                (node,),
                f"What is `{shown(node)}` for a score of 100?",
                f"float32 can't hold `exp` of more than 88. One large score in `{inner}` makes the "
                "sum infinite and the result NaN, and from then on every weight is NaN.",
                f"Subtract the row's maximum: `{inner} - {inner}.max(axis=1, keepdims=True)`. "
                "The quotient stays the same, and no exponent is above 0.",
            )


def one_hot(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find a matrix of zeros and ones whose only use is to pick one element per row."""
    for node in ast.walk(code.tree):
        matrix = one_hot_matrix(code, node)
        if matrix is None:
            continue
        name, labels = matrix
        places = [use for use in uses(code, node, name) if picks(code, use)]
        if places:
            yield Finding(
                (code.statement(node), *places),
                f"How many of the numbers in `{name or shown(node)}` are zero?",
                "The matrix is as large as the scores, and all numbers but one in each row are 0. "
                "Multiplying and adding them all finds one element per row, which an index finds "
                "directly.",
                f"Index instead: `scores[np.arange(n), {labels}]`, and subtract 1 at the same "
                "places for the gradient.",
            )


def unshifted(code: Code, node: ast.Call) -> bool:
    """Whether ``np.exp`` of raw scores is divided by its sum, or the sum's logarithm is taken."""
    if code.numpy(node) != "exp" or len(node.args) != 1:
        return False
    return not _is_bounded(code, node.args[0]) and _is_normalised(code, node)


def one_hot_matrix(code: Code, node: ast.AST) -> tuple[str, str] | None:
    """Return the name and the labels of the one-hot matrix that a node creates, if it does."""
    if isinstance(node, ast.Subscript) and code.numpy(node.value) in {"eye", "identity"}:
        plain = isinstance(node.slice, (ast.Name, ast.Attribute))
        return (_target(code.statement(node)), ast.unparse(node.slice)) if plain else None
    if isinstance(node, ast.Call) and HELPER.match(dotted(node.func).split(".")[-1]) and node.args:
        return _target(code.statement(node)), ast.unparse(node.args[0])
    if code.numpy(node) == "put_along_axis" and len(arguments(node)) > 2:
        return _put(code, *arguments(node)[:3])
    if isinstance(node, ast.Compare) and _is_arange(code, node.comparators[0]):
        columns = isinstance(node.ops[0], ast.Eq) and isinstance(node.left, ast.Subscript)
        name = _target(code.statement(node))
        return (name, ast.unparse(_unindexed(node.left))) if columns and name else None
    if isinstance(node, ast.Assign) and number(node.value) == 1:
        target_node = node.targets[0]
        if isinstance(target_node, ast.Subscript) and isinstance(target_node.slice, ast.Tuple):
            rows, labels = [*target_node.slice.elts, None, None][:2]
            zeros = code.numpy(code.latest(target_node.value)).startswith("zeros")
            if zeros and labels is not None and _is_arange(code, rows):
                return root(target_node), ast.unparse(labels)
    return None


def _put(code: Code, matrix: ast.expr, labels: ast.expr, value: ast.expr) -> tuple[str, str] | None:
    zeros = code.numpy(code.latest(matrix)).startswith("zeros")
    return (
        (dotted(matrix), ast.unparse(_unindexed(labels))) if zeros and number(value) == 1 else None
    )


def _unindexed(node: ast.expr) -> ast.expr:
    """Return the array under a subscript such as ``labels[:, None]``."""
    return node.value if isinstance(node, ast.Subscript) else node


def _is_arange(code: Code, node: ast.AST | None) -> bool:
    value = code.latest(node) if node is not None and dotted(node) else node
    return code.numpy(value) == "arange"


def _target(statement: ast.stmt) -> str:
    return dotted(statement.targets[0]) if isinstance(statement, ast.Assign) else ""


def uses(code: Code, node: ast.AST, name: str) -> list[ast.AST]:
    """Return the places where the matrix is read, in its function or its class."""
    if not name:
        return [node]
    home = code.owner(node) if "." in name else code.scope(node)
    nodes = ast.walk(home) if "." in name else code.below(home)
    return [
        n
        for n in nodes
        if isinstance(n, (ast.Name, ast.Attribute))
        and dotted(n) == name
        and isinstance(n.ctx, ast.Load)
        and not isinstance(code.parents.get(n), ast.Subscript)
    ]


def picks(code: Code, use: ast.AST) -> bool:
    """Whether a use multiplies by the matrix and sums, which picks one element per row."""
    up = code.parents.get(use)
    if isinstance(up, ast.UnaryOp):
        up = code.parents.get(up)
    if isinstance(up, ast.BinOp) and isinstance(up.op, ast.Mult):
        return any(
            method(above) in {"sum", "mean"} or code.numpy(above) in {"sum", "mean"}
            for above in code.above(up)
        )
    return False


def _is_bounded(code: Code, node: ast.expr, depth: int = 3) -> bool:
    """Whether an exponent can't be large: it has its maximum subtracted, or is negative."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return True
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
        return (number(node.left) or 0) < 0 or _is_bounded(code, node.left, depth)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        return _is_maximum(code, node.right) or "log" in ast.unparse(node.right)
    if depth and dotted(node):
        if _is_shifted_in_place(code, node):
            return True
        value = code.latest(node)
        return value is not None and _is_bounded(code, value, depth - 1)
    return False


def _is_shifted_in_place(code: Code, node: ast.expr) -> bool:
    name = dotted(node)
    for step in code.below(code.scope(node)):
        target: ast.expr | None = None
        amount: ast.expr | None = None
        if isinstance(step, ast.AugAssign) and isinstance(step.op, ast.Sub):
            target, amount = step.target, step.value
        elif isinstance(step, ast.Call) and code.numpy(step) == "subtract":
            target, amount = keyword(step, "out"), step.args[-1] if step.args else None
        if amount is not None and dotted(target) == name and _is_maximum(code, amount):
            return True
    return False


def _is_maximum(code: Code, node: ast.expr, depth: int = 4) -> bool:
    if isinstance(node, ast.Subscript):
        return _is_maximum(code, node.value, depth)
    if dotted(node):
        value = code.latest(node) if depth else None
        return value is not None and _is_maximum(code, value, depth - 1)
    if not isinstance(node, ast.Call):
        return False
    if MAXIMA.search(code.callee(node)) or method(node) == "max":
        return True
    return method(node) == "reshape" and _is_maximum(code, receiver(node) or node.func)


def _is_normalised(code: Code, node: ast.Call) -> bool:
    """Whether the exponentials are divided by their sum, or the logarithm of their sum is taken."""
    for up in code.above(node):
        if code.numpy(up) == "log":
            return any("sum" in (code.numpy(n), method(n)) for n in ast.walk(up))
        if isinstance(up, ast.BinOp) and isinstance(up.op, ast.Div) and _sums(code, up.right, ""):
            return True
        if isinstance(up, ast.stmt):
            out = dotted(keyword(node, "out"))
            name = out if isinstance(up, ast.Expr) and up.value is node else _target(up)
            if not name or not (out or _assigns(up, node)):
                return False
            divided = functools.partial(_divided, code, name)
            return code.once(f"divided {name}", code.scope(node), divided)
    return False


def _assigns(statement: ast.stmt, node: ast.AST) -> bool:
    """Whether a statement assigns exactly that expression."""
    return isinstance(statement, ast.Assign) and statement.value is node


def _divided(code: Code, name: str, home: ast.AST) -> bool:
    """Whether the function divides the named array by its own sum."""
    sums = {name}
    for other in code.below(home):
        if isinstance(other, ast.Assign) and _sums(code, other.value, name):
            sums |= changed([other])
    for other in code.below(home):
        bottom = _divisor(code, other)
        if bottom is not None and (_sums(code, bottom, name) or loads(bottom) & (sums - {name})):
            return True
        if code.numpy(other) == "log" and _sums(code, other, name):
            return True
    return False


def _divisor(code: Code, node: ast.AST) -> ast.expr | None:
    """Return the divisor in ``x / y``, ``x /= y`` or ``np.divide(x, y)``."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return node.right
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Div):
        return node.value
    divides = code.numpy(node) == "divide" and len(arguments(node)) == 2
    return arguments(node)[1] if divides else None


def _sums(code: Code, node: ast.AST, name: str) -> bool:
    """Whether an expression sums an array; with a name, only that array counts."""
    for part in ast.walk(node):
        if "sum" in (code.numpy(part), method(part)) and (not name or name in loads(part)):
            return True
    return False
