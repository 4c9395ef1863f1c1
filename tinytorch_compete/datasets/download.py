"""Download a file from the web once, resuming after failures and verifying size and checksum."""

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
_TIMEOUT_S = 30.0  # without a byte; the whole download may take longer
_TRIES = 5


class Remote(msgspec.Struct, frozen=True):
    """A published file, and the facts that verify a copy of it."""

    url: str
    size: int  # bytes
    md5: str  # hexadecimal; catches accidents, while https guards against forgers

    @property
    def name(self) -> str:
        """The file's own name, the last part of its URL."""
        return self.url.rpartition("/")[2]


def fetch(remote: Remote, folder: Path, progress: Progress | None = None) -> Path:
    """Return the path of a complete, verified copy in ``folder``, downloading whatever is missing.

    Bytes received before a failure stay in a ``.part`` file, and the next call resumes from there.
    A second process that needs the same file waits for the first.

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
            f"data: {path} can't be written ({error}); free up space, or choose another cache."
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
        except urllib.error.HTTPError as error:  # a subclass of URLError, so it comes first
            problem = f"the server answered {error.code}"
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)
        except urllib.error.URLError as error:
            problem = str(error.reason)
    if _size(part) < remote.size:
        raise DataError(
            f"data: {remote.url} broke off at {_size(part)} of {remote.size} bytes ({problem}); "
            f"rerun the command to resume from there, or put the file into a folder "
            f"and name that folder with --data."
        )


def _append(remote: Remote, part: Path, progress: Progress | None) -> None:
    received = _size(part)
    headers = {"Range": f"bytes={received}-"} if received else {}
    request = urllib.request.Request(remote.url, headers=headers)  # noqa: S310 - never a student's
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as reply:  # noqa: S310
        resumed = reply.status == http.HTTPStatus.PARTIAL_CONTENT and reply.headers.get(
            "Content-Range", ""
        ).startswith(f"bytes {received}-")
        # A server that ignores Range sends the file from its start.
        with part.open("ab" if resumed else "wb") as file:
            _copy(reply, file, remote.size, progress)


def _copy(reply: IO[bytes], file: IO[bytes], size: int, progress: Progress | None) -> None:
    """Write the reply, at most one byte more than expected; ``_verify`` will refuse that byte."""
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
            f"md5 {remote.md5}; the download was deleted. Try again, or use another network."
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold ``lock`` until the block ends; the system releases it if the process dies."""
    with lock.open("wb") as file:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
