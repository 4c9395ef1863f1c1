"""One read of a submission: what was sent, when, and with what in it.

Everything that grading decides from a submission's files is decided from a snapshot, so that each
file is opened once and all decisions are about the same bytes.
"""

from __future__ import annotations

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
# Of larger files only the digest stays in memory: a class of 500 is held at once.
MAX_KEPT = 2 * MIB
# Follows no link and waits for no pipe that took the file's place; Windows has no such flags.
PLAIN_FILE = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
)


class Snapshot(msgspec.Struct, frozen=True):
    """A submission as it was read.

    ``files`` has the sha256 of each file and ``sizes`` its bytes, by the file's path in the
    submission's folder. ``contents`` are the bytes of what is read here and not only digested: the
    notebook, Python files, the registration and the time of sending. ``problem`` says why there is
    no more of it: a ``NotebookError`` is about what was sent, a ``Fault`` about this machine.
    """

    work: Submission
    files: Mapping[str, str] = {}
    sizes: Mapping[str, int] = {}
    contents: Mapping[str, bytes] = {}
    problem: CompeteError | None = None

    @property
    def student(self) -> str:
        """Whose submission it is."""
        return self.work.student

    @property
    def sha(self) -> str:
        """One sha256 for all files: their names and contents."""
        return digest(self.files)

    @property
    def sent_at(self) -> dt.datetime | None:
        """When it was sent, by its ``timestamp.txt``; ``None`` if that doesn't say."""
        data = self.contents.get(TIMESTAMP)
        if data is None or len(data) > MAX_NAME:
            return None
        return parse_time(data.decode("utf-8", errors="replace"))

    @property
    def registration(self) -> bytes | None:
        """What the student's ``compete.json`` holds; ``None`` without one."""
        return self.contents.get(REGISTRATION)

    def notebook(self) -> NotebookNode:
        """The student's notebook; raises ``NotebookError`` and ``Fault`` as ``notebook.read``."""
        data = self.contents.get(self.work.notebook.name)
        if data is None:
            return notebook.read(self.work.notebook)
        return notebook.parse(data, self.work.notebook)

    def code(self) -> Mapping[str, str]:
        """The text of each Python file beside the notebook."""
        return {
            name: self._bytes(name).decode("utf-8", errors="replace")
            for name in self.files
            if name.endswith(".py") and self.work.folder
        }

    def _bytes(self, name: str) -> bytes:
        assert self.work.folder is not None
        kept = self.contents.get(name)
        try:
            return (self.work.folder / name).read_bytes() if kept is None else kept
        except OSError as error:
            raise unreadable(self.work.folder / name, error) from None


def load(work: Submission) -> Snapshot:
    """Read a submission; what is wrong with it is the snapshot's ``problem``."""
    try:
        return _load(work)
    except (NotebookError, Fault) as error:
        # Even of a submission that can't be graded it counts who sent it, and when.
        return Snapshot(work, contents=cover(work), problem=error)


def cover(work: Submission) -> Mapping[str, bytes]:
    """The registration and the time of sending alone, as far as they can be read."""
    contents = {}
    for name in (REGISTRATION, TIMESTAMP):
        path = work.notebook.parent / name
        try:
            facts = path.lstat()
            if stat.S_ISREG(facts.st_mode) and facts.st_size <= MIB:  # reading a pipe never ends
                contents[name] = path.read_bytes()
        except OSError:
            continue
    return contents


def digest(files: Mapping[str, str]) -> str:
    """One sha256 for a submission's files: their names and contents."""
    lines = "".join(f"{name}\0{sha}\n" for name, sha in sorted(files.items()))
    return hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()


def _load(work: Submission) -> Snapshot:
    if work.folder is None:
        data = notebook.read_bytes(work.notebook)
        name = work.notebook.name
        sha = hashlib.sha256(data).hexdigest()
        return Snapshot(work, {name: sha}, {name: len(data)}, {**cover(work), name: data})
    files, sizes, contents = {}, {}, {}
    for path in walk(work.folder):
        name = path.relative_to(work.folder).as_posix()
        data = _read(path)
        files[name], sizes[name] = hashlib.sha256(data).hexdigest(), len(data)
        if sum(sizes.values()) > MAX_MIB * MIB:
            raise too_much(work.folder, f"{MAX_MIB} MiB")
        if len(data) <= MAX_KEPT and _is_read_here(path, work):
            contents[name] = data
    return Snapshot(work, files, sizes, contents)


def _is_read_here(path: Path, work: Submission) -> bool:
    own = {work.notebook, work.notebook.parent / REGISTRATION, work.notebook.parent / TIMESTAMP}
    return path.suffix == ".py" or path in own


def _read(path: Path) -> bytes:
    """A file's bytes, at most as many as a submission may have and one more."""
    try:
        with open(os.open(path, PLAIN_FILE), "rb") as file:
            return file.read(MAX_MIB * MIB + 1)
    except OSError as error:
        raise unreadable(path, error) from None
