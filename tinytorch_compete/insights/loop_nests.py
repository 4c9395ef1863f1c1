"""Recognise what nested loops over array elements compute, from how they index."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import TypeGuard

from tinytorch_compete.source.code import LOOPS, Code
from tinytorch_compete.source.syntax import (
    arguments,
    assignments,
    changed,
    counted,
    dotted,
    inside,
    method,
    names,
    root,
    within,
)

Loop = ast.For | ast.While
REDUCING = {"sum", "tensordot", "einsum", "dot", "matmul", "max", "mean", "vdot"}


def kind(code: Code, outer: Loop, store: ast.expr) -> str:
    """Return what a loop nest computes: ``convolution``, ``matmul`` or ``pixels``, else empty."""
    counters = _counters(outer)
    if _moves_window(outer, counters):
        planes = any(isinstance(part, ast.Slice) for part in ast.walk(store))
        return "convolution" if not planes or _reduces(code, outer) else ""
    if _is_product(code, outer, store):
        return "matmul"
    same = places(code, outer) and _same_place(outer, store)
    single = same or _enumerates(code, outer) or _elementwise(outer, store, counters)
    return "pixels" if single or _in_place(outer, store, counters) else ""


def is_product(node: ast.AST) -> bool:
    """Whether a nested list comprehension holds sums of products of a row and a column."""
    counters, inner = list[str](), node
    while isinstance(inner, ast.ListComp) and len(inner.generators) == 1:
        counters.append(dotted(inner.generators[0].target))
        inner = inner.elt
    summed = isinstance(inner, ast.Call) and root(inner.func) == "sum" and len(inner.args) == 1
    terms = inner.args[0] if summed and isinstance(inner, ast.Call) else None
    if len(counters) != 2 or not isinstance(terms, (ast.GeneratorExp, ast.ListComp)):
        return False
    product, along = terms.elt, dotted(terms.generators[0].target)
    if not isinstance(product, ast.BinOp) or not isinstance(product.op, ast.Mult):
        return False
    used = [_indices_all(product.left), _indices_all(product.right)]
    row, column = counters
    both = {frozenset(names) for names in used} == {
        frozenset({row, along}),
        frozenset({along, column}),
    }
    return bool(along) and both


def nests(code: Code) -> Iterator[tuple[Loop, ast.expr, ast.stmt]]:
    """Yield the outermost loops whose counters index an element that is written within.

    Each result is the loop, the element written and the statement that writes it. A single loop
    over ``np.ndindex``, ``np.ndenumerate`` or a product of ranges is a nest by itself.
    """
    for outer in ast.walk(code.tree):
        if not isinstance(outer, LOOPS) or any(_counts(code, up) for up in code.loops(outer)):
            continue
        for node in inside(outer.body):
            target = _target(node)
            if target is None or not isinstance(node, ast.stmt):
                continue
            around, used = code.loops(node), _indices(target)
            if sum(_axes(code, loop, used) for loop in around) > 1:
                yield _first(code, around, outer), target, node
                break


def places(code: Code, loop: Loop) -> str:
    """Return the name of a counter that indexes all axes at once, as that of ``np.ndindex``."""
    if not isinstance(loop, ast.For) or not _is_grid(code, loop):
        return ""
    both = loop.target if _enumerates(code, loop) else None
    return dotted(both.elts[0] if isinstance(both, ast.Tuple) else loop.target)


def _enumerates(code: Code, loop: Loop) -> bool:
    """Whether a loop yields each element with its index, so that no subscript reads it."""
    return isinstance(loop, ast.For) and code.numpy(loop.iter) == "ndenumerate"


def _is_grid(code: Code, loop: ast.For) -> bool:
    """Whether a single loop visits the positions of several axes."""
    ranges = arguments(loop.iter)
    product = code.callee(loop.iter).split(".")[-1] == "product" and len(ranges) > 1
    by_numpy = code.numpy(loop.iter) in {"ndindex", "ndenumerate"}
    return by_numpy or (product and all(counted(r) for r in ranges))


def _axes(code: Code, loop: Loop, used: set[str]) -> int:
    """Count the axes of the written array along which a loop runs."""
    along = len(used & _bound(loop))
    if isinstance(loop, ast.For) and _is_grid(code, loop):
        return 2 if places(code, loop) in used else along
    return min(along, 1)


def _first(code: Code, around: Sequence[Loop], outer: Loop) -> Loop:
    """Return the outermost of the loops that count through an array's positions."""
    return next((loop for loop in reversed(around) if _counts(code, loop)), outer)


