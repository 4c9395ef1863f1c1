"""Detect unshuffled training data, and evaluations after every step."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tinytorch_compete.insights.batches import trains
from tinytorch_compete.insights.finding import Finding, RunContext
from tinytorch_compete.insights.optimiser_steps import descends, takes_step
from tinytorch_compete.source.code import Code
from tinytorch_compete.source.syntax import (
    assignments,
    changed,
    dotted,
    inside,
    keyword,
    loads,
    method,
    receiver,
    shown,
    within,
)

JUDGING = re.compile(
    r"^_?(eval\w*|accuracy|acc|validate|validation|test|score|compute_acc\w*)$", re.I
)
HELD_OUT = re.compile(r"(^|_)(val|valid|validation|test|dev|public|holdout|heldout)(_|$)", re.I)
MODEL = re.compile(r"^_?(model|net|network|classifier|cnn|mlp)$", re.I)
STEPS = {"backward", "step"}
PIECES = {"array_split", "split", "vsplit"}
MIXING = re.compile(r"perm|shuf|choice|integers|randint|sample", re.I)


def evaluate_often(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find an evaluation of the whole validation set after every single step."""
    for loop in ast.walk(code.tree):
        if not isinstance(loop, (ast.For, ast.While)) or not _takes_steps(code, loop):
            continue
        for node in code.direct(loop):
            if not isinstance(node, ast.Call) or code.guarded(node, loop):
                continue
            if _evaluates(code, node, loop) or _evaluates_own_set(code, node):
                yield Finding(
                    (code.statement(node),),
                    f"How often does `{shown(node)}` run, and on how many examples?",
                    "After each training step, which uses one batch, the whole held-out set goes "
                    "through the network. That is often many times the work of the step, and the "
                    "result hardly changes from one step to the next.",
                    "Do it once per epoch, or every few hundred steps.",
                )
                break


