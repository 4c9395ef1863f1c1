"""Archives that an LMS hands out, unpacked with suspicion."""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from tinytorch_compete.errors import NotebookError, StoreError
from tinytorch_compete.model import MIB
from tinytorch_compete.submissions.submission import MAX_FILES, MAX_MIB, MAX_NAME

# What an archive may unfold to: one submission's worth, and so much for each byte that it has
# itself, so that a class's archive may hold many. Honest ones hold text and arrays, which zip to a
# twentieth at the best; a bomb unfolds to a thousandfold and more.
GROWTH = 20
FILES_PER_MIB = 100
MAX_PATH = 1000
SKIPPED = "__MACOSX"
ENDING = ".zip"


def extract(archive: Path, place: Path, *, nested: bool = True) -> None:
    """Unpack an archive into a new folder, whole or not at all, archives inside it too.

    Those inside are unpacked beside where they lie, into folders of their names, and one level
    deep: an archive in an archive in an archive stays as it is. Raises ``NotebookError`` for links,
    absolute paths, paths that leave the folder, names twice, encrypted or damaged archives, and
    those that unfold to more than a submission may be; ``StoreError`` if it can't be written.
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
            f"{archive}: no zip that can be read ({error}); send it again."
        ) from None
    except OSError as error:
        raise StoreError(f"{place}: can't be written ({error.strerror}).") from None


def _members(opened: zipfile.ZipFile, archive: Path) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """The files to unpack by their paths below the folder."""
    size = archive.stat().st_size
    files, total = MAX_FILES + FILES_PER_MIB * size // MIB, MAX_MIB * MIB + GROWTH * size
    found: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for member in opened.infolist():
        path = _checked(member, archive)
        if member.is_dir() or SKIPPED in path.parts:
            continue
        if path in found:
            raise NotebookError(f"{archive}: has {str(path)!r} twice.")
        found[path] = member
    if folders := {folder for path in found for folder in path.parents} & set(found):
        raise NotebookError(f"{archive}: {str(min(folders))!r} is both a file and a folder.")
    # Its own word on the sizes is a bound: no more than that is read of any member.
    unfolded = sum(member.file_size for member in found.values())
    if len(found) > files or unfolded > total:
        raise NotebookError(
            f"{archive}: unfolds to {len(found)} files and {unfolded // MIB} MiB; at most {files} "
            f"and {total // MIB} are taken from an archive of its size."
        )
    return found


def _checked(member: zipfile.ZipInfo, archive: Path) -> PurePosixPath:
    """A member's path; raises ``NotebookError`` for one that no honest archive has."""
    path = PurePosixPath(member.orig_filename)
    kind = stat.S_IFMT(member.external_attr >> 16)
    shown = member.orig_filename.encode("unicode_escape").decode()[:100]
    if path.is_absolute() or ".." in path.parts or "\\" in str(path) or ":" in path.parts[:1]:
        raise NotebookError(f"{archive}: {shown!r} would lie outside of its folder.")
    long = len(str(path)) > MAX_PATH or any(len(part.encode()) > MAX_NAME for part in path.parts)
    if not path.parts or long or not str(path).isprintable():
        raise NotebookError(f"{archive}: {shown!r} is no file name that can be shown.")
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
                raise NotebookError(f"{inner}: there is a folder or file of its name already.")
            extract(inner, inner.with_suffix(""), nested=False)
            inner.unlink()
