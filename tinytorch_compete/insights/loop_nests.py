"""What nested loops over the elements of arrays compute: told from how they index."""

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
    """What a nest of loops computes: ``convolution``, ``matmul``, ``pixels`` or nothing known."""
    counters = _counters(outer)
    if _moves_window(outer, counters):
        planes = any(isinstance(part, ast.Slice) for part in ast.walk(store))
        return "convolution" if not planes or _reduces(code, outer) else ""
    if _is_product(code, outer, store):
        return "matmul"
    same = places(code, outer) and _same_place(outer, store)
    single = same or _hands_over(code, outer) or _elementwise(outer, store, counters)
    return "pixels" if single or _in_place(outer, store, counters) else ""


def is_product(node: ast.AST) -> bool:
    """Whether a list of lists holds sums of products along a row and a column."""
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
    """The outermost loops whose counters index what an inner loop writes, with that place.

    One loop over ``np.ndindex``, ``np.ndenumerate`` or a product of ranges is a nest by itself.
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
    """The name of a counter that stands for a place on all axes: that of ``np.ndindex``."""
    if not isinstance(loop, ast.For) or not _is_grid(code, loop):
        return ""
    both = loop.target if _hands_over(code, loop) else None
    return dotted(both.elts[0] if isinstance(both, ast.Tuple) else loop.target)


def _hands_over(code: Code, loop: Loop) -> bool:
    """Whether a loop gives each element with its place, so that no index reads it."""
    return isinstance(loop, ast.For) and code.numpy(loop.iter) == "ndenumerate"


def _is_grid(code: Code, loop: ast.For) -> bool:
    """Whether one loop goes through the places of several axes."""
    ranges = arguments(loop.iter)
    product = code.callee(loop.iter).split(".")[-1] == "product" and len(ranges) > 1
    by_numpy = code.numpy(loop.iter) in {"ndindex", "ndenumerate"}
    return by_numpy or (product and all(counted(r) for r in ranges))


def _axes(code: Code, loop: Loop, used: set[str]) -> int:
    """How many axes of what is written a loop goes along."""
    along = len(used & _bound(loop))
    if isinstance(loop, ast.For) and _is_grid(code, loop):
        return 2 if places(code, loop) in used else along
    return min(along, 1)


def _first(code: Code, around: Sequence[Loop], outer: Loop) -> Loop:
    """The outermost of the loops that count through places of an array."""
    return next((loop for loop in reversed(around) if _counts(code, loop)), outer)


def _counts(code: Code, loop: Loop) -> bool:
    # an epoch counts as well, but it indexes nothing
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
    """The element that a statement writes."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
    elif isinstance(node, ast.AugAssign):
        target = node.target
    else:
        return None
    return target if isinstance(target, ast.Subscript) else None


def _indices(target: ast.AST) -> set[str]:
    """The names in all subscripts of an element, ``i`` and ``j`` for ``c[i][j]``."""
    found: set[str] = set()
    while isinstance(target, ast.Subscript):
        parts = target.slice.elts if isinstance(target.slice, ast.Tuple) else [target.slice]
        found |= {name for part in parts if not isinstance(part, ast.Slice) for name in names(part)}
        target = target.value
    return found


def _bound(loop: Loop) -> set[str]:
    """The counters of a loop; of a ``while``, the names in its test that its own body raises."""
    if isinstance(loop, ast.For):
        return names(loop.target)
    raised = {dotted(s.target) for s in loop.body if isinstance(s, ast.AugAssign)}
    return raised & names(loop.test)


def _counters(outer: Loop) -> set[str]:
    loops = (node for node in ast.walk(outer) if isinstance(node, LOOPS))
    return {name for loop in loops for name in _bound(loop)}


def _moves_window(outer: Loop, counters: set[str]) -> bool:
    """Whether two counters are added in an index, or a slice begins at a counter, on two axes."""
    origins = _origins(outer, counters)
    for node in ast.walk(outer):
        if isinstance(node, ast.Subscript):
            parts = _parts(node)
            if sum(_adds(part, origins) or _window(part, origins) for part in parts) > 1:
                return True
    return False


