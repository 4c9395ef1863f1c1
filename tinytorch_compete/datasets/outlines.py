"""The outlines of shapes32's ten classes, as signed distances.

Each function takes the coordinates of pixels, in radii from the shape's centre with y downward, and
returns how far outside the shape they are, in radii: negative inside. The ten shapes have about the
same extent and differ in form alone. Only operations that round alike everywhere are used; see
``shapes32``.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]  # float32 throughout
Outline = Callable[[Floats, Floats], Floats]

_HALF_SQRT2 = np.float32(0.70710678)


def _disc(x: Floats, y: Floats) -> Floats:
    return np.sqrt(x * x + y * y) - 1


def _ring(x: Floats, y: Floats) -> Floats:
    return np.abs(np.sqrt(x * x + y * y) - 0.8) - 0.2


def _square(x: Floats, y: Floats) -> Floats:
    return np.maximum(np.abs(x), np.abs(y)) - 0.85


def _frame(x: Floats, y: Floats) -> Floats:
    distance: Floats = np.abs(np.maximum(np.abs(x), np.abs(y)) - 0.75) - 0.2
    return distance


def _triangle(x: Floats, y: Floats) -> Floats:
    return np.maximum(np.abs(x) * 0.866 - y * 0.5, y) - 0.55


def _plus(x: Floats, y: Floats) -> Floats:
    across, up = np.abs(x), np.abs(y)
    distance: Floats = np.maximum(np.minimum(across, up) - 0.28, np.maximum(across, up) - 1)
    return distance


def _cross(x: Floats, y: Floats) -> Floats:
    return _plus((x + y) * _HALF_SQRT2, (y - x) * _HALF_SQRT2)


def _bars(x: Floats, y: Floats) -> Floats:
    return np.maximum(np.abs(x) - 0.9, np.abs(np.abs(y) - 0.6) - 0.25)


def _crescent(x: Floats, y: Floats) -> Floats:
    bite = x - 0.55
    return np.maximum(_disc(x, y), 0.8 - np.sqrt(bite * bite + y * y))


def _bowtie(x: Floats, y: Floats) -> Floats:
    across = np.abs(x)
    return np.maximum(across - 0.9, (np.abs(y) - across) * _HALF_SQRT2)


# A class's number is its position in this dict.
OUTLINES: dict[str, Outline] = {
    "disc": _disc,
    "ring": _ring,
    "square": _square,
    "frame": _frame,
    "triangle": _triangle,
    "plus": _plus,
    "cross": _cross,
    "bars": _bars,
    "crescent": _crescent,
    "bowtie": _bowtie,
}
