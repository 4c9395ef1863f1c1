"""Rewrite loops of known forms as operations on whole arrays."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Sequence

from tinytorch_compete.insights.dtype_inference import ELEMENTWISE
from tinytorch_compete.insights.rewriting import edits
from tinytorch_compete.insights.rewriting.edits import Edit
from tinytorch_compete.source.code import Code
from tinytorch_compete.source.syntax import counted, dotted, names, number

Lines = set[int]


def loop_matmul(code: Code, lines: Lines) -> Iterator[Edit]:
    """Write ``c += a @ b`` for three loops of products, ``c[...] = a @ b`` for two of dots."""
    for loop, counters, body in _nests(code, lines):
        text = _summed(counters, body) if len(counters) == 3 else _dotted(code, counters, body)
        text = text or _accumulated(counters, body)
        if text:
            yield edits.replace(code, loop, text)


def loop_over_pixels(code: Code, lines: Lines) -> Iterator[Edit]:
    """Apply the body of two loops over all positions to the whole array."""
    for loop, counters, body in _nests(code, lines):
        ranges = [node for node in ast.walk(loop) if isinstance(node, ast.For)]
        if len(counters) != 2 or not all(_is_whole(code, r) for r in ranges):
            continue
        whole = [_whole_statement(code, counters, statement) for statement in body]
        if all(whole):
            glue = "\n" + edits.margin(code, loop)
            yield edits.replace(code, loop, glue.join(line or "" for line in whole))


def loop_over_batch(code: Code, lines: Lines) -> Iterator[Edit]:
    """Write ``out[...] = f(x)`` for a loop of ``out[i] = f(x[i])`` with an elementwise f."""
    for loop, counters, body in _nests(code, lines):
        if len(counters) != 1 or len(body) != 1 or not _is_whole(code, loop):
            continue
        text = _whole_statement(code, counters, body[0])
        if text and _rows_only(counters[0], body[0]):
            yield edits.replace(code, loop, text)


def _nests(code: Code, lines: Lines) -> Iterator[tuple[ast.For, list[str], list[ast.stmt]]]:
    """Yield perfectly nested loops on the lines, their counters, and the innermost body."""
    for loop in ast.walk(code.tree):
        if not isinstance(loop, ast.For) or loop.lineno not in lines:
            continue
        counters: list[str] = []
        body: list[ast.stmt] = [loop]
        while len(body) == 1 and isinstance(body[0], ast.For) and not body[0].orelse:
            counters.append(dotted(body[0].target))
            body = body[0].body
        if all(counters):
            yield loop, counters, body


def _summed(counters: Sequence[str], body: list[ast.stmt]) -> str:
    """Rewrite ``c[i, j] += a[i, t] * b[t, j]`` in three loops; empty if it is anything else."""
    only = body[0] if len(body) == 1 else None
    if not isinstance(only, ast.AugAssign) or not isinstance(only.op, ast.Add):
        return ""
    target = _element(only.target)
    product = _product(only.value)
    if target is None or product is None or not _fits(target[1], *product):
        return ""
    return f"{target[0]} += {product[0][0]} @ {product[1][0]}"


def _accumulated(counters: Sequence[str], body: list[ast.stmt]) -> str:
    """Rewrite ``acc = 0``, a loop of ``acc += a[i, t] * b[t, j]``, and ``c[i, j] = acc``."""
    if len(counters) != 2 or len(body) != 3:
        return ""
    first, loop, last = body
    if not isinstance(first, ast.Assign) or number(first.value) != 0:
        return ""
    if not isinstance(loop, ast.For) or not isinstance(last, ast.Assign) or len(loop.body) != 1:
        return ""
    add, name = loop.body[0], dotted(first.targets[0])
    if not isinstance(add, ast.AugAssign) or not isinstance(add.op, ast.Add):
        return ""
    target, product = _element(last.targets[0]), _product(add.value)
    stored = dotted(add.target) == name == dotted(last.value)
    if not stored or target is None or product is None or not _fits(target[1], *product):
        return ""
    return f"{target[0]}[...] = {product[0][0]} @ {product[1][0]}"


def _dotted(code: Code, counters: Sequence[str], body: list[ast.stmt]) -> str:
    """Rewrite ``c[i, j] = np.dot(a[i, :], b[:, j]) + d[j]`` in two loops."""
    only = body[0] if len(body) == 1 and len(counters) == 2 else None
    if not isinstance(only, ast.Assign) or (target := _element(only.targets[0])) is None:
        return ""
    if target[1] != list(counters):
        return ""
    value = _Dots(code, *counters).visit(copy.deepcopy(only.value))
    remaining = names(value)
    return "" if remaining & {*counters} else f"{target[0]}[...] = {ast.unparse(value)}"


class _Dots(ast.NodeTransformer):
    """Turn dot products of a row and a column into the product of their matrices."""

    def __init__(self, code: Code, row: str, column: str) -> None:
        self.code, self.row, self.column = code, row, column

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if self.code.numpy(node) == "dot" and len(node.args) == 2:
            a, b = (ast.unparse(arg).replace(" ", "") for arg in node.args)
            for ending in (f"[{self.row},:]", f"[{self.row}]"):
                if a.endswith(ending) and b.endswith(f"[:,{self.column}]"):
                    left, right = a.removesuffix(ending), b.removesuffix(f"[:,{self.column}]")
                    return ast.parse(f"{left} @ {right}", mode="eval").body
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        return node.value if dotted(node.slice) == self.column else self.generic_visit(node)


def _element(node: ast.expr) -> tuple[str, list[str]] | None:
    """Return the array and the index names of ``c[i, j]`` or ``c[i][j]``."""
    indices: list[str] = []
    while isinstance(node, ast.Subscript):
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        indices = [dotted(part) for part in parts] + indices
        node = node.value
    return (dotted(node), indices) if dotted(node) and indices and all(indices) else None


def _product(node: ast.expr) -> tuple[tuple[str, list[str]], tuple[str, list[str]]] | None:
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Mult):
        return None
    a, b = _element(node.left), _element(node.right)
    return (a, b) if a and b else None


def _fits(target: list[str], a: tuple[str, list[str]], b: tuple[str, list[str]]) -> bool:
    """Whether the indices are those of a matrix product: (i, j) from (i, t) and (t, j)."""
    if len(target) != 2 or len(a[1]) != 2 or len(b[1]) != 2:
        return False
    return a[1][0] == target[0] and b[1][1] == target[1] and a[1][1] == b[1][0]


def _is_whole(code: Code, loop: ast.For) -> bool:
    """Whether a loop runs over a whole axis: ``range(h)`` for a length h."""
    arguments = counted(loop.iter)
    return len(arguments) == 1 and code.axis(arguments[0]) is not None


def _whole_statement(code: Code, counters: Sequence[str], statement: ast.stmt) -> str | None:
    """Rewrite a statement on one element for the whole array; None if that may be wrong."""
    if isinstance(statement, ast.If):
        return _choice(code, counters, statement)
    if isinstance(statement, ast.AugAssign):
        return _augmented(code, counters, statement)
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    return _assigned(code, counters, statement)


def _augmented(code: Code, counters: Sequence[str], statement: ast.AugAssign) -> str | None:
    """Rewrite ``a[i] += x[i]`` for the whole array."""
    target = _whole(code, counters, statement.target)
    value = _whole(code, counters, statement.value)
    symbol = ast.unparse(statement).split("=")[0].split()[-1]
    return f"{target} {symbol}= {value}" if target and value else None


def _assigned(code: Code, counters: Sequence[str], statement: ast.Assign) -> str | None:
    """Rewrite an assignment to an element, a name or a tuple of names for the whole array."""
    target, value = statement.targets[0], _whole(code, counters, statement.value)
    if value is None:
        return None
    if isinstance(target, ast.Tuple):
        parts = ", ".join(ast.unparse(item) for item in target.elts)
        indexed = isinstance(statement.value, ast.Subscript)
        return f"{parts} = np.moveaxis({value}, -1, 0)" if indexed else None
    if isinstance(target, ast.Name):
        return f"{target.id} = {value}"
    array = _whole(code, counters, target)
    return f"{array}[...] = {value}" if array else None


def _choice(code: Code, counters: Sequence[str], statement: ast.If) -> str | None:
    """Rewrite ``if`` and ``else`` that write the same element as ``np.where``."""
    if len(statement.body) != 1 or len(statement.orelse) != 1:
        return None
    one, other = statement.body[0], statement.orelse[0]
    if not isinstance(one, ast.Assign) or not isinstance(other, ast.Assign):
        return None
    if ast.dump(one.targets[0]) != ast.dump(other.targets[0]):
        return None
    target = _whole(code, counters, one.targets[0])
    parts = [_whole(code, counters, part) for part in (statement.test, one.value, other.value)]
    if not target or None in parts or isinstance(statement.test, ast.BoolOp):
        return None
    return f"{target}[...] = np.where({', '.join(part or '' for part in parts)})"


def _whole(code: Code, counters: Sequence[str], node: ast.expr) -> str | None:
    """Rewrite an expression on one element for all; None if it uses a counter otherwise."""
    for part in ast.walk(node):
        if isinstance(part, ast.Call) and code.numpy(part) not in ELEMENTWISE:
            return None
        if isinstance(part, (ast.BoolOp, ast.IfExp, ast.Lambda, ast.Attribute)) and not dotted(
            part
        ):
            return None
    plain = _Places(counters).visit(copy.deepcopy(node))
    remaining = names(plain)
    return None if remaining & {*counters} else ast.unparse(plain)


class _Places(ast.NodeTransformer):
    """Turn ``a[i, j]`` and ``a[i][j]`` into ``a``."""

    def __init__(self, counters: Sequence[str]) -> None:
        self.counters = list(counters)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        element = _element(node)
        if element and element[1] == self.counters:
            return ast.parse(element[0], mode="eval").body
        return self.generic_visit(node)


def _rows_only(counter: str, statement: ast.stmt) -> bool:
    """Whether products have the row on their left: only then can all rows share one product."""
    for node in ast.walk(statement):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            left = names(node.left)
            right = names(node.right)
            if counter not in left or counter in right:
                return False
    return isinstance(statement, ast.Assign)
