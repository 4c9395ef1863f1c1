"""Estimate a line's arithmetic and memory traffic from its syntax tree and its operands' shapes.

We count as is usual: a product of m x k and k x n matrices is 2mnk operations (Golub and Van Loan,
"Matrix Computations", 4th edition, 2013, section 1.1.15), an elementwise function or a reduction
one for each element, a copy none. Each operation reads its operands once and writes its result
once, as each call of numpy does; views move nothing. Expressions that can't be read, such as calls
of the student's own functions, are left out, and the line is then not ``whole``.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from tinytorch_compete.profiling.shapes import Array, Value, einsum, matmul, reduced, result, viewed
from tinytorch_compete.source.code import Code, read
from tinytorch_compete.source.syntax import dotted

MOST_PATHS = 12
LARGE = 2**20  # bytes; smaller results mostly reuse memory that others have freed
SIMPLE = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Expr)
HIDDEN = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.IfExp)
HIDDEN_TOO = (ast.BoolOp, ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
VIEWS = frozenset({"T", "shape", "ndim", "size", "dtype"})
PRODUCTS = frozenset({"matmul", "dot", "einsum"})
FLOATING = frozenset(
    "divide true_divide exp exp2 expm1 log log2 log1p sqrt tanh sin cos reciprocal".split()
)
ELEMENTWISE = frozenset(
    "add subtract multiply maximum minimum power abs absolute negative square sign where clip "
    "fabs".split()
)
COMPARISONS = frozenset("greater greater_equal less less_equal equal not_equal isnan".split())
REDUCTIONS = frozenset("sum mean max min prod argmax argmin amax amin all any".split())
VIEWING = frozenset({"reshape", "swapaxes", "transpose"})


class Work(msgspec.Struct, frozen=True):
    """Operations and bytes of one hit; its numpy ``calls``; the ``dtype`` of the heaviest's result.

    ``new_bytes`` count results of ``LARGE`` bytes or more that need new memory. ``whole`` says that
    nothing else on the line takes noticeable time.
    """

    flops: float
    moved_bytes: float
    new_bytes: float
    calls: int
    dtype: str
    whole: bool


def watched(texts: Mapping[str, str]) -> dict[str, dict[int, list[str]]]:
    """Return by source and line the dotted names whose shapes determine the line's work."""
    watch = {}
    for code in read(texts):
        lines = {number: _paths(node) for number, node in statements(code).items()}
        watch[code.name] = {number: paths for number, paths in lines.items() if paths}
    return {name: lines for name, lines in watch.items() if lines}


def statements(code: Code) -> dict[int, ast.stmt]:
    """Return by line the statements that have a line to themselves, and so its whole cost."""
    lines: dict[int, list[ast.stmt]] = {}
    for node in ast.walk(code.tree):
        if isinstance(node, ast.stmt):
            lines.setdefault(node.lineno, []).append(node)
    return {
        number: nodes[0]
        for number, nodes in lines.items()
        if len(nodes) == 1 and isinstance(nodes[0], SIMPLE) and nodes[0].end_lineno == number
    }


def work(statement: ast.stmt, arrays: Mapping[str, tuple[str, tuple[int, ...]]]) -> Work | None:
    """Return the work of one hit with these arrays; ``None`` if no operation can be read."""
    reader = _Reader({path: _value(*facts) for path, facts in arrays.items()})
    try:
        reader.statement(statement)
    except OverflowError:  # shapes that no real array can have
        return None
    if not reader.calls:
        return None
    return Work(
        reader.flops, reader.bytes, reader.new_bytes, reader.calls, reader.dtype, reader.whole
    )


def _value(dtype: str, shape: tuple[int, ...]) -> Value:
    # A Python number's value is unknown; ``True`` is not taken as a size, and promotes no array.
    numbers: dict[str, Value] = {"int": True, "float": 1.0, "bool": True}
    try:
        return numbers.get(dtype) or Array(np.dtype(dtype), shape)
    except TypeError:
        return None


