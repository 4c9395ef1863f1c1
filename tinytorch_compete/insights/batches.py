"""Detect row-by-row work that one operation on a whole batch could do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tinytorch_compete.insights.dtype_inference import ELEMENTWISE, REDUCTIONS
from tinytorch_compete.insights.finding import Finding, RunContext
from tinytorch_compete.insights.optimiser_steps import descends, takes_step
from tinytorch_compete.source.code import Code
from tinytorch_compete.source.syntax import (
    arguments,
    changed,
    dotted,
    inside,
    keyword,
    loads,
    method,
    names,
    number,
    receiver,
    root,
    within,
)

ROWS = re.compile(
    r"^(images?|imgs|pictures|samples|examples|rows|inputs?|batch|xs?|X|xb|x_\w+|X_\w+|logits|probs"
    r"|data|features|\w*_(images|x|data|inputs))$"
)
# Data is split into parts for a reason; each part is an array of its own size.
PARTS = re.compile(
    r"part|chunk|batch|load|layer|param|fold|block|group|kernel|filter|array|weight|split|block|grad"
    r"|path|file|stream|state|step|seed|class|label|model|conf|setting|size|shape|rate|name",
    re.I,
)
MODELS = re.compile(r"^(model|net|network|classifier|cnn|mlp)$")
SIZES = {"batch", "batch_size", "batchsize", "bs"}
METHODS = {"reshape", "astype", "flatten", "ravel", "mean", "sum", "std", "dot", "transpose"}


def loop_over_batch(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find a loop that applies the same arithmetic to each row separately."""
    for loop in ast.walk(code.tree):
        if isinstance(loop, ast.ListComp) and (rows := _stacked(code, loop)):
            yield _row_by_row(loop, rows)
        if not isinstance(loop, ast.For) or trains(loop) or _nested(loop):
            continue
        rows = _rows(code, loop)
        if rows and _computes(code, loop) and not _carries(loop):
            yield _row_by_row(loop, rows)


