"""The package includes the digits, unchanged and with their licence."""

from importlib.resources import files

import numpy as np
import pytest

from tinytorch_compete.datasets.digits import COUNT, load


def test_they_load_without_a_download() -> None:
    images, labels = load()
    assert images.shape == (COUNT, 8, 8) == (1797, 8, 8)
    assert images.dtype == labels.dtype == np.uint8
    assert images.max() == 16
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_they_are_those_of_scikit_learn() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    images, labels = load()
    original = datasets.load_digits()
    assert (original.images == images).all()
    assert (original.target == labels).all()


def test_their_licence_lies_beside_them() -> None:
    text = (files("tinytorch_compete.datasets") / "DIGITS_LICENSE.txt").read_text(encoding="utf-8")
    assert "CC BY 4.0" in text and "10.24432/C50P49" in text
