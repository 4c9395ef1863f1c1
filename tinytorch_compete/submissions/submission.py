"""Submissions on disk, in nbgrader's layout: ``FOLDER/STUDENT/CHALLENGE/NOTEBOOK.ipynb``."""

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

TIMESTAMP = "timestamp.txt"  # written by whoever sends, nbgrader or we
SENT = "%Y-%m-%d %H:%M:%S.%f %Z"  # nbgrader's format
MAX_FILES = 500  # folders included: each takes memory in the box, which no size tells
# Of a larger folder no more is listed: even without what isn't counted it has too many files.
MAX_ENTRIES = MAX_FILES + 1 + len(BYPRODUCTS | {DATA})
MAX_DEPTH = 20
MAX_NAME = 200
MAX_MIB = 64


class Submission(msgspec.Struct, frozen=True):
    """One student's work for one challenge: a notebook, and the folder of what belongs to it.

    ``folder`` is ``None`` for a notebook that came alone.
    """

    student: str
    notebook: Path
    folder: Path | None = None


def parse_time(text: str) -> dt.datetime | None:
    """A time in nbgrader's format, its zone a name, an offset or missing for UTC; else ``None``."""
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
    """The submissions for a challenge below a folder, by student.

    Raises ``CompeteError`` if the folder holds none, and says what it should look like, or if a
    student's name can't be shown.
    """
    if not root.is_dir():
        raise CompeteError(f"{root}: no such folder of submissions.")
    folders = sorted(path / slug for path in root.iterdir() if not path.name.startswith("."))
    found = [at(folder, slug) for folder in folders if _is_there(folder)]
    for work in found:
        if not work.student.isprintable():  # nor could it be kept: JSON has no place for bad UTF-8
            raise CompeteError(f"{root}: the folder {work.student!r} has no plain name; rename it.")
    if not found:
        raise CompeteError(
            f"{root}: no submissions for {slug!r}. They are looked for in nbgrader's layout: "
            f"{root}/STUDENT/{slug}/{slug}.ipynb"
        )
    return found


def at(folder: Path, slug: str) -> Submission:
    """The submission in a folder: the notebook named after the challenge, or else the only one."""
    named = folder / f"{slug}.ipynb"
    others = sorted(folder.glob("*.ipynb")) if os.path.isdir(folder) else []
    path = others[0] if not os.path.exists(named) and len(others) == 1 else named
    return Submission(folder.parent.name, path, folder)


def misnamed(work: Submission, slug: str) -> str:
    """What to say of work whose notebook isn't named after the challenge, or else ''."""
    if work.folder is None or os.path.exists(work.folder / f"{slug}.ipynb"):
        return ""
    if not os.access(work.folder, os.R_OK | os.X_OK):  # grading it will say so
        return ""
    others = sorted(path.name for path in work.folder.glob("*.ipynb"))
    found = ", ".join(repr(name) for name in others[:3])
    found += f" and {len(others) - 3} more" if len(others) > 3 else ""
    if len(others) == 1:
        return f"no {slug}.ipynb; the only notebook, {found}, is graded instead"
    if not others:
        return f"no {slug}.ipynb, nor any other notebook: 0 points"
    return f"no {slug}.ipynb but {found}; it can't be told which to grade: 0 points"


def walk(folder: Path) -> Iterator[Path]:
    """The regular files of a submission, by name.

    Raises ``NotebookError`` for links, special files, and more than can be graded; ``Fault`` for a
    folder that can't be read.
    """
    todo, entries = [(folder, 0)], 0
    while todo:
        place, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise NotebookError(f"{folder}: folders more than {MAX_DEPTH} deep; send fewer.")
        inner = []
        for entry in _entries(place):
            if entry.name in BYPRODUCTS or (entry.name == DATA and not depth):
                continue
            entries += 1
            if entries > MAX_FILES:
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
    place = os.path.dirname(entry.path)
    if not entry.name.isprintable() or len(entry.name.encode(errors="replace")) > MAX_NAME:
        raise NotebookError(f"{place}: a file name that can't be shown; use plain letters.")
    try:
        is_folder = entry.is_dir(follow_symlinks=False)
        if not (is_folder or entry.is_file(follow_symlinks=False)):
            raise NotebookError(f"{entry.path}: a link or special file; send plain files only.")
    except OSError as error:
        raise unreadable(Path(entry.path), error) from None
    return is_folder


def sizes_below(folder: Path) -> dict[str, int]:
    """The size of each file in bytes, by its path in the folder; raises as ``walk`` does."""
    try:
        return {path.relative_to(folder).as_posix(): path.stat().st_size for path in walk(folder)}
    except OSError as error:
        raise unreadable(Path(error.filename), error) from None


def too_much(folder: Path, what: str) -> NotebookError:
    """The error for a submission that has more than ``what``."""
    return NotebookError(
        f"{folder}: more than {what}; send the notebook and the code that it needs, and nothing "
        "else."
    )


def _is_there(folder: Path) -> bool:
    """Whether a folder is there, or can't be looked at: then grading it will say so."""
    try:
        return stat.S_ISDIR(folder.stat().st_mode)
    except PermissionError:
        return True
    except OSError:
        return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder by name; of a folder with too many, enough to see that."""
    try:
        with os.scandir(folder) as entries:
            return sorted(itertools.islice(entries, MAX_ENTRIES), key=lambda entry: entry.name)
    except OSError as error:
        raise unreadable(folder, error) from None


def unreadable(path: Path, error: OSError) -> Fault:
    """The fault for a file that this process may not or can't read."""
    return Fault(f"{path}: can't be read ({error.strerror}); check its permissions.")
