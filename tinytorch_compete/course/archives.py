"""Unpack archives from an LMS, with suspicion."""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from tinytorch_compete.errors import NotebookError, StoreError
from tinytorch_compete.model import MIB
from tinytorch_compete.submissions.submission import MAX_FILES, MAX_MIB, MAX_NAME

# An archive may unpack to the size of one submission, and this many times its own size, so that a
# class's archive may hold many submissions. Honest archives hold text and arrays, which compress to
# a twentieth at best; a zip bomb unpacks to a thousand times its size and more.
GROWTH = 20
FILES_PER_MIB = 100
MAX_PATH = 1000
SKIPPED = "__MACOSX"
ENDING = ".zip"


def extract(archive: Path, place: Path, *, nested: bool = True) -> None:
    """Unpack an archive into a new folder, whole or not at all, together with archives inside it.

    An archive inside is unpacked where it lies, into a folder of its name, and one level deep: an
    archive in an archive in an archive stays as it is. Raises ``NotebookError`` for links, absolute
    paths, paths that leave the folder, duplicate names, encrypted or damaged archives, and those
    that unpack to more than a submission may have; ``StoreError`` if the folder can't be written.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _members(opened, archive)
            place.mkdir(parents=True)
            try:
                for name, member in members.items():
                    _unpack(opened, member, place / name)
                if nested:
                    _extract_nested(place)
            except BaseException:
                shutil.rmtree(place)
                raise
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as error:
        raise NotebookError(
            f"{archive}: not a readable zip file ({error}); send it again."
        ) from None
    except OSError as error:
        raise StoreError(f"{place}: can't be written ({error.strerror}).") from None


def _members(opened: zipfile.ZipFile, archive: Path) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """Return the files to unpack, by their paths below the folder."""
    size = archive.stat().st_size
    max_files, max_bytes = MAX_FILES + FILES_PER_MIB * size // MIB, MAX_MIB * MIB + GROWTH * size
    members: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for member in opened.infolist():
        path = _checked(member, archive)
        if member.is_dir() or SKIPPED in path.parts:
            continue
        if path in members:
            raise NotebookError(f"{archive}: has {str(path)!r} twice.")
        members[path] = member
    if folders := {folder for path in members for folder in path.parents} & set(members):
        raise NotebookError(f"{archive}: {str(min(folders))!r} is both a file and a folder.")
    # The sizes that the archive states are upper bounds: no more is read of any member.
    unpacked = sum(member.file_size for member in members.values())
    if len(members) > max_files or unpacked > max_bytes:
        raise NotebookError(
            f"{archive}: unpacks to {len(members)} files and {unpacked // MIB} MiB; an archive of "
            f"its size may have at most {max_files} and {max_bytes // MIB}."
        )
    return members


def _checked(member: zipfile.ZipInfo, archive: Path) -> PurePosixPath:
    """Return a member's path; raises ``NotebookError`` for one that no honest archive has."""
    path = PurePosixPath(member.orig_filename)
    kind = stat.S_IFMT(member.external_attr >> 16)
    shown = member.orig_filename.encode("unicode_escape").decode()[:100]
    if path.is_absolute() or ".." in path.parts or "\\" in str(path) or ":" in path.parts[:1]:
        raise NotebookError(f"{archive}: {shown!r} would be outside of its folder.")
    long = len(str(path)) > MAX_PATH or any(len(part.encode()) > MAX_NAME for part in path.parts)
    if not path.parts or long or not str(path).isprintable():
        raise NotebookError(f"{archive}: {shown!r} is not a printable file name.")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise NotebookError(f"{archive}: {shown!r} is a link or special file; send plain files.")
    if member.flag_bits & 1:
        raise NotebookError(f"{archive}: {shown!r} is encrypted; send it without a password.")
    return path


def _unpack(opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(member) as source, path.open("xb") as target:
        shutil.copyfileobj(source, target, MIB)


def _extract_nested(place: Path) -> None:
    for inner in sorted(place.rglob(f"*{ENDING}")):
        if inner.is_file():
            if inner.with_suffix("").exists():
                raise NotebookError(f"{inner}: a folder or file of that name exists already.")
            extract(inner, inner.with_suffix(""), nested=False)
            inner.unlink()
