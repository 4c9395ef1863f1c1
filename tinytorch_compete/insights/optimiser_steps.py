"""Recognise weight updates: by an optimiser, by hand, or by a function that does it by hand."""

from __future__ import annotations

import ast
import re

from tinytorch_compete.source.code import LOOPS, Code
from tinytorch_compete.source.syntax import dotted, method, names, receiver, within

OPTIMISER = re.compile(r"(^|[._])(opt|optim|optimi[sz]er)$")
# The method names of torch, Keras and optax.
APPLYING = {"step", "apply", "apply_gradients", "update"}


def takes_step(code: Code, node: ast.AST) -> bool:
    """Whether a call updates weights once."""
    if method(node) in APPLYING and OPTIMISER.search(dotted(receiver(node))):
        return True
    helper = code.helper(node)
    return helper is not None and any(_once(helper, part) for part in within(helper))


def descends(node: ast.AST) -> bool:
    """Whether a statement is ``w -= rate * slope`` or ``w = w - rate * slope``."""
    target, value = _decrease(node)
    return bool(dotted(target)) and bool(factors(value))


def factors(value: ast.expr | None) -> list[ast.expr]:
    """Return the factors of ``rate * slope / n``; an empty list without a product."""
    while isinstance(value, ast.BinOp) and isinstance(value.op, ast.Div):
        value = value.left
    if not isinstance(value, ast.BinOp) or not isinstance(value.op, ast.Mult):
        return []
    return [*(factors(value.left) or [value.left]), value.right]


def subtrahend(node: ast.AST) -> ast.expr | None:
    """Return what a statement subtracts from an array: ``y`` in ``x -= y`` and ``x = x - y``."""
    return _decrease(node)[1]


def _decrease(node: ast.AST) -> tuple[ast.expr | None, ast.expr | None]:
    """Return the target and the subtrahend of ``x -= y`` or ``x = x - y``."""
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Sub):
        return node.target, node.value
    value = node.value if isinstance(node, ast.Assign) else None
    if isinstance(node, ast.Assign) and isinstance(value, ast.BinOp):
        same = ast.unparse(node.targets[0]) == ast.unparse(value.left)
        if same and isinstance(value.op, ast.Sub):
            return node.targets[0], value.right
    return None, None


def _once(helper: ast.FunctionDef, node: ast.AST) -> bool:
    """Whether a statement updates each weight at most once per call, in no loop over batches."""
    if not descends(node):
        return False
    # the helper may be in another source, whose nodes have no parents in this tree
    loops = [up for up in within(helper) if isinstance(up, LOOPS) and node in ast.walk(up)]
    target, _ = _decrease(node)
    updated = names(target) if target else set()
    return all(isinstance(loop, ast.For) and updated & names(loop.target) for loop in loops)
