"""Find submissions on disk, in nbgrader's layout: ``FOLDER/STUDENT/CHALLENGE/NOTEBOOK.ipynb``."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import stat
import zoneinfo
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tinytorch_compete.errors import CompeteError, Fault, NotebookError
from tinytorch_compete.util.files import BYPRODUCTS, DATA

TIMESTAMP = "timestamp.txt"  # written by nbgrader or by our own submit command
SENT = "%Y-%m-%d %H:%M:%S.%f %Z"  # nbgrader's format
MAX_FILES = 500  # including folders: each entry takes memory in the sandbox, whatever its size
# No more entries of a folder are listed: even without the uncounted ones, these are too many.
MAX_ENTRIES = MAX_FILES + 1 + len(BYPRODUCTS | {DATA})
MAX_DEPTH = 20
MAX_NAME = 200
MAX_MIB = 64


class Submission(msgspec.Struct, frozen=True):
    """One student's work for one challenge: a notebook and the folder with its other files.

    ``folder`` is ``None`` for a notebook without a folder of its own.
    """

    student: str
    notebook: Path
    folder: Path | None = None


def parse_time(text: str) -> dt.datetime | None:
    """Parse a time in nbgrader's format; ``None`` if it can't be parsed.

    The zone is a name or an offset; without one it is UTC.
    """
    day, _, rest = text.strip().partition(" ")
    clock, _, zone = rest.partition(" ")
    try:
        time = dt.datetime.fromisoformat(f"{day} {clock}{zone if zone[:1] in ('+', '-') else ''}")
        if time.tzinfo is None:
            time = time.replace(tzinfo=dt.UTC if zone in ("", "UTC") else zoneinfo.ZoneInfo(zone))
        return time.astimezone(dt.UTC)
    except (ValueError, OverflowError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return None


def find(root: Path, slug: str) -> list[Submission]:
    """Find the submissions for a challenge below a folder, sorted by student.

    Raises ``CompeteError`` if there are none, with the expected layout, or if a student's name
    isn't printable.
    """
    if not root.is_dir():
        raise CompeteError(f"{root}: no such folder of submissions.")
    folders = sorted(path / slug for path in root.iterdir() if not path.name.startswith("."))
    works = [at(folder, slug) for folder in folders if _is_there(folder)]
    for work in works:
        if not work.student.isprintable():  # and JSON can't store invalid UTF-8
            raise CompeteError(
                f"{root}: the name of the folder {work.student!r} isn't printable; rename it."
            )
    if not works:
        raise CompeteError(
            f"{root}: no submissions for {slug!r}. The expected layout is nbgrader's: "
            f"{root}/STUDENT/{slug}/{slug}.ipynb"
        )
    return works


def at(folder: Path, slug: str) -> Submission:
    """Return the submission in a folder: its notebook of the challenge's name, or its only one."""
    expected = folder / f"{slug}.ipynb"
    notebooks = sorted(folder.glob("*.ipynb")) if os.path.isdir(folder) else []
    is_renamed = not os.path.exists(expected) and len(notebooks) == 1
    return Submission(folder.parent.name, notebooks[0] if is_renamed else expected, folder)


def misnamed(work: Submission, slug: str) -> str:
    """Return a warning for work whose notebook isn't named after the challenge, or else ''."""
    if work.folder is None or os.path.exists(work.folder / f"{slug}.ipynb"):
        return ""
    if not os.access(work.folder, os.R_OK | os.X_OK):  # grading it says so
        return ""
    names = sorted(path.name for path in work.folder.glob("*.ipynb"))
    listed = ", ".join(repr(name) for name in names[:3])
    listed += f" and {len(names) - 3} more" if len(names) > 3 else ""
    if len(names) == 1:
        return f"no {slug}.ipynb; the only notebook, {listed}, is graded instead"
    if not names:
        return f"no {slug}.ipynb, nor any other notebook: 0 points"
    return f"no {slug}.ipynb but {listed}; it is unclear which to grade: 0 points"


def walk(folder: Path) -> Iterator[Path]:
    """Yield the regular files of a submission, by name.

    Raises ``NotebookError`` for links, special files, and too many or too deeply nested files, and
    ``Fault`` for a folder that can't be read.
    """
    todo, count = [(folder, 0)], 0
    while todo:
        current, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise NotebookError(f"{folder}: folders more than {MAX_DEPTH} levels deep; send fewer.")
        inner = []
        for entry in _entries(current):
            if entry.name in BYPRODUCTS or (entry.name == DATA and not depth):
                continue
            count += 1
            if count > MAX_FILES:
                raise too_much(folder, f"{MAX_FILES} files and folders")
            if _is_plain_folder(entry):
                inner.append((Path(entry.path), depth + 1))
            else:
                yield Path(entry.path)
        todo += reversed(inner)


def _is_plain_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder; raises ``NotebookError`` unless it is a folder or a file.

    Raises ``Fault`` if that can't be looked up.
    """
    folder = os.path.dirname(entry.path)
    if not entry.name.isprintable() or len(entry.name.encode(errors="replace")) > MAX_NAME:
        raise NotebookError(
            f"{folder}: a file name that isn't printable or has more than {MAX_NAME} bytes; use a "
            "short name of plain letters."
        )
    try:
        is_folder = entry.is_dir(follow_symlinks=False)
        if not (is_folder or entry.is_file(follow_symlinks=False)):
            raise NotebookError(f"{entry.path}: a link or special file; send plain files only.")
    except OSError as error:
        raise unreadable(Path(entry.path), error) from None
    return is_folder


def sizes_below(folder: Path) -> dict[str, int]:
    """Return the size of each file in bytes, by its path in the folder; raises as ``walk`` does."""
    try:
        return {path.relative_to(folder).as_posix(): path.stat().st_size for path in walk(folder)}
    except OSError as error:
        raise unreadable(Path(error.filename), error) from None


def too_much(folder: Path, limit: str) -> NotebookError:
    """Return the error for a submission that exceeds a limit, such as ``64 MiB``."""
    return NotebookError(
        f"{folder}: more than {limit}; send the notebook and the code that it needs, and nothing "
        "else."
    )


def _is_there(folder: Path) -> bool:
    """Whether a folder exists; true too if that can't be checked, since grading it says so."""
    try:
        return stat.S_ISDIR(folder.stat().st_mode)
    except PermissionError:
        return True
    except OSError:
        return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """The first ``MAX_ENTRIES`` entries of a folder, sorted by name."""
    try:
        with os.scandir(folder) as entries:
            return sorted(itertools.islice(entries, MAX_ENTRIES), key=lambda entry: entry.name)
    except OSError as error:
        raise unreadable(folder, error) from None


def unreadable(path: Path, error: OSError) -> Fault:
    """Return the fault for a file that this process can't read."""
    return Fault(f"{path}: can't be read ({error.strerror}); check its permissions.")
