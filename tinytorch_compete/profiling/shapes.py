"""Infer the shapes and dtypes of numpy's results, without any data."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
import numpy as np


class Array(msgspec.Struct, frozen=True):
    """An array of which only dtype and shape are known."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The size of all elements in bytes."""
        return self.size * self.dtype.itemsize


# A Python number stands for its type; only an ``int`` from a shape has its actual value.
Value: TypeAlias = Array | int | float | tuple[int, ...] | None


def result(values: Sequence[Value], kind: str = "") -> Array | None:
    """Return the result of an elementwise operation.

    With ``kind`` ``bool`` the result is boolean; with ``float`` integers give floats too.
    """
    operands = [value for value in values if isinstance(value, (Array, int, float))]
    arrays = [value for value in operands if isinstance(value, Array)]
    if len(operands) != len(values) or not arrays:
        return None
    try:
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
        types = [value.dtype if isinstance(value, Array) else value for value in operands]
        dtype = np.result_type(*types)
    except (TypeError, ValueError):
        return None
    if kind == "bool":
        dtype = np.dtype(bool)
    if kind == "float" and dtype.kind in "biu":
        if dtype.itemsize < 4:
            return None  # the result's dtype depends on the function
        dtype = np.dtype("f8")
    return Array(dtype, shape)


def matmul(left: Value, right: Value, dot: bool = False) -> tuple[Array, float] | None:
    """Return a matrix product and its operations, two for each multiply-add.

    Batches broadcast as in numpy's ``matmul``; ``dot`` has no batches.
    """
    if not isinstance(left, Array) or not isinstance(right, Array):
        return None
    if not left.shape or not right.shape or (dot and max(len(left.shape), len(right.shape)) > 2):
        return None
    one = left.shape if len(left.shape) > 1 else (1, *left.shape)
    two = right.shape if len(right.shape) > 1 else (*right.shape, 1)
    if one[-1] != two[-2]:
        return None
    try:
        batch = np.broadcast_shapes(one[:-2], two[:-2])
    except ValueError:
        return None
    rows = one[-2:-1] if len(left.shape) > 1 else ()
    columns = two[-1:] if len(right.shape) > 1 else ()
    product = Array(np.result_type(left.dtype, right.dtype), (*batch, *rows, *columns))
    return product, 2.0 * product.size * one[-1]


def einsum(subscripts: ast.expr, values: Sequence[Value]) -> tuple[Array, float] | None:
    """Return an einsum of one or two arrays with explicit axes, and its operations.

    It is counted as summed directly, with one operation per array for each combination of indices.
    """
    text = subscripts.value if isinstance(subscripts, ast.Constant) else None
    arrays = [value for value in values if isinstance(value, Array)]
    if not isinstance(text, str) or "->" not in text or len(arrays) != len(values):
        return None
    ins, _, out = text.replace(" ", "").partition("->")
    terms = ins.split(",")
    if len(terms) != len(arrays) or len(terms) > 2 or not ins.replace(",", "").isalpha():
        return None
    sizes: dict[str, int] = {}
    for term, array in zip(terms, arrays, strict=True):
        if len(term) != len(array.shape):
            return None
        for letter, size in zip(term, array.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                return None
    if not set(out) <= set(sizes):
        return None
    array = Array(np.result_type(*(a.dtype for a in arrays)), tuple(sizes[axis] for axis in out))
    return array, float(len(terms) * math.prod(sizes.values()))


def reduced(
    array: Array, values: Sequence[Value], options: Mapping[Any, ast.expr], name: str
) -> Array | None:
    """Return the result of a reduction, if its ``axis`` and ``keepdims`` are literals."""
    given: dict[Any, Any] = {"axis": values[0]} if values else {}
    try:
        given |= {key: ast.literal_eval(node) for key, node in options.items()}
    except ValueError:
        return None
    if set(given) - {"axis", "keepdims"} or len(values) > 1:
        return None
    axis = given.get("axis")
    axes = range(len(array.shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if not all(type(a) is int and -len(array.shape) <= a < len(array.shape) for a in axes):
        return None
    dropped = {a % len(array.shape) for a in axes}
    keepdims = given.get("keepdims", False) is True
    sizes = [(1 if n in dropped else size) for n, size in enumerate(array.shape)]
    shape = tuple(size for n, size in enumerate(sizes) if keepdims or n not in dropped)
    return Array(_reduced_dtype(array.dtype, name), shape)


def _reduced_dtype(dtype: np.dtype[Any], name: str) -> np.dtype[Any]:
    if name in ("all", "any"):
        return np.dtype(bool)
    if name.startswith("arg") or (name in ("sum", "prod") and dtype.kind in "biu"):
        return np.dtype("i8")
    return np.dtype("f8") if name == "mean" and dtype.kind in "biu" else dtype


def viewed(value: Value, index: ast.expr) -> Value:
    """Return the view that a literal index of numbers, slices and ``None`` selects.

    Raises ``ValueError``, ``IndexError`` or ``TypeError`` for any other.
    """
    at = _index(index)
    if isinstance(value, tuple):
        picked: Value = value[at]
        return picked
    if not isinstance(value, Array):
        raise ValueError("not an array")
    dummy = np.broadcast_to(np.empty((), value.dtype), value.shape)[at]
    return Array(value.dtype, dummy.shape)


def _index(node: ast.expr) -> Any:
    if isinstance(node, ast.Tuple):
        return tuple(_index(part) for part in node.elts)
    if isinstance(node, ast.Slice):
        parts = (node.lower, node.upper, node.step)
        return slice(*(None if part is None else ast.literal_eval(part) for part in parts))
    if isinstance(node, ast.Constant) and node.value in (None, Ellipsis):
        return node.value
    number = ast.literal_eval(node)
    if type(number) is not int:
        raise ValueError("not a basic index")
    return number
