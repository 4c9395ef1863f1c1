"""Shapes32: CIFAR-10-sized images that any machine can generate, in any number, without a download.

Each image is 32 x 32 RGB and shows one of ten shapes at a random position, size and tilt, darker or
lighter than a shaded background, among small discs that mean nothing, under noise. A linear model
can't classify them, because the contrast's sign is a coin toss; a small convolutional network can.
The measured accuracies are in ``benchmarks/shapes32.py``.

The bytes are the same on every platform and numpy version: random numbers come only from the raw
64-bit output of PCG64, which numpy guarantees (NEP 19), and arithmetic is float32 with
+ - * / sqrt abs min max alone, each of which IEEE 754 rounds exactly and which numpy applies one
at a time, so that nothing is fused.
"""

from math import prod

import numpy as np
from numpy.random import PCG64, SeedSequence
from numpy.typing import NDArray

from tinytorch_compete.datasets.outlines import OUTLINES, Floats
from tinytorch_compete.datasets.splits import Bytes, Pair
from tinytorch_compete.errors import DataError

SIDE = 32
CLASSES = tuple(OUTLINES)
# Increase it whenever the bytes change: names of caches and golden digests contain it.
VERSION = 1

_CHUNK = 256  # images; 1 MiB per float32 plane, 10 MiB in total (by tracemalloc)
_DISTRACTORS = 4


def generate(n: int, seed: int) -> Pair:
    """Return ``n`` images, uint8 (n, 32, 32, 3), and their labels, uint8 (n,), fixed by ``seed``.

    Each class occurs n // 10 times or once more, in an order that reveals nothing. Besides the
    result, it needs about 10 MiB, and 24 bytes per image for the order.

    Raises:
        DataError: ``n`` or ``seed`` is negative.
    """
    if n < 0 or seed < 0:
        raise DataError(f"shapes32: n={n}, seed={seed}: both must be 0 or more.")
    labels = _labels(n, PCG64(SeedSequence(seed, spawn_key=(0,))))
    images = np.empty((n, SIDE, SIDE, 3), np.uint8)
    for number, start in enumerate(range(0, n, _CHUNK), start=1):
        part = slice(start, start + _CHUNK)
        images[part] = _draw(labels[part], PCG64(SeedSequence(seed, spawn_key=(number,))))
    return images, labels


def _labels(n: int, bits: PCG64) -> Bytes:
    order = np.argsort(_raw(bits, n), kind="stable")
    return (order % len(CLASSES)).astype(np.uint8)


def _draw(labels: Bytes, bits: PCG64) -> Bytes:
    n = len(labels)
    canvas, ink = _background_and_ink(n, bits)
    canvas = _paint(canvas, ink, _coverage(labels, bits))
    for _ in range(_DISTRACTORS):
        canvas = _paint(canvas, _uniform(bits, (n, 1, 1, 3), 0, 255), _speck(n, bits))
    canvas += _noise(n, bits)
    return np.minimum(np.maximum(canvas, 0), 255).astype(np.uint8)


def _background_and_ink(n: int, bits: PCG64) -> tuple[Floats, Floats]:
    """Return a shaded background (n, 32, 32, 3) and a lighter or darker colour for the shape."""
    y, x = _grid()
    base = _uniform(bits, (n, 1, 1, 3), 90, 165)
    along = _uniform(bits, (n, 1, 1), -1, 1) * x + _uniform(bits, (n, 1, 1), -1, 1) * y
    shade = _uniform(bits, (n, 1, 1, 3), -2, 2)
    sign = np.where(_uniform(bits, (n, 1, 1, 1), 0, 1) < 0.5, np.float32(-1), np.float32(1))
    ink = base + sign * _uniform(bits, (n, 1, 1, 3), 45, 90)
    return base + shade * along[..., None], ink


def _coverage(labels: Bytes, bits: PCG64) -> Floats:
    """Return how much of each pixel the shape covers, 0 to 1, (n, 32, 32)."""
    n = len(labels)
    radius = _uniform(bits, (n, 1, 1), 6.5, 9.5)
    u, v = _tilted(n, radius, bits)
    distance = np.empty((n, SIDE, SIDE), np.float32)
    for label, outline in enumerate(OUTLINES.values()):
        selected = labels == label
        distance[selected] = outline(u[selected], v[selected])
    return _soft(distance * radius)


def _tilted(n: int, radius: Floats, bits: PCG64) -> tuple[Floats, Floats]:
    """Return the grid in each shape's own coordinates: centre 0, radius 1, its axes level.

    Cosine and sine come from t = tan(angle / 2), as (1 - t*t) / (1 + t*t) and 2*t / (1 + t*t),
    because a library's sine differs between platforms. |t| < 0.15 is an angle under 17 degrees.
    """
    y, x = _grid()
    x = (x - _uniform(bits, (n, 1, 1), -9.5, 9.5)) / radius
    y = (y - _uniform(bits, (n, 1, 1), -9.5, 9.5)) / radius
    t = _uniform(bits, (n, 1, 1), -0.15, 0.15)
    cos, sin = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    return cos * x + sin * y, cos * y - sin * x


def _speck(n: int, bits: PCG64) -> Floats:
    """Return the coverage of one small disc that has nothing to do with the label."""
    y, x = _grid()
    x = x - _uniform(bits, (n, 1, 1), -16, 16)
    y = y - _uniform(bits, (n, 1, 1), -16, 16)
    return _soft(np.sqrt(x * x + y * y) - _uniform(bits, (n, 1, 1), 1, 2.5))


def _noise(n: int, bits: PCG64) -> Floats:
    words = _raw(bits, n * SIDE * SIDE * 3 // 8).astype("<u8")
    level = words.view(np.uint8).reshape(n, SIDE, SIDE, 3).astype(np.float32) - 127.5
    return level * _uniform(bits, (n, 1, 1, 1), 0.1, 0.4)


def _paint(canvas: Floats, ink: Floats, coverage: Floats) -> Floats:
    return canvas + (ink - canvas) * coverage[..., None]


def _soft(distance: Floats) -> Floats:
    """Turn a signed distance in pixels into coverage, with an edge one pixel wide."""
    coverage: Floats = np.minimum(np.maximum(0.5 - distance, 0), 1)
    return coverage


def _grid() -> tuple[Floats, Floats]:
    axis = np.arange(SIDE, dtype=np.float32) - 15.5
    return axis[None, :, None], axis[None, None, :]


def _uniform(bits: PCG64, shape: tuple[int, ...], low: float, high: float) -> Floats:
    """Return numbers in [low, high), float32, from the top 24 bits of each raw word."""
    unit = (_raw(bits, prod(shape)) >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
    return (np.float32(low) + np.float32(high - low) * unit).reshape(shape)


def _raw(bits: PCG64, n: int) -> NDArray[np.uint64]:
    return np.asarray(bits.random_raw(n), dtype=np.uint64)
