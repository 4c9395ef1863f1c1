"""Data sets larger than memory, loaded in batches that fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .tensor import Tensor


class TensorDataset:
    """Arrays of equal length, such as images and labels, whose rows belong together.

    It takes tensors or numpy arrays of any dtype, memory-mapped ones too, and copies nothing: a row
    becomes float32 only when it is asked for.

    Raises:
        ValueError: there is no array, or their lengths differ.
    """

    def __init__(self, *arrays: Tensor | NDArray[Any]) -> None:
        self.arrays = tuple(a.data if isinstance(a, Tensor) else a for a in arrays)
        shapes = [a.shape for a in self.arrays]
        if not shapes or not all(shape and shape[0] == shapes[0][:1][0] for shape in shapes):
            raise ValueError(f"a data set needs arrays of one length, got shapes {shapes}")

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        """One tensor per array: the row at ``index``, or the rows of a slice or index array."""
        return tuple(Tensor(array[index]) for array in self.arrays)


class DataLoader:
    """The rows of a data set in batches: each epoch gives every row once, the last batch the rest.

    Iterating once is one epoch, and yields a tuple of tensors for each batch. With ``shuffle`` each
    epoch has its own order; the same ``seed`` gives the same sequence of orders. Besides one batch
    it holds the order, at 8 bytes per row. Each batch is a fresh copy: changing it doesn't change
    the data set.

    Raises:
        ValueError: ``batch_size`` is not positive.
    """

    def __init__(
        self,
        dataset: TensorDataset,
        batch_size: int = 32,
        shuffle: bool = False,
        seed: int | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self._rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        rows = len(self.dataset)
        order = self._rng.permutation(rows) if self.shuffle else np.arange(rows)
        for start in range(0, rows, self.batch_size):
            yield self.dataset[order[start : start + self.batch_size]]
