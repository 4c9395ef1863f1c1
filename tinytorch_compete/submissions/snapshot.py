"""Read a submission once, so that every decision about it is based on the same bytes."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec
from nbformat import NotebookNode

from tinytorch_compete.errors import CompeteError, Fault, NotebookError
from tinytorch_compete.model import MIB
from tinytorch_compete.submissions import notebook
from tinytorch_compete.submissions.submission import (
    MAX_MIB,
    MAX_NAME,
    TIMESTAMP,
    Submission,
    parse_time,
    too_much,
    unreadable,
    walk,
)

REGISTRATION = "compete.json"
MAX_COVER = MIB  # bytes of the registration and of the time of sending, each
# Bytes of a submission's notebook and code that stay in memory: enough for a whole framework beside
# a notebook. The whole class is in memory at once; other files are read again when needed.
MAX_HELD = MIB
# Follows no link and waits for no pipe that took the file's place; Windows has no such flags.
PLAIN_FILE = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
)


Stamp = tuple[int, int, int]


class Snapshot(msgspec.Struct, frozen=True):
    """A submission as it was when it was read.

    ``files`` has the sha256 of each file and ``sizes`` its size in bytes, by the file's path in the
    submission's folder. ``contents`` holds the bytes of the registration, the time of submission
    and, up to ``MAX_HELD``, the notebook and Python files. ``problem`` is why the submission
    couldn't be read: a ``NotebookError`` if it is broken, a ``Fault`` if this machine failed.
    ``stamps`` has each file's inode and its times of modification and of change, in nanoseconds: a
    file whose stamp is the same has the same content.
    """

    work: Submission
    files: Mapping[str, str] = {}
    sizes: Mapping[str, int] = {}
    contents: Mapping[str, bytes] = {}
    problem: CompeteError | None = None
    stamps: Mapping[str, Stamp] = {}

    @property
    def student(self) -> str:
        """The student whose submission it is."""
        return self.work.student

    @property
    def sha(self) -> str:
        """One sha256 of the names and contents of all files."""
        return digest(self.files)

    @property
    def sent_at(self) -> dt.datetime | None:
        """The time of submission from ``timestamp.txt``; ``None`` if it is missing or unclear."""
        data = self.contents.get(TIMESTAMP)
        if data is None or len(data) > MAX_NAME:
            return None
        return parse_time(data.decode("utf-8", errors="replace"))

    @property
    def registration(self) -> bytes | None:
        """The bytes of the student's ``compete.json``; ``None`` if there is none."""
        return self.contents.get(REGISTRATION)

    def notebook(self) -> NotebookNode:
        """Return the student's notebook.

        Raises ``NotebookError`` and ``Fault`` as ``notebook.read`` does, and ``Fault`` if the file
        had to be read again and has changed.
        """
        path = self.work.notebook
        data = self.contents.get(path.name)
        if data is None:
            data = self._unchanged(path, notebook.read_bytes(path))
        return notebook.parse(data, path)

    def code(self) -> Mapping[str, str]:
        """Return the text of each Python file beside the notebook.

        Raises ``Fault`` if a file had to be read again and can't be, or has changed.
        """
        names = [name for name in self.files if self.work.folder and _is_code(name)]
        return {name: self._bytes(name).decode("utf-8", errors="replace") for name in names}

    def _bytes(self, name: str) -> bytes:
        assert self.work.folder is not None
        data = self.contents.get(name)
        if data is not None:
            return data
        path = self.work.folder / name
        return self._unchanged(path, _read(path, MAX_MIB * MIB)[0])

    def _unchanged(self, path: Path, data: bytes) -> bytes:
        """The bytes of a file; raises ``Fault`` if they aren't those of this snapshot."""
        folder = self.work.folder
        if folder is not None and path.is_relative_to(folder):
            name = path.relative_to(folder).as_posix()
            if self.files.get(name) != hashlib.sha256(data).hexdigest():
                raise _changed(path)
        return data


def load(work: Submission) -> Snapshot:
    """Read a submission; an error becomes the snapshot's ``problem``."""
    try:
        return _load(work)
    except (NotebookError, Fault) as error:
        # The registration and the time count even if the submission can't be graded.
        return Snapshot(work, contents=cover(work), problem=error)


def check_unchanged(snapshot: Snapshot, copy: Path | None = None) -> None:
    """Raise ``Fault`` if the submission's files, or those of a copy, differ from the snapshot.

    Kernels get the files on disk, perhaps hours after the snapshot was taken.
    """
    folder = snapshot.work.folder
    if folder is None or (copy is None and _stamps_below(folder) == snapshot.stamps):
        return
    current = load(msgspec.structs.replace(snapshot.work, folder=copy or folder))
    if isinstance(current.problem, Fault):
        raise current.problem
    if current.files != snapshot.files:
        raise _changed(folder)


def cover(work: Submission) -> Mapping[str, bytes]:
    """Return the registration and the time of submission, as far as they can be read."""
    contents = {}
    for name in (REGISTRATION, TIMESTAMP):
        with contextlib.suppress(NotebookError, Fault):
            data, _ = _read(work.notebook.parent / name, MAX_COVER)
            if len(data) <= MAX_COVER:
                contents[name] = data
    return contents


def digest(files: Mapping[str, str]) -> str:
    """Return one sha256 of a submission's files: of their names and contents."""
    lines = "".join(f"{name}\0{sha}\n" for name, sha in sorted(files.items()))
    return hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()


def _load(work: Submission) -> Snapshot:
    if work.folder is None:
        data = notebook.read_bytes(work.notebook)
        name = work.notebook.name
        sha = hashlib.sha256(data).hexdigest()
        return Snapshot(work, {name: sha}, {name: len(data)}, {**cover(work), name: data})
    files, sizes, contents, stamps = {}, {}, {}, {}
    left, room = MAX_MIB * MIB, MAX_HELD
    for path in walk(work.folder):
        name = path.relative_to(work.folder).as_posix()
        data, stamps[name] = _read(path, left)
        left -= len(data)
        if left < 0:
            raise too_much(work.folder, f"{MAX_MIB} MiB")
        files[name], sizes[name] = hashlib.sha256(data).hexdigest(), len(data)
        if name in (REGISTRATION, TIMESTAMP) and len(data) <= MAX_COVER:
            contents[name] = data
        elif (path == work.notebook or _is_code(name)) and len(data) <= room:
            contents[name] = data
            room -= len(data)
    return Snapshot(work, files, sizes, contents, stamps=stamps)


def _is_code(name: str) -> bool:
    return name.endswith(".py")


def _changed(path: Path) -> Fault:
    return Fault(f"{path}: changed while it was being graded; grade it again.")


def _stamps_below(folder: Path) -> dict[str, Stamp]:
    """The stamp of each file of a submission; no file is opened."""
    with contextlib.suppress(NotebookError, Fault, OSError):  # reading it will say what is wrong
        return {path.relative_to(folder).as_posix(): _stamp(path.lstat()) for path in walk(folder)}
    return {}


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def _read(path: Path, limit: int) -> tuple[bytes, Stamp]:
    """The bytes of a regular file, up to one byte more than ``limit``, and its stamp.

    Raises ``NotebookError`` for anything but a regular file, without waiting for a pipe, and
    ``Fault`` for a file that can't be read.
    """
    try:
        with open(os.open(path, PLAIN_FILE), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise NotebookError(f"{path}: a link or special file; send plain files only.")
            return file.read(limit + 1), _stamp(status)
    except OSError as error:
        raise unreadable(path, error) from None
