"""The registry of data sets, and their preparation for students and graders."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec
from platformdirs import user_data_path

from tinytorch_compete.datasets import cache as store
from tinytorch_compete.datasets import cifar10, digits, shapes32
from tinytorch_compete.datasets.splits import Pair, Progress, SplitRequest, Splits, draw, stream
from tinytorch_compete.errors import DataError


class Kind(msgspec.Struct, frozen=True):
    """How to split a data set, and how to get a holdout of it."""

    version: int  # raise it whenever the splits' bytes change
    split: Callable[[SplitRequest], Splits]
    holdout: Callable[["Dataset", int, int], Pair]


class Dataset(msgspec.Struct, frozen=True):
    """A prepared data set: splits to give to students, and holdouts to keep from them.

    Give a sandbox ``folder`` and nothing above it: the reserve from which holdouts are drawn lies
    beside it.
    """

    name: str
    folder: Path  # train_images.npy, train_labels.npy, public_images.npy, public_labels.npy

    def train(self) -> Pair:
        """Map the training images and labels into memory, read-only."""
        return store.read(self.folder, "train")

    def public(self) -> Pair:
        """Map the images and labels for students' own tests into memory, read-only."""
        return store.read(self.folder, "public")

    def holdout(self, seed: int, n: int) -> Pair:
        """Return ``n`` balanced images and labels that are in neither split, fixed by ``seed``.

        Draw the seed with ``secrets.randbits(128)``: shapes32 is generated from it, so a student
        who guessed it would have the labels. digits and cifar10 are public, and a determined cheat
        could recognise their images; only those of shapes32 have never been seen before.

        Raises:
            DataError: there are fewer than ``n`` images, or an argument is negative.
        """
        return _kind(self.name).holdout(self, seed, n)

    def digest(self) -> str:
        """Return a sha256 of all files, equal for equal data on any machine; cheap to compute.

        Raises:
            DataError: the folder is damaged.
        """
        return store.digest(self.folder.parent)


def prepare(
    name: str,
    *,
    train: int,
    public: int,
    source: Path | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Return the data set with ``train`` and ``public`` images, made once and then cached.

    ``source`` is a folder that already holds the data (cifar10 only); ``cache`` is the folder for
    splits and downloads, by default the platform's data folder. Several processes may prepare the
    same data set at once. ``progress`` is called with a download's bytes.

    Raises:
        DataError: no such data set, not enough images, or the data can't be read or downloaded.
    """
    kind = _kind(name)
    if train < 0 or public < 0:
        raise DataError(f"{name}: train={train}, public={public}: both must be 0 or more.")
    root = cache if cache is not None else user_data_path("tinytorch-compete")
    request = SplitRequest(train, public, source, root / "archives", progress)
    place = root / "splits" / _key(name, kind, request)
    if not place.is_dir():
        store.write(place, kind.split(request))
    store.check(place)
    return Dataset(name, place / store.STUDENT)


def _kind(name: str) -> Kind:
    if name not in DATASETS:
        raise DataError(
            f"data: there is no data set {name!r}; choose one of {', '.join(DATASETS)}."
        )
    return DATASETS[name]


def _key(name: str, kind: Kind, request: SplitRequest) -> str:
    key = f"{name}-v{kind.version}-{request.train}-{request.public}"
    if request.source is None:
        return key
    if name != "cifar10":
        raise DataError(f"{name} needs no folder, but {request.source} was given; leave it out.")
    origin = cifar10.fingerprint(request.source)
    return f"{key}-{hashlib.sha256(origin.encode()).hexdigest()[:12]}"


def _split_shapes32(request: SplitRequest) -> Splits:
    return Splits(
        train=shapes32.generate(request.train, stream("train", 0)),
        public=shapes32.generate(request.public, stream("public", 0)),
        reserve=None,
    )


def _generate_holdout(dataset: Dataset, seed: int, n: int) -> Pair:
    return shapes32.generate(n, stream("holdout", seed))


def _draw_holdout(dataset: Dataset, seed: int, n: int) -> Pair:
    reserve = store.read(dataset.folder.parent / store.RESERVE, "reserve")
    return draw(dataset.name, reserve, seed, n)


DATASETS: dict[str, Kind] = {
    "digits": Kind(1, digits.split, _draw_holdout),
    "cifar10": Kind(1, cifar10.split, _draw_holdout),
    "shapes32": Kind(shapes32.VERSION, _split_shapes32, _generate_holdout),
}
