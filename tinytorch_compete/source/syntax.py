"""Query Python's syntax tree: names, calls, loop bodies, reads and writes."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
MUTATORS = {
    "append",
    "extend",
    "insert",
    "sort",
    "fill",
    "shuffle",
    "update",
    "pop",
    "clear",
    "put",
}


def dotted(node: ast.AST | None) -> str:
    """Return ``a.b.c`` for a name with attributes, else an empty string."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed([*parts, node.id])) if isinstance(node, ast.Name) else ""


def method(node: ast.AST | None) -> str:
    """Return the name of the method called: ``step`` for ``self.optim.step()``; else empty."""
    call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    return node.func.attr if call else ""  # type: ignore[union-attr]


def receiver(node: ast.AST | None) -> ast.expr | None:
    """Return the object whose method is called: ``self.optim`` for ``self.optim.step()``."""
    call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    return node.func.value if call else None  # type: ignore[union-attr]


def arguments(node: ast.AST | None) -> list[ast.expr]:
    """Return the positional arguments of a call; none for anything else."""
    return node.args if isinstance(node, ast.Call) else []


def counted(node: ast.AST | None) -> list[ast.expr]:
    """Return the arguments of ``range(...)``; none for anything else."""
    ranged = isinstance(node, ast.Call) and dotted(node.func) == "range"
    return node.args if ranged else []  # type: ignore[union-attr]


def line(node: ast.AST | None) -> int:
    """Return the line on which a node begins, or 0 without a node."""
    return getattr(node, "lineno", 0)


def last_line(node: ast.AST) -> int:
    """Return the line on which a node ends."""
    return getattr(node, "end_lineno", None) or line(node)


def within(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes below a node, without the bodies of functions and classes defined there."""
    todo = list(reversed(list(ast.iter_child_nodes(node))))
    while todo:
        child = todo.pop()
        yield child
        if not isinstance(child, (*FUNCTIONS, ast.ClassDef)):
            todo += reversed(list(ast.iter_child_nodes(child)))


def inside(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes and all nodes below them, with the exceptions of ``within``."""
    for node in nodes:
        yield node
        yield from within(node)


def assignments(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the dotted names that a node assigns, each with its value; tuples pairwise."""
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        yield dotted(node.target), node.value
    if isinstance(node, ast.NamedExpr):
        yield dotted(node.target), node.value
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _pairs(target, node.value)


def changed(nodes: Iterable[ast.AST]) -> set[str]:
    """Return dotted names that are bound, written to, or passed to a call that writes to them."""
    paths: set[str] = set()
    for node in inside(nodes):
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            if isinstance(node.ctx, (ast.Store, ast.Del)):
                paths.add(root(node))
        elif isinstance(node, ast.keyword) and node.arg == "out":
            paths.add(root(node.value))
        elif isinstance(node, ast.Call) and method(node) in MUTATORS:
            paths |= {root(receiver(node)), *map(root, node.args)}
    return paths - {""}


def root(node: ast.AST | None) -> str:
    """Return the dotted name under a chain of subscripts: ``self.a`` for ``self.a[0][1:]``."""
    while isinstance(node, (ast.Subscript, ast.Starred)):
        node = node.value
    return dotted(node)


def loads(node: ast.AST | None) -> set[str]:
    """Return the names and dotted names in an expression, each with its shorter prefixes."""
    if node is None:
        return set()
    paths = (dotted(n) for n in (node, *within(node)) if isinstance(n, (ast.Name, ast.Attribute)))
    return {path for path in paths if path}


def names(*nodes: ast.AST) -> set[str]:
    """Return the plain names in the nodes, whether read or written."""
    return {part.id for node in nodes for part in ast.walk(node) if isinstance(part, ast.Name)}


def number(node: ast.AST | None) -> float | None:
    """Return the value of a literal number, with its sign."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = number(node.operand)
        return None if inner is None else -inner
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return float(node.value)  # type: ignore[arg-type]
    return None


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Return the value of a keyword argument."""
    return next((k.value for k in call.keywords if k.arg == name), None)


def shown(node: ast.AST) -> str:
    """Return an expression's source, cut to 40 characters, to quote in a sentence."""
    text = ast.unparse(node)
    return text if len(text) <= 40 else text[:37] + "..."


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        if len(target.elts) == len(value.elts):
            for one, other in zip(target.elts, value.elts, strict=True):
                yield from _pairs(one, other)
    elif path := dotted(target):
        yield path, value
