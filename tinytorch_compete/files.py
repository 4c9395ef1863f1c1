"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from tinytorch_compete.errors import StoreError


def write_text(path: Path, text: str, *, mode: int = 0o644, replace: bool = True) -> None:
    """Write a file so that a reader sees the old content or the new, never a part; makes folders.

    With ``replace=False`` a file that is there already stays, also one that appears meanwhile.
    Raises ``StoreError`` if the disk is full or the folder can't be written; nothing changes then.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
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


def secret(path: Path) -> bytes:
    """The course's secret of 32 bytes from a file that only its owner can read, made at first use.

    Raises ``StoreError`` if the file holds anything else or can't be made.
    """
    try:
        if not path.exists():
            write_text(path, os.urandom(32).hex() + "\n", mode=0o600, replace=False)
        found = bytes.fromhex(path.read_text())
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: the secret can't be read ({error}).") from None
    if len(found) != 32:
        raise StoreError(f"{path}: not a secret of 32 bytes; restore it, or regrade without it.")
    return found
