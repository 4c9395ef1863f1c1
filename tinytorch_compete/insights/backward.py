"""Detect exponential backward passes, and arrays stored for them that no line reads."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tinytorch_compete.insights.finding import Finding, RunContext
from tinytorch_compete.source.code import Code
from tinytorch_compete.source.syntax import arguments, dotted, loads, method, receiver, root, within

NODES = re.compile(
    r"^_?(parents?|prev|previous|child|children|inputs|creators?|deps|operands|sources"
    r"|left|right|lhs|rhs)$"
)
SEEN = re.compile(r"seen|visited|done|order|topo|count|pending", re.I)
FORWARD = {"forward", "__call__"}


def revisiting_backward(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find a traversal of the graph that visits a node once for every path that leads to it."""
    if "grad" not in code.text:
        return  # some other tree, in which each node has one parent
    for function in ast.walk(code.tree):
        if not isinstance(function, ast.FunctionDef) or _remembers(function):
            continue
        goes = (n for n in within(function) if _recurses(code, n, function) or _queues(code, n))
        call = next(goes, None)
        if call is not None:
            yield Finding(
                (call,),
                f"How often does `{function.name}` visit a tensor that is used twice?",
                f"`{function.name}` follows every path through the graph. A value that is used "
                "twice is visited twice, and so is everything behind it: n such values in a row "
                "make 2 to the power of n visits.",
                "List each node once in topological order, using a set of visited nodes, and "
                "walk that list backwards.",
                (function,),
            )


def unread_cache(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find an array that a forward pass stores and no line reads."""
    for function in ast.walk(code.tree):
        if not isinstance(function, ast.FunctionDef) or function.name not in FORWARD:
            continue
        for node in within(function):
            name = _stored(node)
            if name and not _is_read(code, name) and not _is_small(node):
                yield Finding(
                    (node,),
                    f"Where is `self.{name}` read?",
                    f"The forward pass stores an array in `self.{name}`, and no line of the "
                    "notebook reads it. It stays alive until the next forward pass, or forever "
                    "if it is in a list.",
                    "Delete the line; store only the arrays that the backward pass uses.",
                )


def _remembers(function: ast.FunctionDef) -> bool:
    """Whether a function looks up which nodes it has visited."""
    for node in ast.walk(function):
        if isinstance(node, ast.Compare) and any(
            isinstance(op, (ast.In, ast.NotIn)) for op in node.ops
        ):
            return True
        test = node.test if isinstance(node, (ast.If, ast.While)) else None
        if test is not None and SEEN.search(ast.unparse(test)):
            return True
    return False


def _recurses(code: Code, node: ast.AST, function: ast.FunctionDef) -> bool:
    """Whether a call repeats the function for the nodes that this node was computed from."""
    if not isinstance(node, ast.Call):
        return False
    if dotted(node.func) != function.name and method(node) != function.name:
        return False
    if method(node) and not isinstance(receiver(node), ast.Name):
        owner = root(receiver(node))
        return any(NODES.match(part) for part in owner.split("."))
    return any(
        isinstance(loop, ast.For) and any(NODES.match(p.split(".")[-1]) for p in loads(loop.iter))
        for loop in code.loops(node)
    )


def _queues(code: Code, node: ast.AST) -> bool:
    """Whether a loop that empties a work list adds all parents of a node to that list."""
    queue = dotted(receiver(node)) if method(node) in {"append", "extend"} else ""
    loops = code.loops(node)
    drains = any(isinstance(up, ast.While) and queue in loads(up.test) for up in loops)
    if not queue or not drains or code.guarded(node, loops[-1]):
        return False
    origins = [up.iter for up in loops if isinstance(up, ast.For)] + arguments(node)
    return any(NODES.match(p.split(".")[-1]) for origin in origins for p in loads(origin))


def _stored(node: ast.AST) -> str:
    """Return the attribute that ``self.x = ...`` or ``self.xs.append(x)`` stores in, or empty."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], (ast.Attribute, ast.Subscript)):
        path = root(node.targets[0])
    elif method(node) == "append" and isinstance(node, ast.Call):
        path = dotted(receiver(node))
    else:
        return ""
    return path.removeprefix("self.") if path.startswith("self.") and path.count(".") == 1 else ""


def _is_read(code: Code, name: str) -> bool:
    """Whether an attribute is loaded anywhere other than to store something in it."""
    stores = 0
    for node in ast.walk(code.tree):
        if method(node) == "append":
            stores += dotted(receiver(node)).endswith(f".{name}")
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            stores += root(node).endswith(f".{name}")
    return code.project.reads.get(name, 0) > stores


def _is_small(node: ast.AST) -> bool:
    """Whether the stored value is not an array but a number, a shape or a flag."""
    value = node.value if isinstance(node, ast.Assign) else None
    if isinstance(value, (ast.Constant, ast.Compare)):
        return isinstance(value, ast.Constant)
    return value is not None and ast.unparse(value).endswith(".shape")