def _counts(code: Code, loop: Loop) -> bool:
    # a loop over epochs counts as well, but indexes nothing
    by_range = not isinstance(loop, ast.For) or counted(loop.iter) or _is_grid(code, loop)
    return bool(by_range) and code.once("indexes", loop, lambda _: _indexes(loop))


def _indexes(loop: Loop) -> bool:
    derived = _bound(loop)
    subscripts = (n for n in inside(loop.body) if isinstance(n, ast.Subscript))
    for node in inside(loop.body):
        if isinstance(node, ast.Assign) and derived & names(node.value):
            derived |= {n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    return any(derived & names(sub.slice) for sub in subscripts)


def _target(node: ast.AST) -> ast.expr | None:
    """Return the array element that a statement writes."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
    elif isinstance(node, ast.AugAssign):
        target = node.target
    else:
        return None
    return target if isinstance(target, ast.Subscript) else None


def _indices(target: ast.AST) -> set[str]:
    """Return the names in all subscripts of an element, ``i`` and ``j`` for ``c[i][j]``."""
    used: set[str] = set()
    while isinstance(target, ast.Subscript):
        parts = target.slice.elts if isinstance(target.slice, ast.Tuple) else [target.slice]
        used |= {name for part in parts if not isinstance(part, ast.Slice) for name in names(part)}
        target = target.value
    return used


def _bound(loop: Loop) -> set[str]:
    """Return a loop's counters; for ``while``, the names in its test that its body increments."""
    if isinstance(loop, ast.For):
        return names(loop.target)
    incremented = {dotted(s.target) for s in loop.body if isinstance(s, ast.AugAssign)}
    return incremented & names(loop.test)


def _counters(outer: Loop) -> set[str]:
    loops = (node for node in ast.walk(outer) if isinstance(node, LOOPS))
    return {name for loop in loops for name in _bound(loop)}


def _moves_window(outer: Loop, counters: set[str]) -> bool:
    """Whether, on two axes, an index adds two counters or a slice starts at a counter."""
    origins = _origins(outer, counters)
    for node in ast.walk(outer):
        if isinstance(node, ast.Subscript):
            parts = _parts(node)
            if sum(_adds(part, origins) or _window(part, origins) for part in parts) > 1:
                return True
    return False


def _parts(node: ast.AST) -> list[ast.expr]:
    """Return an element's indices in order, for ``c[i, j]`` and ``c[i][j]``."""
    parts: list[ast.expr] = []
    while isinstance(node, ast.Subscript):
        own = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        parts = [*own, *parts]
        node = node.value
    return parts


def _reduces(code: Code, outer: Loop) -> bool:
    """Whether the loops reduce windows, rather than only copy them."""
    for node in ast.walk(outer):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            return True
        if {code.numpy(node), method(node)} & REDUCING:
            return True
    return False


def _origins(outer: Loop, counters: set[str]) -> dict[str, set[str]]:
    """Map each name to the counters it is computed from: ``top = y * stride`` maps top to y."""
    origins = {name: {name} for name in counters}
    for node in within(outer):
        for name, value in assignments(node):
            simple = not any(isinstance(n, (ast.Subscript, ast.Call)) for n in ast.walk(value))
            if simple and (mixed := set().union(*(origins.get(n, set()) for n in names(value)))):
                origins[name] = origins.get(name, set()) | mixed
    return origins


def _adds(part: ast.expr, origins: dict[str, set[str]]) -> bool:
    """Whether an index combines two counters: a position, and an offset within the window."""
    if isinstance(part, ast.Slice):
        return False
    return len(set().union(*(origins.get(name, set()) for name in names(part)))) > 1


def _window(part: ast.expr, origins: dict[str, set[str]]) -> bool:
    """Whether a slice runs from a loop position to an end that depends on the loops too."""
    if not isinstance(part, ast.Slice) or part.lower is None or part.upper is None or part.step:
        return False
    return bool(origins.keys() & names(part.lower)) and bool(origins.keys() & names(part.upper))


def _is_product(code: Code, outer: Loop, store: ast.expr) -> bool:
    """Whether the stored value sums products of a row and a column."""
    row, column = [*_order(store), "", ""][:2]
    for node in ast.walk(outer):
        if isinstance(node, ast.Call) and code.numpy(node) in {"dot", "inner", "vdot"}:
            factors: list[ast.AST] = list(node.args[:2])
        elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.MatMult)):
            factors = [node.left, node.right]
            if isinstance(node.op, ast.Mult) and not _summed(code, node):
                continue
        else:
            continue
        used = [_indices_all(factor) for factor in factors]
        crossed = row in used[0] and column in used[1] and column not in used[0]
        if (
            len(used) == 2
            and (crossed or (column in used[0] and row in used[1]))
            and row
            and column
        ):
            return row not in used[1] or not crossed
    return False


