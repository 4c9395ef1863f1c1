"""CIFAR-10: 60,000 photographs of 32 x 32 RGB in ten classes, from its canonical archive.

We use the binary version because it holds plain records and no pickle: 1 byte of label, then
1,024 red, 1,024 green and 1,024 blue bytes, row by row. Source, layout and checksum:
https://www.cs.toronto.edu/~kriz/cifar.html (A. Krizhevsky, "Learning Multiple Layers of Features
from Tiny Images", 2009).
"""

import tarfile
import zipfile
import zlib
from pathlib import Path

import msgspec
import numpy as np

from tinytorch_compete.datasets.download import Remote, fetch
from tinytorch_compete.datasets.splits import Bytes, Pair, Progress, SplitRequest, Splits, deal
from tinytorch_compete.errors import DataError

SIDE = 32
CLASSES = 10
_PIXELS = 3 * SIDE * SIDE
_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
_FOLDER = "cifar-10-batches-bin"


class Archive(msgspec.Struct, frozen=True):
    """A tar of binary batches: where it is published and what it must contain."""

    remote: Remote
    train: tuple[str, ...]  # names of members, in order
    test: tuple[str, ...]
    records: int  # per member

    @property
    def member_size(self) -> int:
        """Size of each member in bytes."""
        return self.records * (1 + _PIXELS)


CANONICAL = Archive(
    remote=Remote(
        url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        size=170_052_171,
        md5="c32a1d4ab5d03f1284b67883e8d87530",
    ),
    train=tuple(f"{_FOLDER}/data_batch_{number}.bin" for number in range(1, 6)),
    test=(f"{_FOLDER}/test_batch.bin",),
    records=10_000,
)


def load(
    folder: Path, progress: Progress | None = None, archive: Archive = CANONICAL
) -> tuple[Pair, Pair]:
    """Return the training and test images, downloading the archive into ``folder`` if needed.

    Images are uint8 (n, 32, 32, 3), red first; labels uint8 (n,), 0 to 9.

    Raises:
        DataError: the archive can't be downloaded, or its contents are wrong.
    """
    return _read_archive(fetch(archive.remote, folder, progress), archive)


def load_folder(folder: Path, archive: Archive = CANONICAL) -> tuple[Pair, Pair]:
    """Return the training and test images of an existing copy, in the form that ``load`` returns.

    The folder holds one of these: the archive, its extracted batches (or their folder), or a single
    ``.npz`` with x_train, y_train, x_test and y_test, where images are uint8 (n, 3, 32, 32).

    Raises:
        DataError: the folder holds none of these, or its copy is damaged.
    """
    paths = _find(folder, archive)
    if paths[0].suffix == ".npz":
        return _read_npz(paths[0])
    if paths[0].name == archive.remote.name:
        return _read_archive(paths[0], archive)
    try:
        batches = {path.name: path.read_bytes() for path in paths}
    except OSError as error:
        raise _damaged(paths[0].parent, error) from error
    return _assemble(
        {name: batches[Path(name).name] for name in _members(archive)}, archive, folder
    )


def fingerprint(folder: Path) -> str:
    """Return a text that changes with the copy in ``folder``: its paths, sizes and times.

    Raises:
        DataError: the folder holds no copy.
    """
    stats = [(path.resolve(), path.stat()) for path in _find(folder, CANONICAL)]
    return "\n".join(f"{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in stats)


def split(request: SplitRequest) -> Splits:
    """Split the training images, and reserve the test images for holdouts.

    Raises:
        DataError: the data can't be read or downloaded, or there are too few images.
    """
    if request.source is not None:
        pool, reserve = load_folder(request.source)
    else:
        pool, reserve = load(request.archives, request.progress)
    return deal("cifar10", pool, reserve, request)


def _members(archive: Archive) -> tuple[str, ...]:
    return archive.train + archive.test


def _find(folder: Path, archive: Archive) -> list[Path]:
    """Return the path of the archive, of all batches, or of one .npz."""
    tar = folder / archive.remote.name
    if tar.is_file():
        return [tar]
    for base in (folder, folder / _FOLDER):
        batches = [base / Path(name).name for name in _members(archive)]
        if all(path.is_file() for path in batches):
            return batches
    tables = sorted(folder.glob("*.npz"))
    if len(tables) == 1:
        return tables
    raise DataError(
        f"cifar10: {folder} has {len(tables)} .npz files and neither {archive.remote.name} nor "
        f"{_FOLDER}; name a folder with one of these, or a single .npz with {', '.join(_ARRAYS)}. "
        f"(The Python version is a pickle, which can run code, so it isn't read.)"
    )


def _read_archive(path: Path, archive: Archive) -> tuple[Pair, Pair]:
    """Read the members in memory; nothing is extracted, so paths in the tar are harmless."""
    batches: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as tar:
            for member in tar:
                if member.name in _members(archive) and member.isreg():
                    if member.size != archive.member_size:
                        raise tarfile.TarError(f"{member.name} has {member.size} bytes")
                    stream = tar.extractfile(member)
                    batches[member.name] = stream.read() if stream else b""
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise _damaged(path, error) from error
    return _assemble(batches, archive, path)


def _assemble(batches: dict[str, bytes], archive: Archive, place: Path) -> tuple[Pair, Pair]:
    for name in _members(archive):
        size = len(batches.get(name, b""))
        if size != archive.member_size:
            raise _damaged(place, f"{name} has {size} bytes, not {archive.member_size}")
    train = b"".join(batches[name] for name in archive.train)
    test = b"".join(batches[name] for name in archive.test)
    return _records(train, place), _records(test, place)


def _records(raw: bytes, place: Path) -> Pair:
    rows = np.frombuffer(raw, np.uint8).reshape(-1, 1 + _PIXELS)
    return _pair(rows[:, 1:].reshape(-1, 3, SIDE, SIDE), rows[:, 0], place)


def _read_npz(path: Path) -> tuple[Pair, Pair]:
    try:
        with np.load(path, allow_pickle=False) as table:
            x_train, y_train, x_test, y_test = (table[name] for name in _ARRAYS)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise _damaged(path, error) from error
    return _pair(x_train, y_train, path), _pair(x_test, y_test, path)


def _pair(images: Bytes, labels: Bytes, place: Path) -> Pair:
    """Check the arrays, then turn planes (n, 3, 32, 32) into pixels (n, 32, 32, 3)."""
    if images.dtype != np.uint8 or images.shape[1:] != (3, SIDE, SIDE):
        raise _damaged(place, f"images are {images.dtype} {images.shape}, not uint8 (n, 3, 32, 32)")
    if labels.shape != (len(images),) or labels.dtype.kind not in "ui":
        raise _damaged(place, f"labels are {labels.dtype} {labels.shape} for {len(images)} images")
    if len(labels) and not 0 <= np.min(labels) <= np.max(labels) < CLASSES:
        raise _damaged(place, f"a label is outside 0 to {CLASSES - 1}")
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)), labels.astype(np.uint8)


def _damaged(place: Path, why: object) -> DataError:
    return DataError(f"cifar10: {place} isn't a valid copy of CIFAR-10 ({why}); get a fresh copy.")
