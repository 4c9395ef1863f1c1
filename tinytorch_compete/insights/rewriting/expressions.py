"""Change single expressions: another dtype, a slice for an index, a number for a tensor."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tinytorch_compete.insights import copies, dtypes, graph, losses
from tinytorch_compete.insights.dtype_inference import creates_double, dtype
from tinytorch_compete.insights.rewriting import edits
from tinytorch_compete.insights.rewriting.edits import Edit
from tinytorch_compete.source.code import Code
from tinytorch_compete.source.syntax import (
    counted,
    dotted,
    inside,
    keyword,
    line,
    method,
    number,
    receiver,
)

SINGLE = "np.float32"


def float64(code: Code, lines: set[int]) -> Iterator[Edit]:
    """Create the array as float32; random numbers stay the same except for their last digits."""
    for node in _on(code, lines):
        if isinstance(node, ast.BinOp) and dtypes.scaled(code, node):
            left, right = edits.text(code, node.left), edits.text(code, node.right)
            call = "divide" if isinstance(node.op, ast.Div) else "multiply"
            yield edits.replace(code, node, f"np.{call}({left}, {right}, dtype={SINGLE})")
        elif isinstance(node, ast.Call) and dtypes.created(code, node):
            stated = dtypes.stated_double(code, node)
            if method(node) == "astype" or stated is not None:
                yield edits.replace(code, stated or node.args[0], SINGLE)
            elif creates_double(code, node) in {"zeros", "ones", "empty", "full"}:
                yield _with_dtype(code, node)
            else:
                yield from _narrowed(code, node)


def dtype_promotion(code: Code, lines: set[int]) -> Iterator[Edit]:
    """Make the float64 operand float32 where it is defined."""
    for node in _on(code, lines):
        if not isinstance(node, ast.BinOp):
            continue
        kinds = dtype(code, node.left), dtype(code, node.right)
        if sorted(kinds) == ["f4", "f8"]:
            wide = node.left if kinds[0] == "f8" else node.right
            base = wide.value if isinstance(wide, ast.Subscript) else wide
            origin = code.latest(base) if dotted(base) else base
            if isinstance(origin, ast.Call):
                yield _single(code, origin)


def exp_shift(code: Code, lines: set[int]) -> Iterator[Edit]:
    """Subtract the maximum in a softmax; a log of a sum needs other changes and stays as it is."""
    for node in _on(code, lines):
        if not isinstance(node, ast.Call) or not losses.unshifted(code, node):
            continue
        if any(code.numpy(n) == "log" for n in code.below(code.scope(node))):
            return
        scores = node.args[0]
        if dotted(scores):
            shift = f"{dotted(scores)}.max({_axis(code, node)})"
            yield edits.replace(code, scores, f"{dotted(scores)} - {shift}")


def fancy_copy(code: Code, lines: set[int]) -> Iterator[Edit]:
    """Replace an index array of evenly spaced numbers by a slice."""
    replaced: dict[str, list[ast.AST]] = {}
    for node in _on(code, lines):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            index = copies.counted_index(code, node)
            numbers = code.latest(index) if isinstance(index, ast.Name) else index
            if index is not None and isinstance(numbers, ast.Call):
                yield edits.replace(code, index, _slice(code, numbers))
                if isinstance(index, ast.Name):
                    replaced.setdefault(index.id, []).append(index)
    for name, indices in replaced.items():
        yield from edits.unread(code, name, indices)


def needless_copy(code: Code, lines: set[int]) -> Iterator[Edit]:
    """Replace a copy by the array itself."""
    for node in _on(code, lines):
        if isinstance(node, ast.Call) and copies.redundant(code, node) and method(node) != "tolist":
            inner = node.args[0] if code.numpy(node) in {"array", "copy"} else receiver(node)
            yield edits.replace(code, node, edits.text(code, inner or node))


def strided_matmul(code: Code, lines: set[int]) -> Iterator[Edit]:
    """Lay the operand out without gaps once, where it is defined."""
    for node in _on(code, lines):
        if isinstance(node, ast.Assign) and copies.is_strided(code, node.value):
            inner = edits.text(code, node.value)
            yield edits.replace(code, node.value, f"np.ascontiguousarray({inner})")


def graph_alive(code: Code, lines: set[int]) -> Iterator[Edit]:
    """Replace the tensor by its number or its array."""
    for loop in ast.walk(code.tree):
        if not isinstance(loop, (ast.For, ast.While)):
            continue
        nodes = list(inside(loop.body))
        starts = {dotted(receiver(n)) for n in nodes if method(n) == "backward"}
        for node in nodes:
            name = graph.kept_tensor(node, graph.tensors(loop)) if _starts(node, lines) else ""
            for part in ast.walk(node) if name else ():
                if dotted(part) == name and isinstance(getattr(part, "ctx", None), ast.Load):
                    yield edits.replace(
                        code, part, f"{name}{'.item()' if name in starts else '.data'}"
                    )


def one_hot(code: Code, lines: set[int]) -> Iterator[Edit]:
    """Replace a product with ones and zeros by an index."""
    for node in ast.walk(code.tree):
        name, labels = losses.one_hot_matrix(code, node) or ("", "")
        if not name:
            continue
        home = code.scope(node)
        places = [
            use
            for use in losses.uses(code, node, name)
            if losses.picks(code, use) and line(use) in lines and code.scope(use) is home
        ]
        changes = [edit for use in places for edit in _picked(code, use, labels)]
        yield from changes
        if len(changes) == len(places) > 0:
            yield from edits.unread(code, name, places)


def threads(code: Code, lines: set[int]) -> Iterator[Edit]:
    """Request one thread instead of many."""
    for node in _on(code, lines):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            yield edits.replace(code, node.value, '"1"')
        elif isinstance(node, ast.Call):
            stated = keyword(node, "max_workers") or keyword(node, "processes")
            stated = stated or (node.args[-1] if node.args else None)
            if stated is not None and number(stated) is not None:
                yield edits.replace(code, stated, "1")
            elif method(node) == "setdefault":
                yield edits.replace(code, node.args[-1], '"1"')


def _on(code: Code, lines: set[int]) -> Iterator[ast.AST]:
    """Yield the nodes that begin on the lines, or belong to a statement that does."""
    for node in ast.walk(code.tree):
        if (isinstance(node, (ast.expr, ast.stmt)) and _starts(code.statement(node), lines)) or (
            isinstance(node, ast.expr) and node.lineno in lines
        ):
            yield node


def _starts(node: ast.AST, lines: set[int]) -> bool:
    return line(node) in lines


def _with_dtype(code: Code, call: ast.Call) -> Edit:
    """Insert ``, dtype=np.float32`` before the closing parenthesis."""
    at = edits.end(code, call) - 1
    before = code.text.encode()[:at].rstrip()
    comma = " " if before.endswith(b",") else ", "
    return Edit(at, at, f"{comma}dtype={SINGLE}")


def _narrowed(code: Code, node: ast.AST) -> Iterator[Edit]:
    """Apply ``astype`` to the whole assigned value, since a factor may widen it again."""
    statement = code.statement(node)
    if isinstance(statement, ast.Assign):
        value = edits.text(code, statement.value)
        inner = value if statement.value is node else f"({value})"
        yield edits.replace(code, statement.value, f"{inner}.astype({SINGLE})")


def _single(code: Code, call: ast.Call) -> Edit:
    """Make a call return float32: by ``dtype=`` where it takes one, else by ``np.float32(...)``."""
    if code.numpy(call) in {"array", "linspace", "zeros", "ones", "full"}:
        return _with_dtype(code, call)
    return edits.replace(code, call, f"{SINGLE}({edits.text(code, call)})")


def _axis(code: Code, node: ast.AST) -> str:
    """Return the ``axis`` and ``keepdims`` arguments of the first sum over an axis, as text."""
    for other in code.below(code.scope(node)):
        if isinstance(other, ast.Call) and "sum" in (code.numpy(other), method(other)):
            axis = keyword(other, "axis")
            if axis is not None:
                return f"axis={ast.unparse(axis)}, keepdims=True"
    return ""


def _slice(code: Code, call: ast.Call) -> str:
    """Return ``a:b`` for ``np.arange(a, b)`` or ``list(range(a, b))``."""
    arguments = call.args if code.numpy(call) == "arange" else counted(call.args[0])
    parts = [edits.text(code, arg) for arg in arguments]
    return ":" + parts[0] if len(parts) == 1 else ":".join(parts)


def _picked(code: Code, use: ast.AST, labels: str) -> Iterator[Edit]:
    """Replace the product, and a sum along its rows, by an index into the other factor."""
    up = code.parents[use]
    negative = isinstance(up, ast.UnaryOp)
    product = code.parents[up] if negative else up
    if not isinstance(product, ast.BinOp):
        return
    other = product.right if product.left in (use, up) else product.left
    scores = edits.text(code, other)
    scores = scores if isinstance(other, (ast.Name, ast.Attribute, ast.Call)) else f"({scores})"
    picked = f"{'-' if negative else ''}{scores}[np.arange(len({labels})), {labels}]"
    total = next((n for n in code.above(product) if "sum" in (method(n), code.numpy(n))), None)
    if not isinstance(total, ast.Call):
        return
    axis = keyword(total, "axis")
    if axis is None:
        yield edits.replace(code, product, picked)
    elif number(axis) in (1, -1) and len(total.args) + len(total.keywords) <= 2:
        yield edits.replace(code, total, picked)
