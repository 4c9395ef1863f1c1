"""Digits: 1,797 handwritten digits of 8 x 8 pixels, which come with the package.

The bytes are those of ``sklearn.datasets.load_digits``, the test half of UCI's "Optical
Recognition of Handwritten Digits"; ``DIGITS_LICENSE.txt`` beside them has its licence.
"""

from importlib.resources import as_file, files

import numpy as np

from tinytorch_compete.datasets.splits import Pair, Splits, Want, balanced, deal, stream
from tinytorch_compete.errors import DataError

COUNT = 1797
RESERVED = COUNT // 3


def load() -> Pair:
    """Return all images, uint8 (1797, 8, 8) from 0 to 16, and labels, uint8 (1797,).

    Raises:
        DataError: the file that ships with the package is missing or damaged.
    """
    try:
        with (
            as_file(files("tinytorch_compete.datasets") / "digits.npz") as path,
            np.load(path, allow_pickle=False) as archive,
        ):
            return archive["images"], archive["labels"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"digits: the package's digits.npz can't be read ({error}); install the package again."
        ) from error


def split(want: Want) -> Splits:
    """Reserve a fixed, balanced third for holdouts, and share out the other 1,198 images.

    Raises:
        DataError: more images are wanted than there are.
    """
    images, labels = load()
    order = balanced(labels, stream("reserve", 0))
    kept, shared = order[:RESERVED], order[RESERVED:]
    pool, reserve = (images[shared], labels[shared]), (images[kept], labels[kept])
    return deal("digits", pool, reserve, want)
