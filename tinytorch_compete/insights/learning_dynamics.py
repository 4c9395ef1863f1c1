"""Detect networks that learn nothing: unsuitable learning rates and dead units."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tinytorch_compete.insights import outputs
from tinytorch_compete.insights.finding import Finding, RunContext
from tinytorch_compete.insights.optimiser_steps import descends, factors, subtrahend
from tinytorch_compete.source.code import Code
from tinytorch_compete.source.syntax import (
    arguments,
    assignments,
    dotted,
    keyword,
    number,
    shown,
    within,
)

OPTIMISERS = {"SGD", "Adam", "AdamW", "RMSprop", "Momentum", "Adagrad"}
ADAPTIVE = OPTIMISERS - {"SGD", "Momentum"}
# Adam moves each weight by about lr per step, and weights are a few tenths; SGD works at 1 on some
# small networks, but hardly above. Below 1e-6 a float32 weight of 0.1 hardly changes.
TOO_FAST = {"adaptive": 0.1, "plain": 5.0}
TOO_SLOW = 1e-6
SYMPTOMS = {
    "nan": "The printed loss became NaN: the steps overshot until it was no longer a number.",
    "rising": "The printed loss rises: each step jumps over the valley.",
    "flat": "The printed loss stays the same from start to end.",
    "fast": "At this rate a step moves the weights by more than their own size.",
    "slow": "At this rate a step changes a float32 weight in its last digits, or not at all.",
}
BIAS = re.compile(r"^(b|bias|biases|b\d)$")
WEIGHT = re.compile(r"^(W|w|weights?|W\d)$")


def learning_rate(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find a learning rate at which the loss explodes or stands still."""
    course = outputs.course(context.outputs)
    for call in ast.walk(code.tree):
        if not isinstance(call, ast.Call):
            continue
        if dotted(call.func).split(".")[-1] not in OPTIMISERS:
            rate = _given_rate(code, call)
            if course and rate is not None:
                yield _rate_finding(code, call, rate, course, True)
            continue
        stated = keyword(call, "lr") or (call.args[1] if len(call.args) > 1 else None)
        if stated is None:
            continue
        value = _constant(code, stated)
        symptom = course or _by_size(dotted(call.func).split(".")[-1], value)
        if symptom:
            yield _rate_finding(code, call, stated, symptom, bool(course))


def dead_relu(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find a ReLU that outputs only zeros, so that its units never learn."""
    for node in ast.walk(code.tree):
        reason = _last_relu(code, node) or _dead_start(code, node)
        if reason:
            place, why = reason
            yield Finding(
                (place,),
                "For which inputs is the output above zero here?",
                f"{why} Where a ReLU outputs 0 its slope is 0 too, so no gradient passes and the "
                "weights before it never change: the unit is dead.",
                "Start biases at 0 and weights at small random numbers, and allow the last "
                "layer's scores to be negative.",
            )


def _given_rate(code: Code, call: ast.Call) -> ast.expr | None:
    """Return the argument that one of the student's functions multiplies the gradient by."""
    helper = code.helper(call)
    if helper is None:
        return None
    steps = [subtrahend(node) for node in within(helper) if descends(node)]
    rates = {dotted(factor) for step in steps for factor in factors(step)}
    parameters = [p.arg for p in helper.args.args if p.arg != "self"]
    bound = dict(zip(parameters, call.args, strict=False))
    bound |= {k.arg: k.value for k in call.keywords if k.arg}
    return next((v for n, v in bound.items() if n in rates and _constant(code, v)), None)


def _constant(code: Code, node: ast.expr) -> float | None:
    value = number(node)
    if value is None and isinstance(node, ast.Name):
        origin = code.latest(node)
        if origin is None:
            origin = next(
                (v for s in code.tree.body for n, v in assignments(s) if n == node.id), None
            )
        value = number(origin)
    return value


def _by_size(name: str, value: float | None) -> str:
    """Return ``fast`` or ``slow`` for a learning rate that is extreme by itself, else empty."""
    if value is None:
        return ""
    limit = TOO_FAST["adaptive" if name in ADAPTIVE else "plain"]
    return "fast" if value >= limit else "slow" if 0 < value <= TOO_SLOW else ""


def _rate_finding(
    code: Code, call: ast.Call, rate: ast.expr, symptom: str, observed: bool
) -> Finding:
    """Report a learning rate, with the statement that defines it; ``observed`` in the losses."""
    origin = [
        s
        for s in code.tree.body
        for n, _ in assignments(s)
        if isinstance(rate, ast.Name) and n == rate.id
    ]
    slower = symptom in {"nan", "rising", "fast"}
    return Finding(
        (call, *origin),
        f"Look at the loss after each epoch, and at `{shown(rate)}`.",
        f"{SYMPTOMS[symptom]} All the time spent on training is then wasted.",
        f"Try a learning rate ten times {'smaller' if slower else 'larger'}, and adjust it from "
        "there; 0.001 for Adam and 0.01 to 0.1 for SGD are common starting points.",
        whole_run=observed,
    )


def _last_relu(code: Code, node: ast.AST) -> tuple[ast.AST, str] | None:
    """Return a ``ReLU()`` that is a network's last layer, right after a linear one, and why."""
    if not isinstance(node, ast.Call) or dotted(node.func).split(".")[-1] != "Sequential":
        return None
    layers = node.args[0].elts if node.args and isinstance(node.args[0], ast.List) else node.args
    names = [dotted(getattr(layer, "func", None)).split(".")[-1] for layer in layers]
    block = re.compile(r"block|encod|feature|body|stem|hidden|trunk|backbone", re.I)
    scope = code.scope(node)
    where = [name for name, _ in assignments(code.statement(node))] + [getattr(scope, "name", "")]
    if names[-2:] != ["Linear", "ReLU"] or any(block.search(name) for name in where):
        return None
    if isinstance(code.parents.get(node), (ast.Call, ast.List)):
        return None
    return layers[-1], "The network ends in a ReLU, so a class with a negative score gets 0."


def _dead_start(code: Code, node: ast.AST) -> tuple[ast.AST, str] | None:
    """Return biases that start far below zero, or all-zero weights, before a ReLU, and why."""
    for name, value in assignments(node):
        last = name.split(".")[-1]
        if BIAS.match(last) and _negative(code, value) and _has_relu(code, node):
            return node, f"`{name}` starts so far below zero that sums are hardly ever positive."
        matrix = code.numpy(value) == "zeros" and isinstance(
            [*arguments(value), None][0], ast.Tuple
        )
        if WEIGHT.match(last) and matrix and _has_relu(code, node):
            return node, f"`{name}` starts as zeros, so all units get the same sum, 0."
    return None


def _negative(code: Code, value: ast.expr) -> bool:
    if code.numpy(value) == "full" and isinstance(value, ast.Call) and len(value.args) > 1:
        return (number(value.args[1]) or 0) <= -1
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
        return code.numpy(value.operand) == "ones"
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mult):
        numbers = [number(value.left) or 0, number(value.right) or 0]
        ones = "ones" in (code.numpy(value.left), code.numpy(value.right))
        return ones and min(numbers) <= -1
    return False


def _has_relu(code: Code, node: ast.AST) -> bool:
    text = ast.unparse(code.owner(node))
    chosen = "> 0" in text and re.search(r"np\.where\(.*, 0(\.0)?\)", text)
    return bool(chosen or re.search(r"relu|np\.maximum\(", text, re.I))
