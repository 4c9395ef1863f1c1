"""Non-linear functions of one tensor, each with a gradient that needs only the result."""

from __future__ import annotations

import numpy as np

from .graph import Array
from .tensor import Tensor, record


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x)) for each element, without overflow for any x.

    Written as (1 + tanh(x / 2)) / 2, which is the same function.
    """
    result: Array = np.tanh(x.data * 0.5)
    result *= 0.5
    result += 0.5
    return record(result, (x,), lambda g: (g * (result - result * result),))


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along one axis, without overflow: the maximum is subtracted first.

    The gradient is y * (g - sum(g * y)), the Jacobian diag(y) - y y^T applied to g.
    """
    result = np.exp(x.data - x.data.max(axis=axis, keepdims=True))
    result /= result.sum(axis=axis, keepdims=True)

    def backward(g: Array) -> tuple[Array]:
        return (result * (g - (g * result).sum(axis=axis, keepdims=True)),)

    return record(result, (x,), backward)
