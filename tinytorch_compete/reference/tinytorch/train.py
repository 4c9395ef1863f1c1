"""The training loop, and prediction in the memory of one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .graph import Array, no_grad
from .optim import Optimizer
from .tensor import Tensor


class Trainer:
    """A model, the optimiser of its parameters, and the loss to minimise."""

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        optimizer: Optimizer,
        loss: Callable[[Tensor, Tensor], Tensor],
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.loss = loss

    def fit_epoch(self, batches: Iterable[tuple[Tensor, ...]]) -> float:
        """Take one step per batch of (inputs, targets), and return the mean loss per row.

        Raises:
            ValueError: there is no batch.
        """
        total, rows = 0.0, 0
        for inputs, targets in batches:
            self.optimizer.zero_grad()
            loss = self.loss(self.model(inputs), targets)
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(inputs)
            rows += len(inputs)
        if rows == 0:
            raise ValueError("an epoch needs at least one batch")
        return total / rows

    def predict(self, inputs: Tensor | NDArray[Any], batch_size: int = 256) -> Array:
        """The model's outputs, row by row, as an array; no graph is kept.

        ``inputs`` may be memory-mapped and of any dtype: it is converted batch by batch.
        """
        rows = inputs.data if isinstance(inputs, Tensor) else inputs
        with no_grad():
            starts = range(0, max(len(rows), 1), batch_size)
            batches = (Tensor(rows[start : start + batch_size]) for start in starts)
            outputs = [self.model(batch).data for batch in batches]
        return np.concatenate(outputs)