def batch_of_one(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find training that uses a single example per step."""
    for node in ast.walk(code.tree):
        place = _size_of_one(code, node) or (
            _single_steps(code, node) if isinstance(node, ast.For) else None
        )
        if place is not None:
            yield Finding(
                (node,),
                "How many examples does one training step use?",
                "Each step uses one example, so the fixed cost of a step (Python, small numpy "
                "calls, the optimiser's pass over all weights) is paid for every example. The "
                "gradient of a single example is also very noisy.",
                "Use 32 to 128 examples per step; with less noisy gradients, the learning rate "
                "may be larger too.",
                (node,),
            )


def _row_by_row(loop: ast.AST, rows: str) -> Finding:
    return Finding(
        (loop,),
        f"How many rows does one pass of the loop over `{rows}` process?",
        f"The loop hands numpy one row of `{rows}` at a time. Each numpy call costs about "
        "a microsecond before it computes anything, and a matrix product of a single row can't "
        "use the caches.",
        f"Process all rows of `{rows}` at once, or a few hundred at a time if memory is short.",
        (loop,),
    )


def _stacked(code: Code, comp: ast.ListComp) -> str:
    """Return the array whose rows a list computes with one by one, to be stacked again."""
    around, source = code.parents[comp], comp.generators[0]
    rows, row = dotted(source.iter), dotted(source.target)
    plain = len(comp.generators) == 1 and not source.ifs and row and isinstance(comp.elt, ast.Call)
    if not plain or code.numpy(around) not in {"stack", "array", "asarray", "vstack"}:
        return ""
    helper = code.helper(comp.elt)
    nodes = [comp.elt, *(within(helper) if helper else ())]
    works = any(isinstance(n, ast.MatMult) or code.numpy(n) in {"dot", "matmul"} for n in nodes)
    return rows if works and ROWS.match(rows.split(".")[-1]) and row in names(comp.elt) else ""


def trains(loop: ast.AST) -> bool:
    """Whether a loop calls ``backward`` or an optimiser's ``step``."""
    body = getattr(loop, "body", [])
    return any(method(node) in {"backward", "step", "zero_grad"} for node in inside(body))


def _nested(loop: ast.For) -> bool:
    return any(isinstance(node, ast.For) and node is not loop for node in ast.walk(loop))


def _rows(code: Code, loop: ast.For) -> str:
    """Return the array whose rows a loop visits; empty if it may not be an array."""
    source = loop.iter
    name = loop.target.id if isinstance(loop.target, ast.Name) else ""
    if isinstance(source, ast.Call) and dotted(source.func) == "range" and len(source.args) == 1:
        axis = code.axis(source.args[0])
        if axis and axis[1] == 0 and name and _picks_rows(loop, name):
            return axis[0]
        return ""
    elements = getattr(loop.target, "elts", [loop.target])
    if any(isinstance(element, ast.Tuple) for element in elements):
        return ""  # rows unpacked into numbers, as for plotting points
    if isinstance(source, ast.Call) and dotted(source.func) in {"enumerate", "zip", "tqdm"}:
        wrapped = [arg for arg in source.args if ROWS.match(dotted(arg).split(".")[-1])]
        return dotted(wrapped[0]) if wrapped else ""
    path = dotted(source)
    last = path.split(".")[-1]
    if path and name and ROWS.match(last) and _used_as_array(loop, name):
        return path
    return path if path and name and not PARTS.search(last) and _reduced(code, loop, name) else ""


def _reduced(code: Code, loop: ast.For, name: str) -> bool:
    """Whether each element is itself an array, since the loop reduces or reshapes it."""
    for node in inside(loop.body):
        reduces = code.numpy(node) in {*REDUCTIONS, "linalg.norm"}
        if reduces and names(*arguments(node)) - {"np"} == {name}:
            return True
        owner = receiver(node)
        if method(node) in METHODS and owner is not None and names(owner) == {name}:
            return True
    return False


def _picks_rows(loop: ast.For, name: str) -> bool:
    """Whether the counter is the first index of every read and serves no other purpose."""
    read = False
    for node in inside(loop.body):
        if isinstance(node, ast.Subscript):
            first = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
            names = loads(node.slice)
            if name in names and not (isinstance(first, ast.Name) and first.id == name):
                return False
            read |= name in names and isinstance(node.ctx, ast.Load)
    return read


def _used_as_array(loop: ast.For, name: str) -> bool:
    for node in inside(loop.body):
        if dotted(receiver(node)) == name and method(node) in METHODS | {"tolist"}:
            return True
        if isinstance(node, (ast.BinOp, ast.Call)) and name in {dotted(n) for n in _operands(node)}:
            return True
    return False


def _operands(node: ast.BinOp | ast.Call) -> list[ast.expr]:
    return [node.left, node.right] if isinstance(node, ast.BinOp) else list(node.args)


def _computes(code: Code, loop: ast.For) -> bool:
    """Whether the body computes with the row: an operator, a numpy function, or the model."""
    bound = names(loop.target)
    for node in inside(loop.body):
        if isinstance(node, ast.Assign) and bound & loads(node.value):
            bound |= names(*node.targets)
    for node in inside(loop.body):
        if not isinstance(node, (ast.BinOp, ast.Call)) or not bound & loads(node):
            continue
        if isinstance(node, ast.BinOp) and not _in_index(code, node):
            return code.once("arrays", code.scope(loop), lambda place: _has_arrays(code, place))
        name = code.numpy(node)
        if name in {*ELEMENTWISE, *REDUCTIONS, "dot", "matmul", "linalg.norm"}:
            return True
        callee = dotted(node.func).split(".") if isinstance(node, ast.Call) else []
        if callee and (MODELS.match(callee[-1]) or callee[-1] in {"forward", "predict"}):
            return _keeps(loop)
        if callee and callee[-1] in code.project.functions and len(callee) == 1:
            return _keeps(loop)
    return False


def _has_arrays(code: Code, place: ast.AST) -> bool:
    """Whether a function works on arrays: it calls numpy, or indexes along two axes."""
    for node in code.below(place):
        if code.numpy(node) or isinstance(getattr(node, "op", None), ast.MatMult):
            return True
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
            return True
    return False


def _keeps(loop: ast.For) -> bool:
    """Whether the loop stores something for each row."""
    return any(method(n) == "append" or _stores(n) for n in inside(loop.body))


def _stores(node: ast.AST) -> bool:
    return isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)


