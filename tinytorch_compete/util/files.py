"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from tinytorch_compete.errors import StoreError

# Folders that come about by themselves: no part of a submission, and shown to no kernel.
BYPRODUCTS = frozenset({"__pycache__", ".ipynb_checkpoints"})
DATA = "data"  # the student's copy of the data set: the grader brings its own


def write_text(path: Path, text: str, *, mode: int = 0o644, replace: bool = True) -> None:
    """Write a text as UTF-8, as ``write_bytes`` does."""
    write_bytes(path, text.encode(), mode=mode, replace=replace)


def write_bytes(path: Path, data: bytes, *, mode: int = 0o644, replace: bool = True) -> None:
    """Write a file so that a reader sees the old content or the new, never a part; makes folders.

    With ``replace=False`` a file that is there already stays, also one that appears meanwhile.
    Raises ``StoreError`` if the disk is full or the folder can't be written; nothing changes then.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(temporary).chmod(mode)
            if replace:
                Path(temporary).replace(path)
            else:
                with contextlib.suppress(FileExistsError):
                    os.link(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"{path}: can't be written ({error.strerror}). Is the disk full, the folder writable?"
        ) from None


def is_sent(path: Path, folder: Path) -> bool:
    """Whether a path below a submission's folder is a part of what was submitted."""
    parts = path.relative_to(folder).parts
    return parts[0] != DATA and BYPRODUCTS.isdisjoint(parts)


def copy_sent(folder: Path, place: Path) -> None:
    """Copy what was submitted, as a kernel gets it; no link is followed. Raises ``OSError``."""

    def left_out(where: str, names: list[str]) -> list[str]:
        return [name for name in names if not is_sent(Path(where, name), folder)]

    shutil.copytree(folder, place, symlinks=True, dirs_exist_ok=True, ignore=left_out)
