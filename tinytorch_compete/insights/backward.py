"""The walk back through the graph, and what is stored for it."""

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


def revisiting_backward(code: Code, facts: RunContext) -> Iterator[Finding]:
    """A walk of the graph that goes to a node once for each way that leads there."""
    if "grad" not in code.text:
        return  # a tree of something else, in which each node has one parent
    for function in ast.walk(code.tree):
        if not isinstance(function, ast.FunctionDef) or _remembers(function):
            continue
        goes = (n for n in within(function) if _goes_on(code, n, function) or _queues(code, n))
        call = next(goes, None)
        if call is not None:
            yield Finding(
                (call,),
                f"How often does `{function.name}` visit a tensor that is used twice?",
                f"`{function.name}` follows every path through the graph. A value that is used "
                "twice is visited twice, and so is all that lies behind it: after n such places "
                "that makes 2 to the power of n visits.",
                "List the nodes once in topological order, with a set of those already seen, and "
                "go through that list backwards.",
                (function,),
            )


def unread_cache(code: Code, facts: RunContext) -> Iterator[Finding]:
    """Something stored in a forward pass that no line reads."""
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
                    "notebook reads it. It stays alive until the next forward pass, or for good "
                    "if it is a list.",
                    "Leave the line out; keep for the backward pass only what it uses.",
                )


def _remembers(function: ast.FunctionDef) -> bool:
    """Whether a function looks up what it has seen."""
    for node in ast.walk(function):
        if isinstance(node, ast.Compare) and any(
            isinstance(op, (ast.In, ast.NotIn)) for op in node.ops
        ):
            return True
        test = node.test if isinstance(node, (ast.If, ast.While)) else None
        if test is not None and SEEN.search(ast.unparse(test)):
            return True
    return False


def _goes_on(code: Code, node: ast.AST, function: ast.FunctionDef) -> bool:
    """Whether a call repeats the function for the nodes that this one was made from."""
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
    """Whether a loop that works off a list puts all that a node was made from on that list."""
    waiting = dotted(receiver(node)) if method(node) in {"append", "extend"} else ""
    loops = code.loops(node)
    works_off = any(isinstance(up, ast.While) and waiting in loads(up.test) for up in loops)
    if not waiting or not works_off or code.guarded(node, loops[-1]):
        return False
    origins = [up.iter for up in loops if isinstance(up, ast.For)] + arguments(node)
    return any(NODES.match(p.split(".")[-1]) for origin in origins for p in loads(origin))


def _stored(node: ast.AST) -> str:
    """The attribute of self that a statement fills: ``self.x = ...`` or ``self.xs.append(x)``."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], (ast.Attribute, ast.Subscript)):
        path = root(node.targets[0])
    elif method(node) == "append" and isinstance(node, ast.Call):
        path = dotted(receiver(node))
    else:
        return ""
    return path.removeprefix("self.") if path.startswith("self.") and path.count(".") == 1 else ""


def _is_read(code: Code, name: str) -> bool:
    """Whether an attribute is loaded anywhere but to put something into it."""
    filled = 0
    for node in ast.walk(code.tree):
        if method(node) == "append":
            filled += dotted(receiver(node)).endswith(f".{name}")
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            filled += root(node).endswith(f".{name}")
    return code.project.reads.get(name, 0) > filled


def _is_small(node: ast.AST) -> bool:
    """Whether what is stored is no array: a number, a shape, a flag."""
    value = node.value if isinstance(node, ast.Assign) else None
    if isinstance(value, (ast.Constant, ast.Compare)):
        return isinstance(value, ast.Constant)
    return value is not None and ast.unparse(value).endswith(".shape")
