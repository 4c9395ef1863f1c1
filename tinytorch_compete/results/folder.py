"""The results folder: its database, secret, feedback, registrations and staged regrades."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from tinytorch_compete.errors import StoreError
from tinytorch_compete.model import Identity
from tinytorch_compete.results.store import Store
from tinytorch_compete.util.files import write_text

NAME = "graded"  # the default name of the folder
DATABASE, SECRET = "results.sqlite", "secret"
FEEDBACK, REGISTRATIONS, STAGED = "feedback", "entries", "shadow"


class ResultsFolder(msgspec.Struct, frozen=True):
    """The folder with a course's results; all paths inside it are defined here."""

    root: Path

    def __str__(self) -> str:
        return str(self.root)

    @property
    def database(self) -> Path:
        """Return the path of the results store."""
        return self.root / DATABASE

    @property
    def is_graded(self) -> bool:
        """Return whether there is a results store."""
        return self.database.is_file()

    @property
    def secret_path(self) -> Path:
        """Return the path of the course's secret."""
        return self.root / SECRET

    @property
    def feedback_root(self) -> Path:
        """Return the folder that has a folder of feedback for each student."""
        return self.root / FEEDBACK

    def store(self) -> Store:
        """Open the results store, creating it if needed; raises ``StoreError``."""
        return Store(self.database)

    def secret(self) -> bytes:
        """Return the course's secret of 32 bytes, created at first use, readable by its owner only.

        Raises ``StoreError`` if the file holds anything else or can't be created.
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
        """Return the path of the feedback notebook on a graded submission."""
        file = f"{name(identity.challenge, identity.final)}.ipynb"
        return self.feedback_root / identity.student / file

    def registrations(self, slug: str) -> Path:
        """Return the path of a challenge's roster."""
        return self.root / REGISTRATIONS / f"{slug}.json"

    def staged(self, slug: str, final: bool) -> ResultsFolder:
        """Return the results folder of a challenge's staged regrade, which isn't published yet."""
        return ResultsFolder(self.root / STAGED / name(slug, final))


def name(slug: str, final: bool) -> str:
    """Return the name of a challenge's files; its final grading has files of its own."""
    return f"{slug}-final" if final else slug
