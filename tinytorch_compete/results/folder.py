"""The results folder: the database, the course's secret, the feedback, and what is staged."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from tinytorch_compete.errors import StoreError
from tinytorch_compete.model import Identity
from tinytorch_compete.results.store import Store
from tinytorch_compete.util.files import write_text

NAME = "graded"  # of the folder, where none is named
DATABASE, SECRET = "results.sqlite", "secret"
FEEDBACK, REGISTRATIONS, STAGED = "feedback", "entries", "shadow"


class ResultsFolder(msgspec.Struct, frozen=True):
    """Where the results of a course are kept; whoever needs a part asks for it here."""

    root: Path

    def __str__(self) -> str:
        return str(self.root)

    @property
    def database(self) -> Path:
        """The file of the results store."""
        return self.root / DATABASE

    @property
    def is_graded(self) -> bool:
        """Whether there is a results store."""
        return self.database.is_file()

    @property
    def secret_path(self) -> Path:
        """The file of the course's secret."""
        return self.root / SECRET

    @property
    def feedback_root(self) -> Path:
        """The folder with a folder of feedback for each student."""
        return self.root / FEEDBACK

    def store(self) -> Store:
        """Open the results store, a new one if there is none; raises ``StoreError``."""
        return Store(self.database)

    def secret(self) -> bytes:
        """The course's secret of 32 bytes, made at first use in a file that only its owner reads.

        Raises ``StoreError`` if the file holds anything else or can't be made.
        """
        path = self.secret_path
        try:
            if not path.exists():
                write_text(path, os.urandom(32).hex() + "\n", mode=0o600, replace=False)
            secret = bytes.fromhex(path.read_text())
        except (OSError, ValueError) as error:
            raise StoreError(f"{path}: the secret can't be read ({error}).") from None
        if len(secret) != 32:
            raise StoreError(
                f"{path}: not a secret of 32 bytes; restore it, or regrade without it."
            )
        return secret

    def feedback(self, identity: Identity) -> Path:
        """The feedback notebook on a graded submission."""
        file = f"{name(identity.challenge, identity.final)}.ipynb"
        return self.feedback_root / identity.student / file

    def registrations(self, slug: str) -> Path:
        """The file with the roster of a challenge."""
        return self.root / REGISTRATIONS / f"{slug}.json"

    def staged(self, slug: str, final: bool) -> ResultsFolder:
        """The results folder of a regrade that is not published yet."""
        return ResultsFolder(self.root / STAGED / name(slug, final))


def name(slug: str, final: bool) -> str:
    """The name of a challenge's files; those of its final grading stand beside the public ones."""
    return f"{slug}-final" if final else slug