def _summed(code: Code, node: ast.BinOp) -> bool:
    """Whether a product is accumulated: by ``+=`` or by a sum around it."""
    for up in code.above(node):
        if isinstance(up, ast.AugAssign):
            return isinstance(up.op, ast.Add)
        if isinstance(up, ast.Call) and ("sum" in (code.numpy(up), method(up), root(up.func))):
            return True
        if isinstance(up, ast.Assign):
            return isinstance(up.value, ast.BinOp) and isinstance(up.value.op, ast.Add)
        if isinstance(up, ast.stmt):
            return False
    return False


def _order(store: ast.expr) -> list[str]:
    """Return an element's index names in order, for ``c[i, j]`` and ``c[i][j]``."""
    indices: list[str] = []
    while isinstance(store, ast.Subscript):
        parts = store.slice.elts if isinstance(store.slice, ast.Tuple) else [store.slice]
        indices = [part.id for part in parts if isinstance(part, ast.Name)] + indices
        store = store.value
    return indices


def _indices_all(node: ast.AST) -> set[str]:
    """Return the names in all subscripts anywhere in an expression."""
    indices: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Subscript):
            indices |= names(part.slice)
    return indices


def _same_place(outer: Loop, store: ast.expr) -> bool:
    """Whether the loops read an unmodified array at the same index as the written one."""
    written = changed([outer])
    index = ast.unparse(store.slice) if isinstance(store, ast.Subscript) else ""
    read = (n for n in ast.walk(outer) if isinstance(n, ast.Subscript) and root(n) not in written)
    return any(ast.unparse(n.slice) == index for n in read)


def _elementwise(outer: Loop, store: ast.expr, counters: set[str]) -> bool:
    """Whether two counters index both the written element and a read of another array."""
    if len(_indices(store) & counters) < 2:
        return False
    for node in ast.walk(outer):
        read = isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load)
        if read and root(node) != root(store) and len(_indices(node) & counters) > 1:
            return True
    return False


def _in_place(outer: Loop, store: ast.expr, counters: set[str]) -> bool:
    """Whether each pass reads and writes a single array, only at its own position."""
    loops = sum(isinstance(node, LOOPS) for node in ast.walk(outer))
    own = {ast.unparse(n) for n in ast.walk(outer) if _is_of(n, root(store))}
    read = any(_is_of(n, root(store)) and isinstance(n.ctx, ast.Load) for n in within(outer))
    return read and len(own) == 1 and loops == len(_indices(store) & counters) > 1


def _is_of(node: ast.AST, array: str) -> TypeGuard[ast.Subscript]:
    return isinstance(node, ast.Subscript) and root(node) == array
