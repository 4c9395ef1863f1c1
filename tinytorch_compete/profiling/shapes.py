"""Shapes and dtypes of what numpy would return, without any data."""

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
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes they take."""
        return self.size * self.dtype.itemsize


# A Python number stands for its kind: only of an ``int`` in a shape the value is known.
Value: TypeAlias = Array | int | float | tuple[int, ...] | None


def result(values: Sequence[Value], kind: str = "") -> Array | None:
    """What an elementwise operation returns; ``kind`` is ``bool``, or ``float`` of integers too."""
    known = [value for value in values if isinstance(value, (Array, int, float))]
    arrays = [value for value in known if isinstance(value, Array)]
    if len(known) != len(values) or not arrays:
        return None
    try:
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
        types = [value.dtype if isinstance(value, Array) else value for value in known]
        dtype = np.result_type(*types)
    except (TypeError, ValueError):
        return None
    if kind == "bool":
        dtype = np.dtype(bool)
    if kind == "float" and dtype.kind in "biu":
        if dtype.itemsize < 4:
            return None  # it depends on the function
        dtype = np.dtype("f8")
    return Array(dtype, shape)


def matmul(left: Value, right: Value, dot: bool = False) -> tuple[Array, float] | None:
    """A matrix product and its operations, two for each element that is multiplied and added.

    Batches broadcast as numpy's ``matmul`` does; ``dot`` has none.
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
    made = Array(np.result_type(left.dtype, right.dtype), (*batch, *rows, *columns))
    return made, 2.0 * made.size * one[-1]


def einsum(subscripts: ast.expr, values: Sequence[Value]) -> tuple[Array, float] | None:
    """An einsum of one or two arrays with its axes spelt out, and its operations.

    Summed directly, each combination of indices is one product and one sum.
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
    made = Array(np.result_type(*(a.dtype for a in arrays)), tuple(sizes[axis] for axis in out))
    return made, float(len(terms) * math.prod(sizes.values()))


def reduced(
    array: Array, values: Sequence[Value], options: Mapping[Any, ast.expr], name: str
) -> Array | None:
    """What a reduction returns, if its ``axis`` and ``keepdims`` are written out."""
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
    gone = {a % len(array.shape) for a in axes}
    kept = given.get("keepdims", False) is True
    sizes = [(1 if n in gone else size) for n, size in enumerate(array.shape)]
    shape = tuple(size for n, size in enumerate(sizes) if kept or n not in gone)
    return Array(_reduced_dtype(array.dtype, name), shape)


def _reduced_dtype(dtype: np.dtype[Any], name: str) -> np.dtype[Any]:
    if name in ("all", "any"):
        return np.dtype(bool)
    if name.startswith("arg") or (name in ("sum", "prod") and dtype.kind in "biu"):
        return np.dtype("i8")
    return np.dtype("f8") if name == "mean" and dtype.kind in "biu" else dtype


def viewed(value: Value, index: ast.expr) -> Value:
    """What an index that is written out in numbers, slices and ``None`` picks, which moves nothing.

    Raises ``ValueError``, ``IndexError`` or ``TypeError`` for any other.
    """
    at = _index(index)
    if isinstance(value, tuple):
        picked: Value = value[at]
        return picked
    if not isinstance(value, Array):
        raise ValueError("no array")
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
    found = ast.literal_eval(node)
    if type(found) is not int:
        raise ValueError("no basic index")
    return found
