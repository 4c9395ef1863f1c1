"""The parts of a data set, and fair draws that come out the same on every machine."""

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
"""Called with the bytes that are there and the bytes that there will be."""

Purpose = Literal["train", "public", "holdout", "reserve"]
# Any distinct numbers do; changing one changes every split that is drawn from it.
_PURPOSES: dict[Purpose, int] = {"train": 1, "public": 2, "holdout": 3, "reserve": 4}


class Want(msgspec.Struct, frozen=True):
    """What a caller of ``prepare`` asked for."""

    train: int  # images
    public: int  # images
    source: Path | None  # a folder that holds the data already
    archives: Path  # where downloads are kept
    progress: Progress | None


class Splits(msgspec.Struct, frozen=True):
    """The arrays of one prepared data set."""

    train: Pair
    public: Pair
    reserve: Pair | None  # what holdouts are drawn from; None if they are generated


def stream(purpose: Purpose, seed: int) -> int:
    """Return a 128-bit seed that no other purpose and no other ``seed`` leads to.

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
        mine = labels[order] == label
        turn[mine] = np.arange(np.count_nonzero(mine))
    return order[np.argsort(turn, kind="stable")]


def deal(name: str, pool: Pair, reserve: Pair, want: Want) -> Splits:
    """Split ``pool`` into disjoint, balanced train and public parts, and keep ``reserve`` aside.

    Raises:
        DataError: the pool holds fewer images than were asked for.
    """
    images, labels = pool
    if want.train + want.public > len(labels):
        raise DataError(
            f"{name}: {want.train} images to train and {want.public} public were asked for, but "
            f"there are only {len(labels)} to share out; ask for fewer."
        )
    order = balanced(labels, stream("train", 0))[: want.train + want.public]
    train, public = order[: want.train], order[want.train :]
    return Splits((images[train], labels[train]), (images[public], labels[public]), reserve)


def draw(name: str, reserve: Pair, seed: int, n: int) -> Pair:
    """Return ``n`` balanced images of ``reserve``, chosen and shuffled by the secret ``seed``.

    Raises:
        DataError: ``n`` is negative, or larger than the reserve.
    """
    images, labels = reserve
    if not 0 <= n <= len(labels):
        raise DataError(
            f"{name}: a holdout of {n} images was asked for, but {len(labels)} are reserved for "
            f"it; ask for 0 to {len(labels)}."
        )
    chosen = balanced(np.asarray(labels), stream("holdout", seed))[:n]
    chosen = chosen[shuffled(n, stream("reserve", seed))]
    return np.asarray(images[chosen]), np.asarray(labels[chosen])
