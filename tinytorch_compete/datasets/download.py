"""A file from the web: fetched once, resumed where it broke, refused if it isn't the right one."""

import hashlib
import http.client
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from tinytorch_compete.datasets.splits import Progress
from tinytorch_compete.errors import DataError

_BLOCK = 1 << 18  # bytes between two reports of progress
_TIMEOUT_S = 30.0  # without a byte; not for the whole
_TRIES = 5


class Remote(msgspec.Struct, frozen=True):
    """A file that somebody publishes, and how to know that it came whole."""

    url: str
    size: int  # bytes
    md5: str  # hexadecimal; against accidents, while https stands against forgers

    @property
    def name(self) -> str:
        """The file's own name, the last part of its address."""
        return self.url.rpartition("/")[2]


def fetch(remote: Remote, folder: Path, progress: Progress | None = None) -> Path:
    """Return the path of a whole and checked copy in ``folder``, downloading what is missing of it.

    What has come before a failure stays in a ``.part`` file, and the next call goes on from there.
    A second process that wants the same file waits for the first.

    Raises:
        DataError: the server can't be reached, the bytes are wrong, or the disk is full.
    """
    path = folder / remote.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / f"{remote.name}.lock"):
            if not path.is_file():
                part = folder / f"{remote.name}.part"
                _complete(remote, part, progress)
                _verify(remote, part)
                part.replace(path)
    except OSError as error:
        raise DataError(
            f"data: {path} can't be written ({error}); free space there, or choose another cache."
        ) from error
    return path


def _complete(remote: Remote, part: Path, progress: Progress | None) -> None:
    problem = "it ended too soon"
    for _ in range(_TRIES):
        if _size(part) >= remote.size:
            return
        try:
            _append(remote, part, progress)
        except (ConnectionError, TimeoutError, ssl.SSLError, http.client.HTTPException) as error:
            problem = f"{type(error).__name__}: {error}"
        except urllib.error.HTTPError as error:  # its parent is URLError, so it comes first
            problem = f"the server answered {error.code}"
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)
        except urllib.error.URLError as error:
            problem = str(error.reason)
    if _size(part) < remote.size:
        raise DataError(
            f"data: {remote.url} broke off at {_size(part)} of {remote.size} bytes ({problem}); "
            f"run the same command again to go on from there, or put the file into a folder "
            f"and name it with --data."
        )


def _append(remote: Remote, part: Path, progress: Progress | None) -> None:
    have = _size(part)
    headers = {"Range": f"bytes={have}-"} if have else {}
    request = urllib.request.Request(remote.url, headers=headers)  # noqa: S310 - never a student's
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as reply:  # noqa: S310
        resumed = reply.status == http.HTTPStatus.PARTIAL_CONTENT and reply.headers.get(
            "Content-Range", ""
        ).startswith(f"bytes {have}-")
        # A server that ignores Range sends the file from its start.
        with part.open("ab" if resumed else "wb") as file:
            _copy(reply, file, remote.size, progress)


def _copy(reply: IO[bytes], file: IO[bytes], size: int, progress: Progress | None) -> None:
    """Write what comes, and one byte more than expected at most, which ``_verify`` will refuse."""
    while (room := size + 1 - file.tell()) > 0 and (block := reply.read(min(_BLOCK, room))):
        file.write(block)
        if progress is not None:
            progress(min(file.tell(), size), size)


def _verify(remote: Remote, part: Path) -> None:
    with part.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    size = _size(part)
    if (size, md5) != (remote.size, remote.md5):
        part.unlink()
        raise DataError(
            f"data: {remote.url} gave {size} bytes with md5 {md5}, not {remote.size} bytes with "
            f"md5 {remote.md5}; what came was removed. Try again, or another network."
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold ``lock`` until the block ends; the system lets go of it if the process dies."""
    with lock.open("wb") as file:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
