"""Splits of a data set, and balanced draws that are the same on every machine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.random import PCG64, SeedSequence
from numpy.typing import NDArray

from tinytorch_compete.errors import DataError

Bytes = NDArray[np.uint8]
Pair = tuple[Bytes, Bytes]
"""Images, uint8 (n, ...), and their labels, uint8 (n,)."""

Progress = Callable[[int, int], None]
"""Called with the bytes received so far and the bytes expected in total."""

Purpose = Literal["train", "public", "holdout", "reserve"]
# Any distinct numbers would do; changing one changes every split drawn with it.
_PURPOSES: dict[Purpose, int] = {"train": 1, "public": 2, "holdout": 3, "reserve": 4}


class SplitRequest(msgspec.Struct, frozen=True):
    """The arguments of ``prepare`` that decide the splits."""

    train: int  # images
    public: int  # images
    source: Path | None  # a folder that already holds the data
    archives: Path  # where downloads are kept
    progress: Progress | None


class Splits(msgspec.Struct, frozen=True):
    """The arrays of one prepared data set."""

    train: Pair
    public: Pair
    reserve: Pair | None  # the source of holdouts; None if they are generated


def stream(purpose: Purpose, seed: int) -> int:
    """Return a 128-bit seed that no other purpose and no other ``seed`` gives.

    Raises:
        DataError: ``seed`` is negative.
    """
    if seed < 0:
        raise DataError(f"data: the seed for {purpose} is {seed}; pass 0 or more.")
    words: Any = SeedSequence(seed, spawn_key=(_PURPOSES[purpose],)).generate_state(2, np.uint64)
    return int(words[0]) << 64 | int(words[1])


def shuffled(n: int, seed: int) -> NDArray[np.intp]:
    """Return 0 to n - 1 in a random order, the same on every platform and numpy version."""
    return np.argsort(np.asarray(PCG64(SeedSequence(seed)).random_raw(n)), kind="stable")


def balanced(labels: Bytes, seed: int) -> NDArray[np.intp]:
    """Return the indices of ``labels`` in a random order whose every prefix is balanced.

    Among the first n, no two classes differ by more than one image until a class runs out.
    """
    order = shuffled(len(labels), seed)
    turn = np.empty(len(labels), np.intp)
    for label in np.unique(labels):
        selected = labels[order] == label
        turn[selected] = np.arange(np.count_nonzero(selected))
    return order[np.argsort(turn, kind="stable")]


def deal(name: str, pool: Pair, reserve: Pair, request: SplitRequest) -> Splits:
    """Split ``pool`` into disjoint, balanced train and public parts, and keep ``reserve`` aside.

    Raises:
        DataError: the pool holds fewer images than requested.
    """
    images, labels = pool
    if request.train + request.public > len(labels):
        raise DataError(
            f"{name}: {request.train} training and {request.public} public images were requested, "
            f"but only {len(labels)} are available; ask for fewer."
        )
    order = balanced(labels, stream("train", 0))[: request.train + request.public]
    train, public = order[: request.train], order[request.train :]
    return Splits((images[train], labels[train]), (images[public], labels[public]), reserve)


def draw(name: str, reserve: Pair, seed: int, n: int) -> Pair:
    """Return ``n`` balanced images of ``reserve``, chosen and shuffled by the secret ``seed``.

    Raises:
        DataError: ``n`` is negative, or larger than the reserve.
    """
    images, labels = reserve
    if not 0 <= n <= len(labels):
        raise DataError(
            f"{name}: a holdout of {n} images was requested, but {len(labels)} are reserved for "
            f"it; ask for 0 to {len(labels)}."
        )
    chosen = balanced(np.asarray(labels), stream("holdout", seed))[:n]
    chosen = chosen[shuffled(n, stream("reserve", seed))]
    return np.asarray(images[chosen]), np.asarray(labels[chosen])