def _parts(node: ast.AST) -> list[ast.expr]:
    """The indices of an element in their order, for ``c[i, j]`` and ``c[i][j]``."""
    found: list[ast.expr] = []
    while isinstance(node, ast.Subscript):
        own = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        found = [*own, *found]
        node = node.value
    return found


def _reduces(code: Code, outer: Loop) -> bool:
    """Whether windows are summed up in the loops, and not only copied somewhere."""
    for node in ast.walk(outer):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            return True
        if {code.numpy(node), method(node)} & REDUCING:
            return True
    return False


def _origins(outer: Loop, counters: set[str]) -> dict[str, set[str]]:
    """From which counters each name is computed, as ``top`` from y by ``top = y * stride``."""
    found = {name: {name} for name in counters}
    for node in within(outer):
        for name, value in assignments(node):
            simple = not any(isinstance(n, (ast.Subscript, ast.Call)) for n in ast.walk(value))
            if simple and (mixed := set().union(*(found.get(n, set()) for n in names(value)))):
                found[name] = found.get(name, set()) | mixed
    return found


def _adds(part: ast.expr, origins: dict[str, set[str]]) -> bool:
    """Whether an index is made from two counters: a place, and one in the window there."""
    if isinstance(part, ast.Slice):
        return False
    return len(set().union(*(origins.get(name, set()) for name in names(part)))) > 1


def _window(part: ast.expr, origins: dict[str, set[str]]) -> bool:
    """A slice from a place of the loops to that place plus something that isn't a whole plane."""
    if not isinstance(part, ast.Slice) or part.lower is None or part.upper is None or part.step:
        return False
    return bool(origins.keys() & names(part.lower)) and bool(origins.keys() & names(part.upper))


def _is_product(code: Code, outer: Loop, store: ast.expr) -> bool:
    """Whether what is stored is a sum over products of a row and a column."""
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
    """Whether a product is added up: by ``+=`` or by a sum around it."""
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
    """The index names of an element in their order, for ``c[i, j]`` and ``c[i][j]``."""
    found: list[str] = []
    while isinstance(store, ast.Subscript):
        parts = store.slice.elts if isinstance(store.slice, ast.Tuple) else [store.slice]
        found = [part.id for part in parts if isinstance(part, ast.Name)] + found
        store = store.value
    return found


def _indices_all(node: ast.AST) -> set[str]:
    found: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Subscript):
            found |= names(part.slice)
    return found


def _same_place(outer: Loop, store: ast.expr) -> bool:
    """Whether an array that stays as it is is read at the very index at which one is written."""
    written = changed([outer])
    index = ast.unparse(store.slice) if isinstance(store, ast.Subscript) else ""
    read = (n for n in ast.walk(outer) if isinstance(n, ast.Subscript) and root(n) not in written)
    return any(ast.unparse(n.slice) == index for n in read)


def _elementwise(outer: Loop, store: ast.expr, counters: set[str]) -> bool:
    """Whether two counters choose the element that is written, and another array is read there."""
    if len(_indices(store) & counters) < 2:
        return False
    for node in ast.walk(outer):
        read = isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load)
        if read and root(node) != root(store) and len(_indices(node) & counters) > 1:
            return True
    return False


def _in_place(outer: Loop, store: ast.expr, counters: set[str]) -> bool:
    """Whether the loops read and write one array, each pass at its own place and nowhere else."""
    loops = sum(isinstance(node, LOOPS) for node in ast.walk(outer))
    own = {ast.unparse(n) for n in ast.walk(outer) if _is_of(n, root(store))}
    read = any(_is_of(n, root(store)) and isinstance(n.ctx, ast.Load) for n in within(outer))
    return read and len(own) == 1 and loops == len(_indices(store) & counters) > 1


def _is_of(node: ast.AST, array: str) -> TypeGuard[ast.Subscript]:
    return isinstance(node, ast.Subscript) and root(node) == array
