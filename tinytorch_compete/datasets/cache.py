"""Folders of splits that are either complete or absent, and never written to again."""

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import msgspec
import numpy as np

from tinytorch_compete.datasets.splits import Bytes, Pair, Splits
from tinytorch_compete.errors import DataError

STUDENT = "student"  # the folder that a sandbox may see
RESERVE = "reserve"  # the folder that it may not
_FACTS = "facts.json"


class FileFacts(msgspec.Struct, frozen=True):
    """One file of a prepared data set."""

    path: str  # relative to the data set's folder
    size: int  # bytes
    sha256: str


def write(place: Path, splits: Splits) -> None:
    """Write ``splits`` to ``place`` all at once, unless another process was quicker.

    Raises:
        DataError: the folder can't be written.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        # mkdtemp's 0o700 keeps everybody out until the folder is complete.
        building = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
        try:
            _fill(building, splits)
            _publish(building, place)
        finally:
            _discard(building)
    except OSError as error:
        raise DataError(
            f"data: {place} can't be written ({error}); free up space, or choose another cache."
        ) from error


def check(place: Path) -> tuple[FileFacts, ...]:
    """Check the sizes of the files at ``place`` and return their facts.

    Raises:
        DataError: a file is missing, or its size has changed since it was written.
    """
    try:
        rows = json.loads((place / _FACTS).read_text(encoding="utf-8"))
        facts = tuple(FileFacts(**row) for row in rows)
        intact = all((place / fact.path).stat().st_size == fact.size for fact in facts)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"data: {place} is damaged ({error}); delete that folder.") from error
    if not intact:
        raise DataError(f"data: a file in {place} was truncated or changed; delete that folder.")
    return facts


def digest(place: Path) -> str:
    """Return a sha256 that is equal for equal splits on any machine, without reading the files.

    Raises:
        DataError: as ``check`` does.
    """
    lines = sorted(f"{fact.path} {fact.sha256}\n" for fact in check(place))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read(folder: Path, part: str) -> Pair:
    """Map the images and labels of ``part`` into memory, read-only.

    Raises:
        DataError: the files can't be read.
    """
    try:
        images = np.load(folder / f"{part}_images.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(folder / f"{part}_labels.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(
            f"data: the {part} split in {folder} can't be read ({error}); "
            f"delete {folder.parent} and prepare it again."
        ) from error
    return images, labels


def _fill(building: Path, splits: Splits) -> None:
    parts = [(STUDENT, "train", splits.train), (STUDENT, "public", splits.public)]
    if splits.reserve is not None:
        parts.append((RESERVE, "reserve", splits.reserve))
    facts = []
    for folder, part, (images, labels) in parts:
        (building / folder).mkdir(exist_ok=True)
        facts.append(_save(building, f"{folder}/{part}_images.npy", images))
        facts.append(_save(building, f"{folder}/{part}_labels.npy", labels))
    rows = [msgspec.structs.asdict(fact) for fact in facts]
    (building / _FACTS).write_text(json.dumps(rows, indent=1), encoding="utf-8")


def _save(building: Path, name: str, array: Bytes) -> FileFacts:
    path = building / name
    with path.open("wb") as file:
        np.save(file, np.ascontiguousarray(array), allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())  # otherwise the rename could reach the disk before the bytes
    path.chmod(0o444)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return FileFacts(name, path.stat().st_size, sha256)


def _publish(building: Path, place: Path) -> None:
    # A sandbox may run as another user, who can read the student's half but never the reserve.
    (building / STUDENT).chmod(0o755)
    if (building / RESERVE).is_dir():
        (building / RESERVE).chmod(0o700)
    building.chmod(0o755)
    try:
        building.rename(place)
    except OSError:
        if not place.is_dir():
            raise


def _discard(building: Path) -> None:
    for path in building.rglob("*.npy"):
        path.chmod(0o600)  # Windows doesn't delete read-only files
    shutil.rmtree(building, ignore_errors=True)