def _paths(statement: ast.stmt) -> list[str]:
    if not any(isinstance(n, (ast.BinOp, ast.AugAssign, ast.Call)) for n in ast.walk(statement)):
        return []
    return list(dict.fromkeys(_names(statement)))[:MOST_PATHS]


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, (*HIDDEN, *HIDDEN_TOO)):
        return
    path = dotted(node)
    while path.rpartition(".")[2] in VIEWS and "." in path:
        path = path.rpartition(".")[0]
    if path and path.partition(".")[0] not in ("np", "numpy"):
        yield path
    elif isinstance(node, ast.Call) and dotted(node.func):
        if "." in (method := dotted(node.func)) and not method.startswith(("np.", "numpy.")):
            yield from _names(node.func.value)  # type: ignore[attr-defined]
        for child in (*node.args, *node.keywords):
            yield from _names(child)
    elif not path:
        for child in ast.iter_child_nodes(node):
            yield from _names(child)


class _Reader:
    """Walks one statement and adds up its operations."""

    def __init__(self, names: Mapping[str, Value]) -> None:
        self._names = names
        self.flops = self.bytes = self.new_bytes = 0.0
        self.calls, self.dtype, self.whole = 0, "", True
        self._most = 0.0

    def statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.AugAssign):
            self._aug(node)
        elif (expression := getattr(node, "value", None)) is not None:
            self.value(expression)
            targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
            # Stores into parts of an array move bytes by rules of their own.
            self.whole &= all(t is None or bool(dotted(t)) for t in targets)

    def value(self, node: ast.AST) -> Value:
        """Return the value of an expression, as far as it is known."""
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            return node.value
        if (path := dotted(node)) in self._names:
            return self._names[path]
        readers: dict[type[ast.AST], Callable[[Any], Value]] = {
            ast.BinOp: self._binary,
            ast.UnaryOp: self._unary,
            ast.Compare: self._compare,
            ast.Call: self._call,
            ast.Attribute: self._attribute,
            ast.Subscript: self._subscript,
            ast.Tuple: self._tuple,
        }
        return readers.get(type(node), self._unknown)(node)

    def _aug(self, node: ast.AugAssign) -> None:
        value, target = self.value(node.value), self.value(node.target)
        if isinstance(node.op, ast.MatMult):
            self.whole = False
        elif isinstance(target, Array) and value is not None:
            fits = result([target, value]) is not None
            self._add(target if fits else None, [target, value], target.size, True)
        else:
            self.whole = False

    def _binary(self, node: ast.BinOp) -> Value:
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(node.op, ast.MatMult):
            return self._product(matmul(left, right), [left, right])
        same = ast.dump(node.left) == ast.dump(node.right)
        return self._each([left, right], [left] if same else [left, right], _kind(node.op))

    def _unary(self, node: ast.UnaryOp) -> Value:
        value = self.value(node.operand)
        if isinstance(value, Array):
            return self._each([value], [value])
        return -value if type(value) is int and isinstance(node.op, ast.USub) else value

    def _compare(self, node: ast.Compare) -> Value:
        values = [self.value(part) for part in (node.left, *node.comparators)]
        return self._each(values, values, "bool") if len(values) == 2 else self._unknown()

    def _attribute(self, node: ast.Attribute) -> Value:
        value = self.value(node.value)
        if isinstance(value, Array) and node.attr == "T":
            return Array(value.dtype, value.shape[::-1])
        if isinstance(value, Array) and node.attr == "shape":
            return value.shape
        return self._unknown()

    def _subscript(self, node: ast.Subscript) -> Value:
        value = self.value(node.value)
        try:
            return viewed(value, node.slice)
        except (ValueError, IndexError, TypeError):
            for part in ast.iter_child_nodes(node.slice):
                self.value(part)
            return self._unknown()

    def _tuple(self, node: ast.Tuple) -> Value:
        parts = [self.value(part) for part in node.elts]
        numbers = tuple(part for part in parts if type(part) is int)
        return numbers if len(numbers) == len(parts) else None

    def _call(self, node: ast.Call) -> Value:
        name = dotted(node.func)
        root, _, function = name.partition(".")
        options = {word.arg: word.value for word in node.keywords}
        if root in ("np", "numpy"):
            if function == "einsum" and node.args and not set(options) - {"optimize"}:
                values = [self.value(part) for part in node.args[1:]]
                return self._product(einsum(node.args[0], values), values)
            return self._function(function, [self.value(part) for part in node.args], options)
        if isinstance(node.func, ast.Attribute):
            owner = self.value(node.func.value)
            if isinstance(owner, Array):
                if node.func.attr == "astype" and len(node.args) == 1:
                    return self._cast(owner, node.args[0])
                values = [owner, *(self.value(part) for part in node.args)]
                return self._function(node.func.attr, values, options)
        for part in (*node.args, *options.values()):
            self.value(part)
        return self._unknown()

    def _function(self, name: str, values: list[Value], options: dict[Any, ast.expr]) -> Value:
        first = values[0] if values else None
        if name in PRODUCTS and len(values) == 2 and not set(options) - {"out"}:
            return self._product(matmul(first, values[1], name == "dot"), values, "out" in options)
        kind = "bool" if name in COMPARISONS else "float" if name in FLOATING else ""
        if (kind or name in ELEMENTWISE) and not set(options) - {"out"}:
            return self._each(values, values, kind, "out" in options)
        if name in ("float32", "float64") and isinstance(first, (int, float)):
            return Array(np.dtype(name), ())
        if name in REDUCTIONS and isinstance(first, Array):
            reduction = reduced(first, values[1:], options, name)
            return self._add(reduction, [first], first.size) if reduction else self._unknown()
        if name == "copy" and isinstance(first, Array) and len(values) == 1:
            return self._add(first, [first], 0)
        if name in VIEWING and isinstance(first, Array):
            return _reshaped(name, first, values[1:]) or self._unknown()
        return self._unknown()

    def _cast(self, array: Array, to: ast.expr) -> Value:
        word = to.value if isinstance(to, ast.Constant) else dotted(to).rpartition(".")[2]
        try:
            return self._add(Array(np.dtype(str(word)), array.shape), [array], 0)
        except TypeError:
            return self._unknown()

    def _each(
        self, values: list[Value], operands: list[Value], kind: str = "", placed: bool = False
    ) -> Value:
        """Add an elementwise operation; on Python numbers alone it is not numpy's."""
        if all(isinstance(value, (int, float)) for value in values):
            return 1.0
        array = result(values, kind)
        return self._add(array, operands, array.size, placed) if array else self._unknown()

    def _product(
        self, product: tuple[Array, float] | None, values: Sequence[Value], placed: bool = False
    ) -> Value:
        return self._add(product[0], values, product[1], placed) if product else self._unknown()

    def _add(
        self, array: Array | None, values: Sequence[Value], flops: float, placed: bool = False
    ) -> Value:
        if array is None:
            return self._unknown()
        moved = array.nbytes + math.fsum(v.nbytes for v in values if isinstance(v, Array))
        self.calls += 1
        self.flops += flops
        self.bytes += moved
        if array.nbytes >= LARGE and not placed:
            self.new_bytes += array.nbytes
        if flops + moved > self._most:  # the heaviest operation's dtype is the line's
            self._most, self.dtype = flops + moved, array.dtype.name
        return array

    def _unknown(self, _: ast.AST | None = None) -> Value:
        self.whole = False
        return None


def _kind(operator: ast.operator) -> str:
    return "float" if isinstance(operator, ast.Div) else ""


def _reshaped(name: str, array: Array, values: list[Value]) -> Array | None:
    """Return a view of an array in another shape; an axis of -1 takes the remaining size."""
    parts = values[0] if len(values) == 1 and isinstance(values[0], tuple) else values
    sizes = [size for size in parts if type(size) is int]
    if len(sizes) != len(parts):
        return None
    axes = list(array.shape)
    try:
        if name == "swapaxes":
            axes[sizes[0]], axes[sizes[1]] = axes[sizes[1]], axes[sizes[0]]
            return Array(array.dtype, tuple(axes))
        if name == "transpose":
            order = sizes or range(len(axes))[::-1]
            return Array(array.dtype, tuple(axes[axis] for axis in order))
    except IndexError:
        return None
    given = math.prod(size for size in sizes if size >= 0)
    shape = [array.size // max(given, 1) if size < 0 else size for size in sizes]
    return Array(array.dtype, tuple(shape)) if math.prod(shape) == array.size else None
