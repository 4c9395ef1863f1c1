"""A small archive with the layout of CIFAR-10's, and the state of a web server that has it."""

import hashlib
import io
import tarfile
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tinytorch_compete.datasets.cifar10 import CANONICAL, Archive
from tinytorch_compete.datasets.download import Remote

RECORDS = 20  # in each batch


@dataclass
class Web:
    """The state of a one-file server: a test sets its behaviour and reads its requests."""

    content: bytes
    url: str = ""
    ranges: bool = True  # whether it honours Range headers
    breaks_after: int | None = None  # bytes of each reply before the connection breaks
    status: int | None = None  # answers every request with this error
    # The Range header of each request.
    ranges_requested: list[str | None] = field(default_factory=list)


@dataclass(frozen=True)
class Synthetic:
    """A tar as bytes, the records in it, and the archive facts that verify it."""

    content: bytes
    rows: NDArray[np.uint8]  # (6 * RECORDS, 3073): five training batches, then the test batch

    def archive(self, url: str) -> Archive:
        md5 = hashlib.md5(self.content, usedforsecurity=False).hexdigest()
        remote = Remote(url, len(self.content), md5)
        return Archive(remote, CANONICAL.train, CANONICAL.test, RECORDS)

    def images(self) -> NDArray[np.uint8]:
        """Return all images as pixels, by indexing that is independent of the loader's."""
        images = np.empty((len(self.rows), 32, 32, 3), np.uint8)
        for channel in range(3):
            plane = self.rows[:, 1 + 1024 * channel : 1025 + 1024 * channel]
            images[..., channel] = plane.reshape(-1, 32, 32)
        return images


def tar_of(members: dict[str, bytes]) -> bytes:
    """Return a gzipped tar of these files, in this order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def batches_of(rows: NDArray[np.uint8]) -> dict[str, bytes]:
    """Return the members of an archive that holds these records."""
    names = CANONICAL.train + CANONICAL.test
    return {
        name: part.tobytes() for name, part in zip(names, np.split(rows, len(names)), strict=True)
    }