def _in_index(code: Code, node: ast.AST) -> bool:
    below = node
    for up in code.above(node):
        if isinstance(up, ast.Subscript) and up.slice is below:
            return True
        if isinstance(up, ast.Slice):
            return True
        if isinstance(up, ast.stmt):
            return False
        below = up
    return False


def _carries(loop: ast.For) -> bool:
    """Whether a pass needs a result of the previous pass; sums and lists don't count."""
    bound: set[str] = set()
    plain = {
        path
        for node in inside(loop.body)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if (path := dotted(target))
    }
    for statement in loop.body:
        if plain & loads(statement) - bound - changed([loop.target]):
            return bool(_early(statement, plain - bound))
        bound |= changed([statement])
    return False


def _early(statement: ast.stmt, names: set[str]) -> set[str]:
    """Return which of the names a statement reads, not counting those it only assigns."""
    return {
        dotted(node)
        for node in inside([statement])
        if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load)
    } & names


def _size_of_one(code: Code, node: ast.AST) -> ast.AST | None:
    """Return a loader with ``batch_size=1``, or ``BATCH = 1`` in a module or beside training."""
    if isinstance(node, ast.Call) and dotted(node.func).split(".")[-1] in {"DataLoader", "Loader"}:
        size = keyword(node, "batch_size") or (node.args[1] if len(node.args) > 1 else None)
        return node if number(size) == 1 else None
    if isinstance(node, ast.Assign) and number(node.value) == 1:
        sized = SIZES & {root(target).lower() for target in node.targets}
        scope = code.scope(node)
        learns = scope is code.tree or trains(scope)
        return node if sized and learns else None
    return None


def _single_steps(code: Code, loop: ast.For) -> ast.AST | None:
    """Return a training loop whose counter picks one row, or that makes each row a batch."""
    moves = (descends(node) or takes_step(code, node) for node in inside(loop.body))
    if _wraps_rows(loop) and any(moves):
        return loop
    calls = {method(node) for node in inside(loop.body)}
    if not {"backward", "step"} <= calls or _nested(loop) or not isinstance(loop.target, ast.Name):
        return None
    source = code.latest(loop.iter) if isinstance(loop.iter, ast.Name) else loop.iter
    if not isinstance(source, ast.Call) or len(source.args) > 1:
        return None
    name = loop.target.id
    for node in inside(loop.body):
        if not isinstance(node, ast.Subscript) or not isinstance(node.ctx, ast.Load):
            continue
        if ast.unparse(node.slice) in {name, f"{name}:{name} + 1", f"[{name}]"}:
            return loop if method(source) == "permutation" or _lengths(source) else None
    return None


def _wraps_rows(loop: ast.For) -> bool:
    """Whether an element gets a leading axis of 1: ``np.expand_dims(x, 0)``, ``x[None]``."""
    elements = names(loop.target)
    for node in inside(loop.body):
        if isinstance(node, ast.Subscript) and dotted(node.value) in elements:
            first = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
            if ast.unparse(first) in {"None", "np.newaxis"}:
                return True
        first_two = [*arguments(node), None, None][:2]
        if method(node) == "expand_dims" and dotted(first_two[0]) in elements:
            return number(first_two[1]) == 0
        if method(node) == "reshape" and dotted(receiver(node)) in elements:
            return number(first_two[0]) == 1
    return False


def _lengths(call: ast.Call) -> bool:
    return dotted(call.func) == "range" and "epoch" not in ast.unparse(call)
