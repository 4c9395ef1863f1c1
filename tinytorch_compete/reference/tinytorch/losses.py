"""Losses: the error of a batch of predictions as one differentiable number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .graph import Array
from .tensor import Operand, Tensor, as_tensor, record


class MSELoss:
    """The mean of (prediction - target)^2 over all elements."""

    def __call__(self, prediction: Tensor, target: Operand) -> Tensor:
        """The loss as a scalar; both arguments must have the same shape.

        Raises:
            ValueError: the shapes differ; (N, 1) and (N,) would otherwise broadcast to (N, N).
        """
        goal = as_tensor(target)
        if prediction.shape != goal.shape:
            raise ValueError(f"MSELoss needs equal shapes, got {prediction.shape} and {goal.shape}")
        difference = prediction - goal
        return (difference * difference).mean()


class CrossEntropyLoss:
    """The mean of -log softmax(logits)[label] over a batch, finite for finite logits.

    Softmax and logarithm are one operation: log softmax(z) = z - m - log sum exp(z - m) with
    m = max(z) can't overflow, and the gradient is (softmax(z) - onehot(label)) / N.
    """

    def __call__(self, logits: Tensor, labels: Operand) -> Tensor:
        """The loss as a scalar, from logits (N, classes) and labels (N,), integers from 0.

        Raises:
            ValueError: the shapes don't fit, the batch is empty, or a label is not a class.
        """
        classes = _class_indices(labels, logits.shape)
        rows = np.arange(len(classes))
        shifted = logits.data - logits.data.max(axis=1, keepdims=True)
        normaliser = np.log(np.exp(shifted).sum(axis=1))

        def backward(g: Array) -> tuple[Array]:
            gradient = np.exp(shifted - normaliser[:, None])
            gradient[rows, classes] -= 1
            gradient *= g / np.float32(len(classes))
            return (gradient,)

        return record((normaliser - shifted[rows, classes]).mean(), (logits,), backward)


def _class_indices(labels: Operand, logits: tuple[int, ...]) -> NDArray[np.intp]:
    """Check the labels and return them as indices; they may come as a float32 tensor."""
    values = np.asarray(labels)
    if len(logits) != 2 or values.shape != logits[:1] or logits[0] == 0:
        raise ValueError(
            f"CrossEntropyLoss needs logits (N, classes) and labels (N,), "
            f"got {logits} and {values.shape}"
        )
    indices = values.astype(np.intp)
    if not ((indices == values) & (indices >= 0) & (indices < logits[1])).all():
        raise ValueError(
            f"labels must be integers from 0 to {logits[1] - 1}, "
            f"got values from {values.min()} to {values.max()}"
        )
    return indices