def unshuffled(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find batches that are cut in the order of the file, the same in each epoch."""
    for node in ast.walk(code.tree):
        if isinstance(node, ast.For):
            place = _in_file_order(code, node)
        elif isinstance(node, ast.Call) and dotted(node.func).split(".")[-1] == "DataLoader":
            place = _plain_loader(code, node)
        else:
            continue
        if place:
            yield Finding(
                (node,),
                "In which order does training see the examples, in the first epoch and the second?",
                "The batches are cut in the order of the file, and each epoch repeats them. If "
                "neighbours are alike (sorted by class, recorded in series), a batch says little "
                "about the whole data set, and the network follows the order.",
                "Draw a new order each epoch: `order = rng.permutation(len(x))`, then use "
                "`order[i : i + size]`; for a loader, pass `shuffle=True`.",
                (node,),
            )


def _takes_steps(code: Code, loop: ast.For | ast.While) -> bool:
    """Whether each pass of the loop itself, not of a nested loop, is a training step."""
    return any(method(n) in STEPS or takes_step(code, n) for n in code.direct(loop))


def _evaluates(code: Code, node: ast.Call, loop: ast.For | ast.While) -> bool:
    """Whether a call evaluates a data set that is the same at every step."""
    moving = code.once("changed", loop, lambda _: changed([loop]))
    fixed = {path for arg in node.args for path in loads(arg)} - moving
    sliced = any(isinstance(part, ast.Subscript) for arg in node.args for part in ast.walk(arg))
    name = dotted(node.func).split(".")[-1]
    held_out = any(HELD_OUT.search(path) for path in fixed)
    if JUDGING.match(name):
        return held_out or len(fixed) >= 3
    if sliced or not held_out or name == "Tensor":
        return False
    # an evaluation takes a model and a held-out set, or the inputs and labels of one
    arguments = [dotted(arg) for arg in node.args if dotted(arg) in fixed]
    evaluated = [path for path in arguments if HELD_OUT.search(path) or MODEL.search(path)]
    forward = re.search(r"model|net|predict|forward", dotted(node.func), re.I)
    return bool(forward) or len(evaluated) >= 2


def _evaluates_own_set(code: Code, node: ast.Call) -> bool:
    """Whether a method without arguments runs its own held-out set through the network."""
    helper = None if node.args else code.helper(node)
    if helper is None or dotted(receiver(node)) != "self":
        return False
    calls = [n for n in within(helper) if isinstance(n, ast.Call)]
    forward = (n for n in calls if MODEL.search(dotted(n.func).split(".")[-1]))
    return any(HELD_OUT.search(dotted(arg)) for n in forward for arg in n.args)


def _in_file_order(code: Code, loop: ast.For) -> bool:
    """Whether a training loop slices ``x[i : i + size]`` with nothing random in the function."""
    calls = {method(n) for n in inside(loop.body)}
    if _feeds_training(code, loop):
        calls |= STEPS
    by_hand = code.loops(loop) and any(descends(n) for n in inside(loop.body))
    learns = calls >= STEPS or by_hand or any(takes_step(code, n) for n in inside(loop.body))
    if not learns or MIXING.search(" ".join(sorted(_words(code, loop)))):
        return False
    if any(isinstance(n, ast.For) and n is not loop for n in ast.walk(loop)):
        return False
    if _takes_pieces(code, loop):
        return True
    counted = isinstance(loop.iter, ast.Call) and dotted(loop.iter.func) == "range"
    if not counted or not isinstance(loop.target, ast.Name):
        return False
    return any(_cuts(n, loop.target.id) for n in inside(loop.body))


def _takes_pieces(code: Code, loop: ast.For) -> bool:
    """Whether a nested loop iterates over the pieces of an array that numpy split before."""
    zipped = isinstance(loop.iter, ast.Call) and dotted(loop.iter.func) in {"zip", "enumerate"}
    sources = loop.iter.args if zipped and isinstance(loop.iter, ast.Call) else [loop.iter]
    cut = [code.latest(node) if isinstance(node, ast.Name) else node for node in sources]
    return bool(code.loops(loop)) and any(code.numpy(node) in PIECES for node in cut)


def _feeds_training(code: Code, loop: ast.For) -> bool:
    """Whether a loop yields batches that a training loop consumes."""
    function = code.scope(loop)
    yields = any(isinstance(n, ast.Yield) for n in inside(loop.body))
    if not yields or not isinstance(function, ast.FunctionDef) or HELD_OUT.search(function.name):
        return False
    consumers = (n for n in ast.walk(code.tree) if isinstance(n, ast.For) and trains(n))
    return any(dotted(getattr(loop.iter, "func", None)) == function.name for loop in consumers)


def _words(code: Code, node: ast.AST) -> set[str]:
    """Return all names and attributes in the function around a node."""
    scope = code.scope(node)
    return {
        n.attr if isinstance(n, ast.Attribute) else n.id
        for n in ast.walk(scope)
        if isinstance(n, (ast.Name, ast.Attribute))
    }


def _cuts(node: ast.AST, counter: str) -> bool:
    if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Slice):
        return False
    lower = node.slice.lower
    return lower is not None and counter in loads(lower)


def _plain_loader(code: Code, call: ast.Call) -> bool:
    """Whether a loader for training doesn't shuffle."""
    shuffle = keyword(call, "shuffle") or (call.args[2] if len(call.args) > 2 else None)
    off = shuffle is None or (isinstance(shuffle, ast.Constant) and not shuffle.value)
    statement = code.statement(call)
    text = " ".join(name for name, _ in assignments(statement)) + " " + ast.unparse(call)
    if not off or HELD_OUT.search(text.replace("(", "_").replace(",", "_")):
        return False
    scope = code.scope(call)
    words = {method(n) for n in ast.walk(scope)} | {
        dotted(getattr(n, "func", None)) for n in ast.walk(scope)
    }
    return bool(words & {"fit", "fit_epoch", "backward", "train", "Trainer", "train_epoch"})
