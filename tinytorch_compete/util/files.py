"""Write files atomically, and decide which files belong to a submission."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from tinytorch_compete.errors import StoreError

# Folders that tools create by themselves: not part of a submission, and not given to any kernel.
BYPRODUCTS = frozenset({"__pycache__", ".ipynb_checkpoints"})
DATA = "data"  # the student's copy of the data set; the grader provides its own


def write_text(path: Path, text: str, *, mode: int = 0o644, replace: bool = True) -> None:
    """Write a text as UTF-8, in the way of ``write_bytes``."""
    write_bytes(path, text.encode(), mode=mode, replace=replace)


def write_bytes(path: Path, data: bytes, *, mode: int = 0o644, replace: bool = True) -> None:
    """Write a file, with its folders, so that readers see the old or the new content, never a part.

    With ``replace=False`` an existing file stays, even one that appears in the meantime. Raises
    ``StoreError``, and changes nothing, if the disk is full or the folder can't be written.
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
            f"{path}: can't be written ({error.strerror}). "
            "Is the disk full, or the folder read-only?"
        ) from None


def is_sent(path: Path, folder: Path) -> bool:
    """Whether a path below a submission's folder is part of the submission."""
    parts = path.relative_to(folder).parts
    return parts[0] != DATA and BYPRODUCTS.isdisjoint(parts)


def copy_sent(folder: Path, place: Path) -> None:
    """Copy the submitted files as a kernel gets them, links as links. Raises ``OSError``."""

    def ignored(where: str, names: list[str]) -> list[str]:
        return [name for name in names if not is_sent(Path(where, name), folder)]

    shutil.copytree(folder, place, symlinks=True, dirs_exist_ok=True, ignore=ignored)
