"""Shapes32 is the same on every machine, balanced, and too hard for a linear model."""

import hashlib
import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from tinytorch_compete.datasets.shapes32 import CLASSES, VERSION, generate
from tinytorch_compete.errors import DataError

# sha256 of the images' bytes, then the labels', of generate(600, 7): two full chunks, one partial.
GOLDEN = {1: "a7fd513bd96655aa74cdba73b1734953df6f02734a444b9a710c7331a8eac4e6"}


def test_the_bytes_are_the_same_on_every_machine() -> None:
    images, labels = generate(600, 7)
    assert hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest() == GOLDEN[VERSION]


@pytest.mark.parametrize("n", [0, 1, 7, 256, 257])
def test_any_number_of_images_can_be_had(n: int) -> None:
    images, labels = generate(n, 3)
    assert images.shape == (n, 32, 32, 3)
    assert labels.shape == (n,)
    assert images.dtype == labels.dtype == np.uint8


def test_another_seed_gives_other_images_and_another_order() -> None:
    images, labels = generate(100, 1)
    others, other_labels = generate(100, 2)
    assert not (images == others).all(axis=(1, 2, 3)).any()
    assert (labels != other_labels).any()


def test_a_seed_may_be_larger_than_a_machine_word() -> None:
    images, _ = generate(10, 2**127 + 1)
    others, _ = generate(10, 2**127)
    assert (images != others).any()


@pytest.mark.parametrize("n", [1000, 1005])
def test_classes_are_balanced(n: int) -> None:
    counts = np.bincount(generate(n, 5)[1], minlength=len(CLASSES))
    assert len(counts) == len(CLASSES) == 10
    assert set(counts) <= {n // 10, n // 10 + 1}


def test_the_place_of_an_image_does_not_tell_its_class() -> None:
    labels = generate(10_000, 11)[1].reshape(-1, 10)
    per_place = np.array([np.bincount(column, minlength=10) for column in labels.T])
    assert per_place.min() > 60 and per_place.max() < 140  # 100 expected, standard deviation 9.5


def test_no_image_occurs_twice() -> None:
    images, _ = generate(2000, 9)
    assert len(np.unique(images.reshape(2000, -1), axis=0)) == 2000


def test_what_it_needs_beside_the_images_is_bounded() -> None:
    tracemalloc.start()
    images, _ = generate(3000, 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - images.nbytes < 16 * 2**20


def test_a_linear_model_stays_under_half() -> None:
    weights = _ridge(*generate(4000, 1))
    images, labels = generate(1000, 2)
    assert (_predict(weights, images) == labels).mean() < 0.5


@pytest.mark.parametrize(("n", "seed"), [(-1, 0), (1, -1)])
def test_negative_numbers_are_refused(n: int, seed: int) -> None:
    with pytest.raises(DataError, match=f"n={n}, seed={seed}"):
        generate(n, seed)


def _features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    flat = images.reshape(len(images), -1).astype(np.float32) / 64 - 2
    return np.hstack([flat, np.ones((len(flat), 1), np.float32)])


def _ridge(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Fit least squares to one-hot labels; penalties from 10 to 100,000 gave 10 to 13 %."""
    x, y = _features(images), np.eye(10, dtype=np.float32)[labels]
    return np.linalg.solve(x.T @ x + 1000 * np.eye(x.shape[1], dtype=np.float32), x.T @ y)


def _predict(weights: NDArray[np.float32], images: NDArray[np.uint8]) -> NDArray[np.intp]:
    return (_features(images) @ weights).argmax(axis=1)
