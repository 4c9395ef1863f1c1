"""Arrays made beside arrays that could have been used again."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tinytorch_compete.insights.dtype_inference import REDUCTIONS, dtype, is_fresh, passes
from tinytorch_compete.insights.finding import Finding, RunContext
from tinytorch_compete.insights.optimiser_steps import factors, taken_off
from tinytorch_compete.source.code import Code
from tinytorch_compete.source.syntax import dotted, line, method, names, number, shown

# An expression of fewer passes is ordinary arithmetic; batch normalisation's backward has six.
MANY_PASSES = 8
GROWERS = {"concatenate", "append", "vstack", "hstack", "stack", "row_stack", "insert"}


def growing_arrays(code: Code, facts: RunContext) -> Iterator[Finding]:
    """An array that is copied into a longer one on each pass of a loop."""
    for node in ast.walk(code.tree):
        if not isinstance(node, ast.Assign):
            continue
        name = dotted(node.targets[0])
        if not name or not (code.loops(node) or _kept_by_calls(code, node, name)):
            continue
        value = node.value
        branches = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
        if any(name in _joined(code, branch) for branch in branches):
            yield Finding(
                (node,),
                f"How much of `{name}` is copied on the last pass of the loop?",
                f"An array can't grow: each pass makes a new `{name}` and copies all the old rows "
                "into it. The copying grows with the square of the number of passes, and old and "
                "new are alive together.",
                f"Collect the parts in a list and join them once after the loop, or make `{name}` "
                "of its full size first and fill in slices.",
            )


def temporaries(code: Code, facts: RunContext) -> Iterator[Finding]:
    """An array replaced by a new one that could have been changed in place."""
    for node in ast.walk(code.tree):
        if isinstance(node, ast.Assign) and in_place(code, node):
            name = ast.unparse(node.targets[0])
            yield Finding(
                (node,),
                f"How many arrays of the size of `{name}` exist while this line runs?",
                f"The line makes a second array of the size of `{name}`, fills it, and only then "
                "drops the first. That is twice the memory, and fresh memory is slower to write "
                "than what is already in use.",
                f"Change `{name}` in place, with `{name} {sign(node)}= ...` or a function's "
                "`out=`.",
            )


def temporary_chain(code: Code, facts: RunContext) -> Iterator[Finding]:
    """One expression that goes over whole arrays many times."""
    for node in ast.walk(code.tree):
        if not isinstance(node, (ast.Assign, ast.Return, ast.AugAssign)) or node.value is None:
            continue
        count = passes(code, node.value)
        if count >= MANY_PASSES and _has_arrays(code, node.value):
            yield Finding(
                (node,),
                f"How many arrays does `{shown(node.value)}` make on its way?",
                f"Numpy works off this expression in {count} passes, and each writes a result as "
                "large as the data. Several of them are alive at the peak, and all of them travel "
                "through memory.",
                "Do it in steps that reuse one buffer (`out=`, `*=`), or in slices of some hundred "
                "rows that stay in the cache.",
            )


def in_place(code: Code, node: ast.Assign) -> bool:
    """Whether ``x = x - y`` may become ``x -= y``: the array is the function's own float array."""
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
    """Whether ``w[name] = w[name] - rate * slope`` moves an array of a dictionary."""
    target = node.targets[0]
    key = dotted(target.slice) if isinstance(target, ast.Subscript) else ""
    loops = [loop for loop in code.loops(node) if isinstance(loop, ast.For)]
    keyed = any(method(up.iter) in {"items", "keys"} and key in names(up.target) for up in loops)
    return keyed and bool(factors(taken_off(node)))


def _kept_by_calls(code: Code, node: ast.Assign, name: str) -> bool:
    """Whether an attribute lasts from call to call of a method that is called in a loop."""
    function = code.scope(node)
    repeated = isinstance(function, ast.FunctionDef) and function.name in code.project.repeated
    own = [value for value in code.values(name, node) if code.scope(value) is function]
    return repeated and name.startswith("self.") and len(own) == 1


def _has_arrays(code: Code, node: ast.expr) -> bool:
    """Whether an expression calls numpy, or reduces something: sizes alone are plain numbers."""
    return any(code.numpy(n) or method(n) in REDUCTIONS for n in ast.walk(node))


def _own(code: Code, name: str, node: ast.Assign) -> bool:
    """Whether the array was made in this function, and by a statement that every run passes."""
    values = [v for v in code.values(name, node) if v.lineno < node.lineno]
    if not values or not all(is_fresh(code, value) for value in values):
        return False
    return isinstance(node.value, ast.BinOp) and dtype(code, node.value.left) == "f4"


def _shared(code: Code, name: str, node: ast.AST) -> bool:
    """Whether something else may hold the array or a view of it when it is changed."""
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
    """The operator of an assignment that ``in_place`` allows to change."""
    signs: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
    return signs[type(node.value.op)] if isinstance(node.value, ast.BinOp) else ""


def _joined(code: Code, joining: ast.expr) -> set[str]:
    """The names of the arrays that concatenate, vstack, append or ``np.r_[...]`` joins."""
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
