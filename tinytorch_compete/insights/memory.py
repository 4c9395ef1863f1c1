"""Detect new arrays where existing ones could have been reused."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tinytorch_compete.insights.dtype_inference import REDUCTIONS, dtype, is_fresh, passes
from tinytorch_compete.insights.finding import Finding, RunContext
from tinytorch_compete.insights.optimiser_steps import factors, subtrahend
from tinytorch_compete.source.code import Code
from tinytorch_compete.source.syntax import dotted, line, method, names, number, shown

# An expression of fewer passes is ordinary arithmetic; batch normalisation's backward has six.
MANY_PASSES = 8
GROWERS = {"concatenate", "append", "vstack", "hstack", "stack", "row_stack", "insert"}


def growing_arrays(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find an array that each pass of a loop copies into a longer one."""
    for node in ast.walk(code.tree):
        if not isinstance(node, ast.Assign):
            continue
        name = dotted(node.targets[0])
        if not name or not (code.loops(node) or _outlives_call(code, node, name)):
            continue
        value = node.value
        branches = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
        if any(name in _joined(code, branch) for branch in branches):
            yield Finding(
                (node,),
                f"How much of `{name}` is copied on the last pass of the loop?",
                f"An array can't grow: each pass makes a new `{name}` and copies all the old rows "
                "into it. The copying grows with the square of the number of passes, and both the "
                "old and the new array are alive at once.",
                f"Collect the parts in a list and join them once after the loop, or create "
                f"`{name}` at its full size first and fill it slice by slice.",
            )


def temporaries(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find an array that is replaced by a new one but could have been changed in place."""
    for node in ast.walk(code.tree):
        if isinstance(node, ast.Assign) and in_place(code, node):
            name = ast.unparse(node.targets[0])
            yield Finding(
                (node,),
                f"How many arrays of the size of `{name}` exist while this line runs?",
                f"The line makes a second array of the size of `{name}`, fills it, and only then "
                "drops the first. That takes twice the memory, and fresh memory is slower to "
                "write to than memory already in use.",
                f"Change `{name}` in place, with `{name} {sign(node)}= ...` or a function's "
                "`out=`.",
            )


def temporary_chain(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find an expression that makes many passes over whole arrays."""
    for node in ast.walk(code.tree):
        if not isinstance(node, (ast.Assign, ast.Return, ast.AugAssign)) or node.value is None:
            continue
        count = passes(code, node.value)
        if count >= MANY_PASSES and _has_arrays(code, node.value):
            yield Finding(
                (node,),
                f"How many intermediate arrays does `{shown(node.value)}` create?",
                f"Numpy evaluates this expression in {count} passes, and each writes a result as "
                "large as the data. Several of them are alive at the peak, and all of them travel "
                "through memory.",
                "Do it in steps that reuse one buffer (`out=`, `*=`), or in slices of a few "
                "hundred rows that stay in the cache.",
            )


def in_place(code: Code, node: ast.Assign) -> bool:
    """Whether ``x = x - y`` may become ``x -= y``: ``x`` is a float array the function made."""
    name = dotted(node.targets[0]) if len(node.targets) == 1 else ""
    value = node.value
    if _is_step_of_entry(code, node):
        return True
    if not name or not isinstance(value, ast.BinOp) or dotted(value.left) != name:
        return False
    if not isinstance(value.op, (ast.Add, ast.Sub, ast.Mult, ast.Div)):
        return False
    if name.endswith(".data"):
        return number(value.right) is None
    if "." in name:
        return False
    return _own(code, name, node) and not _shared(code, name, node)


def _is_step_of_entry(code: Code, node: ast.Assign) -> bool:
    """Whether ``w[name] = w[name] - rate * slope`` updates an array in a dictionary."""
    target = node.targets[0]
    key = dotted(target.slice) if isinstance(target, ast.Subscript) else ""
    loops = [loop for loop in code.loops(node) if isinstance(loop, ast.For)]
    by_key = any(method(up.iter) in {"items", "keys"} and key in names(up.target) for up in loops)
    return by_key and bool(factors(subtrahend(node)))


def _outlives_call(code: Code, node: ast.Assign, name: str) -> bool:
    """Whether an attribute persists between calls of a method that is called in a loop."""
    function = code.scope(node)
    repeated = isinstance(function, ast.FunctionDef) and function.name in code.project.repeated
    own = [value for value in code.values(name, node) if code.scope(value) is function]
    return repeated and name.startswith("self.") and len(own) == 1


def _has_arrays(code: Code, node: ast.expr) -> bool:
    """Whether an expression calls numpy or reduces an array; sizes alone are plain numbers."""
    return any(code.numpy(n) or method(n) in REDUCTIONS for n in ast.walk(node))


def _own(code: Code, name: str, node: ast.Assign) -> bool:
    """Whether all earlier values of the name are new arrays, and the left operand is float32."""
    values = [v for v in code.values(name, node) if v.lineno < node.lineno]
    if not values or not all(is_fresh(code, value) for value in values):
        return False
    return isinstance(node.value, ast.BinOp) and dtype(code, node.value.left) == "f4"


def _shared(code: Code, name: str, node: ast.AST) -> bool:
    """Whether something else may refer to the array or a view of it when it is changed."""
    for other in code.below(code.scope(node)):
        if isinstance(other, ast.Name) and other.id == name and other.lineno < line(node):
            up = code.parents[other]
            if isinstance(up, (ast.Tuple, ast.List, ast.Dict, ast.Yield)) and isinstance(
                other.ctx, ast.Load
            ):
                return True
            if isinstance(up, ast.Assign) and up.value is other:
                return True
            if isinstance(up, ast.Call) and (method(up) == "append" or not code.numpy(up)):
                return True
            if isinstance(up, ast.Subscript) and isinstance(code.parents[up], ast.Assign):
                return True
    return False


def sign(node: ast.Assign) -> str:
    """Return the operator of an assignment that ``in_place`` accepts."""
    signs: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
    return signs[type(node.value.op)] if isinstance(node.value, ast.BinOp) else ""


def _joined(code: Code, joining: ast.expr) -> set[str]:
    """Return the names of the arrays that concatenate, append or ``np.r_[...]`` joins."""
    if isinstance(joining, ast.Subscript) and dotted(joining.value) in {"np.r_", "np.c_"}:
        return {dotted(part) for part in getattr(joining.slice, "elts", [])}
    arguments = joining.args if isinstance(joining, ast.Call) else []
    if code.numpy(joining) not in GROWERS:
        return set()
    parts = [
        part
        for arg in arguments[:2]
        for part in (arg.elts if isinstance(arg, (ast.List, ast.Tuple)) else [arg])
    ]
    return {dotted(part) for part in parts}
