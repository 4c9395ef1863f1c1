"""Two-dimensional convolution as matrix products, with a bounded amount of extra memory.

``im2col`` writes each window of an image as a column; the convolution is then one matrix product.
The columns are up to kh * kw times as large as the images, so they are built for a few images at a
time, and rebuilt in the backward pass instead of kept. Measured on one core, this doesn't slow down
training: rebuilding columns in the cache costs no more than fetching them from memory.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .graph import Array
from .tensor import Tensor, record

COLUMN_BYTES = 512 * 1024
"""Approximate bytes of columns that exist at a time, unless a single image needs more.

Training a small network on 32 x 32 images, on one core with 1 MiB of second-level cache:
8,300 images/s with 128 KiB, 10,000 with 512 KiB, 7,300 with 2 MiB, 6,800 with no bound.
"""


def conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0
) -> Tensor:
    """The cross-correlation of each image with each filter, as in every deep-learning framework.

    ``x`` is (N, C, H, W), ``weight`` (O, C, kh, kw), ``bias`` (O,), the result (N, O, OH, OW) with
    OH = (H + 2 * padding - kh) // stride + 1, and OW likewise. Padding is with zeros. The input's
    gradient is computed only if the input requires one.

    Raises:
        ValueError: the shapes don't fit, or the window is larger than the padded image.
    """
    out_height, out_width = output_size(x.shape, weight.shape, stride, padding)
    filters, kernel = weight.shape[0], (weight.shape[2], weight.shape[3])
    matrix = weight.data.reshape(filters, -1)
    places = out_height * out_width
    result = np.empty((len(x), filters, places), np.float32)
    for part in _parts(len(x), matrix.shape[1] * places):
        np.matmul(matrix, im2col(x.data[part], kernel, stride, padding), out=result[part])
    if bias is not None:
        result += bias.data[:, None]

    def backward(g: Array) -> tuple[Array | None, ...]:
        g = g.reshape(len(x), filters, places)
        x_gradient = np.empty(x.shape, np.float32) if x.requires_grad else None
        weight_gradient = np.zeros(matrix.shape, np.float32) if weight.requires_grad else None
        for part in _parts(len(x), matrix.shape[1] * places):
            if weight_gradient is not None:
                columns = im2col(x.data[part], kernel, stride, padding)
                for image_gradient, image_columns in zip(g[part], columns, strict=True):
                    weight_gradient += image_gradient @ image_columns.T
            if x_gradient is not None:
                images = x_gradient[part]
                images[...] = col2im(matrix.T @ g[part], images.shape, kernel, stride, padding)
        return (
            x_gradient,
            None if weight_gradient is None else weight_gradient.reshape(weight.shape),
            *(() if bias is None else (g.sum(axis=(0, 2)),)),
        )

    parents = (x, weight) if bias is None else (x, weight, bias)
    return record(result.reshape(len(x), filters, out_height, out_width), parents, backward)


def output_size(
    images: tuple[int, ...], weight: tuple[int, ...], stride: int, padding: int
) -> tuple[int, int]:
    """The numbers of windows that fit vertically and horizontally, (OH, OW); ValueError if none."""
    if len(images) != 4 or len(weight) != 4 or images[1] != weight[1]:
        raise ValueError(f"conv2d needs (N, C, H, W) and (O, C, kh, kw), got {images} and {weight}")
    if stride < 1 or padding < 0:
        raise ValueError(f"conv2d needs stride >= 1 and padding >= 0, got {stride} and {padding}")
    height = (images[2] + 2 * padding - weight[2]) // stride + 1
    width = (images[3] + 2 * padding - weight[3]) // stride + 1
    if height < 1 or width < 1:
        raise ValueError(
            f"a window of {weight[2:]} doesn't fit into images of {images} with padding {padding}"
        )
    return height, width


def im2col(images: Array, kernel: tuple[int, int], stride: int, padding: int) -> Array:
    """Write each window of each image as a column: (N, C, H, W) -> (N, C * kh * kw, OH * OW)."""
    windows = sliding_window_view(_pad(images, padding), kernel, axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride].transpose(0, 1, 4, 5, 2, 3)
    count, channels, kernel_height, kernel_width, height, width = windows.shape
    return windows.reshape(count, channels * kernel_height * kernel_width, height * width)


def col2im(
    columns: Array, shape: tuple[int, ...], kernel: tuple[int, int], stride: int, padding: int
) -> Array:
    """The adjoint of ``im2col``: each pixel gets the sum of its entries in all columns.

    It takes one strided addition per position in the window (kh * kw), instead of one per window.
    """
    count, channels, height, width = shape
    rows = (height + 2 * padding - kernel[0]) // stride + 1
    places = columns.reshape(count, channels, *kernel, rows, -1)
    down, across = rows * stride, places.shape[-1] * stride
    padded = np.zeros((count, channels, height + 2 * padding, width + 2 * padding), np.float32)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            padded[:, :, i : i + down : stride, j : j + across : stride] += places[:, :, i, j]
    return padded[:, :, padding : padding + height, padding : padding + width]


def _pad(images: Array, padding: int) -> Array:
    """Add a border of zeros to images; a plain copy takes half the time of ``np.pad``."""
    if padding == 0:
        return images
    count, channels, height, width = images.shape
    padded = np.zeros((count, channels, height + 2 * padding, width + 2 * padding), np.float32)
    padded[:, :, padding:-padding, padding:-padding] = images
    return padded


def _parts(count: int, column_floats: int) -> Iterator[slice]:
    """Slice the batch into parts of at most ``COLUMN_BYTES`` of columns, but at least one image."""
    step = max(1, COLUMN_BYTES // (4 * max(column_floats, 1)))
    return (slice(start, start + step) for start in range(0, count, step))
