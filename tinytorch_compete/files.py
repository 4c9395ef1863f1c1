"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tinytorch_compete.errors import StoreError


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old content or the new, never a part; makes folders.

    Raises ``StoreError`` if the disk is full or the folder can't be written; nothing changes then.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink()
            raise
    except OSError as error:
        raise StoreError(
            f"{path}: can't be written ({error.strerror}). Is the disk full, the folder writable?"
        ) from None


def secret(path: Path) -> bytes:
    """The course's secret of 32 bytes from a file that only its owner can read, made at first use.

    Raises ``StoreError`` if the file holds anything else or can't be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(os.urandom(32).hex() + "\n")
    except FileExistsError:
        pass  # made by an earlier grading, or by another one at this moment
    except OSError as error:
        raise StoreError(
            f"{path}: can't be written ({error.strerror}). Is the folder writable?"
        ) from None
    try:
        found = bytes.fromhex(path.read_text())
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: the secret can't be read ({error}).") from None
    if len(found) != 32:
        raise StoreError(f"{path}: not a secret of 32 bytes; restore it, or regrade without it.")
    return found
