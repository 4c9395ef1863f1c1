"""Detect tensors and gradients that outlive their step."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tinytorch_compete.insights.finding import Finding, RunContext
from tinytorch_compete.insights.optimiser_steps import descends
from tinytorch_compete.source.code import Code
from tinytorch_compete.source.syntax import (
    assignments,
    dotted,
    inside,
    loads,
    method,
    number,
    receiver,
    shown,
    within,
)

MODELS = re.compile(r"(^|\.)_?(model|net|network|classifier|cnn|mlp|criterion|loss_fn|loss_of)$")


def graph_alive(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find tensors kept from each step, along with everything they were computed from."""
    for loop in ast.walk(code.tree):
        nodes = inside(loop.body) if isinstance(loop, (ast.For, ast.While)) else (loop,)
        candidates = tensors(loop) if isinstance(loop, (ast.For, ast.While)) else set()
        for node in nodes:
            name = _listed(code, node) if node is loop else kept_tensor(node, candidates)
            if name:
                yield Finding(
                    (node,),
                    f"What does `{name}` hold besides its number?",
                    "It is a tensor that remembers how it was computed: it refers to the outputs "
                    "of all layers. Keeping it keeps them, so memory grows with every step.",
                    "Keep only the number, with `.item()`, or the array, with `.data`.",
                )


def gradients_kept(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find optimiser steps on gradients that are never reset to zero."""
    if _steps_clear(code):
        return
    for loop in ast.walk(code.tree):
        if not isinstance(loop, (ast.For, ast.While)):
            continue
        own = [n for n in inside(loop.body) if code.loops(n) and code.loops(n)[0] is loop]
        backward = next((n for n in own if method(n) == "backward"), None)
        steps = any(method(n) == "step" or _follows(code, n) for n in own)
        if backward is not None and steps and not _clears(code, loop.body):
            yield Finding(
                (backward,),
                "What does `.grad` hold before this line adds to it?",
                "`backward` adds to the gradients already there, and nothing in the loop clears "
                "them. Each step therefore follows the sum of the gradients of all steps so far, "
                "and overshoots more and more.",
                "Call the optimiser's `zero_grad()` once per step, before `backward`.",
                (loop,),
            )


def kept_tensor(node: ast.AST, tensors: set[str]) -> str:
    """Return the tensor that a statement keeps beyond the step: appended, or added to a total."""
    if method(node) == "append" and isinstance(node, ast.Call) and len(node.args) == 1:
        parts = [node.args[0], *_parts(node.args[0])]
        return next((name for part in parts if (name := _bare(part, tensors))), "")
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
        return (
            _bare(node.value, tensors) if isinstance(node.target, (ast.Name, ast.Attribute)) else ""
        )
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp):
        total = dotted(node.targets[0])
        if isinstance(node.value.op, ast.Add) and dotted(node.value.left) == total:
            return _bare(node.value.right, tensors) or _fresh_loss(node.value.right)
    return ""


def _listed(code: Code, node: ast.AST) -> str:
    """Return the model call whose results a list keeps whole, where only ``.data`` is read."""
    if not isinstance(node, ast.ListComp) or not _from_model(node.elt):
        return ""
    reads = (n for n in code.below(code.scope(node)) if isinstance(n, ast.Attribute))
    assigned = isinstance(code.parents[node], ast.Assign)
    return shown(node.elt) if assigned and any(n.attr == "data" for n in reads) else ""


def _parts(node: ast.expr) -> list[ast.expr]:
    """Return the elements of a tuple or list display, or the values of a dictionary display."""
    if isinstance(node, (ast.Tuple, ast.List)):
        return node.elts
    return node.values if isinstance(node, ast.Dict) else []


def _fresh_loss(node: ast.expr) -> str:
    """Return a loss added in the expression that computes it: ``total + loss_of(model(x), y)``."""
    if not isinstance(node, ast.Call) or not MODELS.search(dotted(node.func)):
        return ""
    return shown(node) if any(_from_model(arg) for arg in node.args) else ""


def _bare(node: ast.expr, tensors: set[str]) -> str:
    if isinstance(node, ast.BinOp):
        return _bare(node.left, tensors)
    return dotted(node) if dotted(node) in tensors else ""


def tensors(loop: ast.For | ast.While) -> set[str]:
    """Return names of tensors with a history: model results, and the roots of ``backward``."""
    nodes = list(inside(loop.body))
    starts = {dotted(receiver(n)) for n in nodes if method(n) == "backward"}
    if not starts - {""}:
        return set()
    bound = {name: value for node in nodes for name, value in assignments(node)}
    results = {name for name, value in bound.items() if _from_model(value)}
    needed = {path for start in starts if start in bound for path in loads(bound[start])}
    return (starts & bound.keys()) | (results & needed)


def _from_model(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and bool(MODELS.search(dotted(value.func)))


def _clears(code: Code, body: list[ast.stmt], depth: int = 2) -> bool:
    """Whether a loop clears gradients, itself or in one of the student's functions it calls."""
    for node in inside(body):
        if method(node) == "zero_grad" or dotted(getattr(node, "func", None)) == "zero_grad":
            return True
        if isinstance(node, ast.Assign) and any(_is_grad(target) for target in node.targets):
            return True
        if isinstance(node, ast.AugAssign) and _is_grad(node.target) and number(node.value) == 0:
            return True
        if (
            isinstance(node, ast.Call)
            and method(node) == "fill"
            and "grad" in ast.unparse(node.func)
        ):
            return True
        callee = dotted(getattr(node, "func", None)).split(".")[-1]
        helpers = code.project.functions.get(callee, ()) if callee != "backward" and depth else ()
        if any(_clears(code, helper.body, depth - 1) for helper in helpers):
            return True
    return False


def _follows(code: Code, node: ast.AST) -> bool:
    """Whether weights are moved along ``.grad`` by hand, here or in a helper function."""
    helper = code.helper(node)
    nodes = within(helper) if helper else within(node) if isinstance(node, ast.For) else (node,)
    return any(descends(n) and ".grad" in ast.unparse(n) for n in nodes)


def _steps_clear(code: Code) -> bool:
    """Whether the student's own optimiser or backward pass clears or replaces gradients."""
    steps = code.project.functions.get("step", ())
    passes = code.project.functions.get("backward", ())
    stores = (n for f in passes for n in within(f) if isinstance(n, ast.Assign))
    replaced = any(_is_grad(target) for store in stores for target in store.targets)
    return replaced or any(_clears(code, step.body, 0) for step in steps)


def _is_grad(target: ast.expr) -> bool:
    while isinstance(target, ast.Subscript):
        target = target.value
    return isinstance(target, ast.Attribute) and "grad" in target.attr.lower()
