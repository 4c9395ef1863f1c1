"""Digits: 1,797 handwritten digits of 8 x 8 pixels, included in the package.

The bytes are those of ``sklearn.datasets.load_digits``, the test half of UCI's "Optical
Recognition of Handwritten Digits"; its licence is in ``DIGITS_LICENSE.txt`` beside the data.
"""

from importlib.resources import as_file, files

import numpy as np

from tinytorch_compete.datasets.splits import Pair, SplitRequest, Splits, balanced, deal, stream
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
            f"digits: the package's digits.npz can't be read ({error}); reinstall the package."
        ) from error


def split(request: SplitRequest) -> Splits:
    """Reserve a fixed, balanced third for holdouts, and split the other 1,198 images.

    Raises:
        DataError: more images are requested than there are.
    """
    images, labels = load()
    order = balanced(labels, stream("reserve", 0))
    held_out, shared = order[:RESERVED], order[RESERVED:]
    pool, reserve = (images[shared], labels[shared]), (images[held_out], labels[held_out])
    return deal("digits", pool, reserve, request)
