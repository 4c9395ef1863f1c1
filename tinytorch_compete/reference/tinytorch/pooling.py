"""Max pooling by kh * kw strided comparisons; it keeps its input and result, and no index array."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .graph import Array
from .tensor import Tensor, record


def max_pool2d(x: Tensor, kernel_size: int, stride: int) -> Tensor:
    """The maximum of each square window: (N, C, H, W) -> (N, C, OH, OW).

    OH = (H - kernel_size) // stride + 1, and OW likewise: a border that fills no window is ignored.
    Of equal maxima, the first one, row by row, gets the whole gradient.

    Raises:
        ValueError: ``x`` is not (N, C, H, W), or smaller than a window.
    """
    if x.ndim != 4 or min(x.shape[2:]) < kernel_size:
        raise ValueError(
            f"max_pool2d needs (N, C, H, W) of at least {kernel_size} x {kernel_size}, "
            f"got {x.shape}"
        )
    first, *others = _places(x.data, kernel_size, stride)
    result = first.copy()
    for place in others:
        np.maximum(result, place, out=result)

    def backward(g: Array) -> tuple[Array]:
        x_gradient = np.zeros(x.shape, np.float32)
        open_windows = np.ones(result.shape, bool)
        into = _places(x_gradient, kernel_size, stride)
        for place, target in zip(_places(x.data, kernel_size, stride), into, strict=True):
            winners = (place == result) & open_windows
            open_windows ^= winners
            target[...] += g * winners
        return (x_gradient,)

    return record(result, (x,), backward)


def _places(images: Array, kernel: int, stride: int) -> Iterator[Array]:
    """Yield, for each position in the window, row by row, a view of all windows' values there."""
    down = ((images.shape[2] - kernel) // stride + 1) * stride
    across = ((images.shape[3] - kernel) // stride + 1) * stride
    for i in range(kernel):
        for j in range(kernel):
            yield images[:, :, i : i + down : stride, j : j + across : stride]
