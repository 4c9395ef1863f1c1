"""A float32 array that remembers how it was made, so that gradients can flow back through it."""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .graph import Array, Backward, Operation, backpropagate, is_recording

Axis: TypeAlias = int | tuple[int, ...] | None
Operand: TypeAlias = "Tensor | ArrayLike"


class Tensor:
    """An n-dimensional float32 array; operations on it are recorded if a gradient may be needed.

    ``data`` is the array. A float32 array is shared with the caller, anything else is converted to
    a copy. ``grad`` is an array of the same shape, or None before a backward pass; only tensors
    created with ``requires_grad=True`` get one. Arithmetic broadcasts as in numpy, and gradients
    are summed back to the shape of each operand.
    """

    __array_ufunc__ = None  # so that `ndarray + tensor` is left to Tensor.__radd__

    def __init__(self, data: ArrayLike, requires_grad: bool = False) -> None:
        self.data: Array = np.asarray(data, dtype=np.float32)
        self.grad: Array | None = None
        self.requires_grad = requires_grad
        self.operation: Operation | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.data.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.data.size

    @property
    def T(self) -> Tensor:  # noqa: N802 - the name that numpy uses
        """The tensor with its axes in reverse order."""
        return self.transpose()

    def __repr__(self) -> str:
        return f"Tensor({self.data!r}, requires_grad={self.requires_grad})"

    def __len__(self) -> int:
        return len(self.data)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """The data, for ``np.asarray(tensor)``; it carries no gradient."""
        return np.array(self.data, dtype=dtype) if copy else np.asarray(self.data, dtype=dtype)

    def item(self) -> float:
        """The only element as a Python float; ValueError if there are several."""
        return float(self.data.item())

    def detach(self) -> Tensor:
        """A tensor that shares this one's data and none of its history."""
        return Tensor(self.data)

    def backward(self, gradient: ArrayLike | None = None) -> None:
        """Add this tensor's gradient to the ``.grad`` of each leaf, and release the graph.

        ``gradient`` has this tensor's shape; for a single element it is optional and defaults to 1.

        Raises:
            ValueError: the gradient has another shape, or is missing and needed.
            RuntimeError: nothing here requires a gradient, or the graph was released before.
        """
        if not self.requires_grad:
            raise RuntimeError("backward() on a tensor that requires no gradient")
        if gradient is None and self.size != 1:
            raise ValueError(f"backward() of shape {self.shape} needs a gradient of that shape")
        start = np.ones_like(self.data) if gradient is None else Tensor(gradient).data
        if start.shape != self.shape:
            raise ValueError(f"backward() of shape {self.shape} got a gradient of {start.shape}")
        backpropagate(self, start)

    def __add__(self, other: Operand) -> Tensor:
        a, b = self, as_tensor(other)
        return record(a.data + b.data, (a, b), lambda g: (_fit(g, a), _fit(g, b)))

    def __mul__(self, other: Operand) -> Tensor:
        a, b = self, as_tensor(other)

        def backward(g: Array) -> tuple[Array | None, ...]:
            return (
                _fit(g * b.data, a) if a.requires_grad else None,
                _fit(g * a.data, b) if b.requires_grad else None,
            )

        return record(a.data * b.data, (a, b), backward)

    def __pow__(self, exponent: float) -> Tensor:
        """Each element to a constant power."""
        exponent = float(exponent)  # a numpy float64 would make the result float64
        return record(
            self.data**exponent,
            (self,),
            lambda g: (g * (exponent * self.data ** (exponent - 1)),),
        )

    def __neg__(self) -> Tensor:
        return record(-self.data, (self,), lambda g: (-g,))

    def __sub__(self, other: Operand) -> Tensor:
        a, b = self, as_tensor(other)
        return record(
            a.data - b.data,
            (a, b),
            lambda g: (_fit(g, a), _fit(-g, b) if b.requires_grad else None),
        )

    def __truediv__(self, other: Operand) -> Tensor:
        a, b = self, as_tensor(other)

        def backward(g: Array) -> tuple[Array | None, ...]:
            quotient = g / b.data
            return (
                _fit(quotient, a) if a.requires_grad else None,
                _fit(-quotient * a.data / b.data, b) if b.requires_grad else None,
            )

        return record(a.data / b.data, (a, b), backward)

    def __radd__(self, other: ArrayLike) -> Tensor:
        return self + other

    def __rmul__(self, other: ArrayLike) -> Tensor:
        return self * other

    def __rsub__(self, other: ArrayLike) -> Tensor:
        return as_tensor(other) - self

    def __rtruediv__(self, other: ArrayLike) -> Tensor:
        return as_tensor(other) / self

    def __matmul__(self, other: Operand) -> Tensor:
        return self.matmul(other)

    def matmul(self, other: Operand) -> Tensor:
        """The matrix product (..., n, k) x (..., k, m) -> (..., n, m); leading axes broadcast.

        Raises:
            ValueError: an operand has fewer than two axes, or the shapes don't fit.
        """
        a, b = self, as_tensor(other)
        if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
            raise ValueError(f"matmul needs (..., n, k) and (..., k, m), got {a.shape}, {b.shape}")

        def backward(g: Array) -> tuple[Array | None, ...]:
            return (
                _fit(g @ b.data.swapaxes(-1, -2), a) if a.requires_grad else None,
                _right_gradient(a, b, g) if b.requires_grad else None,
            )

        return record(a.data @ b.data, (a, b), backward)

    def exp(self) -> Tensor:
        """e to the power of each element."""
        result = np.exp(self.data)
        return record(result, (self,), lambda g: (g * result,))

    def log(self) -> Tensor:
        """The natural logarithm of each element."""
        return record(np.log(self.data), (self,), lambda g: (g / self.data,))

    def relu(self) -> Tensor:
        """Each element if it is positive, else 0; the slope at 0 is taken as 0."""
        result = np.maximum(self.data, np.float32(0))
        return record(result, (self,), lambda g: (g * (result > 0),))

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """The sum over the given axes, or over all."""

        def backward(g: Array) -> tuple[Array]:
            return (np.broadcast_to(_restore(g, axis, keepdims), self.shape),)

        result = self.data.sum(axis=axis, keepdims=True)
        return record(result if keepdims else result.squeeze(axis), (self,), backward)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """The mean over the given axes, or over all."""
        total = self.sum(axis, keepdims)
        return total / (self.size // max(total.size, 1))

    def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """The maximum over the given axes, or over all; equal maxima share the gradient equally."""
        result = self.data.max(axis=axis, keepdims=True)

        def backward(g: Array) -> tuple[Array]:
            winners = (self.data == result).astype(np.float32)
            share = winners / winners.sum(axis=axis, keepdims=True)
            return (share * _restore(g, axis, keepdims),)

        return record(result if keepdims else result.squeeze(axis), (self,), backward)

    def reshape(self, *shape: int | tuple[int, ...]) -> Tensor:
        """The same elements in another shape, as ``reshape(2, 3)`` or ``reshape((2, 3))``."""
        target = shape[0] if len(shape) == 1 else shape
        data = self.data.reshape(target)  # type: ignore[arg-type]
        return record(data, (self,), lambda g: (g.reshape(self.shape),))

    def transpose(self, *axes: int) -> Tensor:
        """The axes in the given order, or reversed when none is given."""
        order = axes or tuple(reversed(range(self.ndim)))
        back = np.argsort(order)
        return record(self.data.transpose(order), (self,), lambda g: (g.transpose(back),))

    def __getitem__(self, index: Any) -> Tensor:
        """The part that numpy's indexing selects; an element selected twice gets both gradients."""

        def backward(g: Array) -> tuple[Array]:
            full = np.zeros(self.shape, np.float32)
            if _is_basic(index):
                full[index] = g
            else:
                np.add.at(full, index, g)
            return (full,)

        return record(self.data[index], (self,), backward)


def as_tensor(value: Operand) -> Tensor:
    """The value itself if it is a tensor, else a tensor of it that requires no gradient."""
    return value if isinstance(value, Tensor) else Tensor(value)


def record(data: ArrayLike, parents: Sequence[Tensor], backward: Backward) -> Tensor:
    """Make a tensor of an operation's result, linked to its parents if any needs a gradient.

    This is the only way into the graph: a new operation computes its result with numpy and calls
    this function. See ``Operation`` for what ``backward`` must do.
    """
    result = Tensor(data)
    if is_recording() and any(parent.requires_grad for parent in parents):
        result.requires_grad = True
        result.operation = Operation(tuple(parents), backward)
    return result


def _fit(gradient: Array, operand: Tensor) -> Array:
    """Sum a gradient over the axes along which its operand was broadcast."""
    if gradient.shape == operand.shape:
        return gradient
    added = gradient.ndim - operand.ndim
    stretched = (i + added for i, length in enumerate(operand.shape) if length == 1)
    total: Array = gradient.sum(axis=(*range(added), *stretched), keepdims=True)
    return total.reshape(operand.shape)


def _restore(gradient: Array, axis: Axis, keepdims: bool) -> Array:
    """Restore, with length 1, the axes that a reduction removed."""
    if keepdims or axis is None:
        return gradient
    return np.expand_dims(gradient, axis)


def _right_gradient(a: Tensor, b: Tensor, g: Array) -> Array:
    """The gradient of ``b`` in ``a @ b``; for a matrix ``b``, one product over all leading axes."""
    if b.ndim == 2:
        return a.data.reshape(-1, a.shape[-1]).T @ g.reshape(-1, g.shape[-1])
    return _fit(a.data.swapaxes(-1, -2) @ g, b)


def _is_basic(index: Any) -> bool:
    """True if an index can't select an element twice: integers, slices, ``...`` and None."""
    parts = index if isinstance(index, tuple) else (index,)
    basic = (int, np.integer, slice, EllipsisType, type(None))
    return all(isinstance(part, basic) and not isinstance(part, bool) for part in parts)
