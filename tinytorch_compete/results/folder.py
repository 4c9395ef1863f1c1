"""The results folder: where the database, the feedback, and the secret are."""

from __future__ import annotations

import os
from pathlib import Path

from tinytorch_compete.errors import StoreError
from tinytorch_compete.model import Identity
from tinytorch_compete.util.files import write_text


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


FOLDER, DATABASE, SECRET, FEEDBACK = "graded", "results.sqlite", "secret", "feedback"


def feedback_path(folder: Path, identity: Identity) -> Path:
    """Where the feedback on a piece of work stands below a folder of results."""
    file = f"{name(identity.challenge, identity.final)}.ipynb"
    return folder / FEEDBACK / identity.student / file


def name(slug: str, final: bool) -> str:
    """What the files of a challenge are called; those of its final grading stand beside them."""
    return f"{slug}-final" if final else slug
