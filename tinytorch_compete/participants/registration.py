"""A student's registration for a challenge: a small file in the folder of the challenge."""

from __future__ import annotations

import datetime as dt
import re
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from tinytorch_compete.errors import CompeteError, StoreError
from tinytorch_compete.model import MIB
from tinytorch_compete.participants import teams
from tinytorch_compete.util import files

FILE = "compete.json"
# Letters and digits of any script, with single marks between them that mean nothing in any markup.
# The four excluded letters are Hangul's fillers, which are invisible.
LETTER = r"[^\W_\u115f\u1160\u3164\uffa0]"
HANDLE = re.compile(rf"{LETTER}(?:[ .'-]?{LETTER}){{1,23}}")
MAX_HANDLE = 24
KEY = re.compile(r"[0-9a-f]{32}")
Shown = Literal["handle", "anonymous", "nothing"]


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Proof of a submission: when it was sent and where to; ``sha256`` is that of its files."""

    sha256: str
    sent_at: dt.datetime
    place: str


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A student's entry: a challenge, one of its data sets, a team, and what the board may show.

    An empty ``handle`` leaves the name to the course, which assigns a pseudonym. ``show`` says what
    name the row on the leaderboard has, if there may be one; with ``progress`` the board may show
    earlier results and their days, too. ``word`` is the team's invite word, and ``key`` is sent in
    its place. ``source`` is the folder that the data set was read from, ``to`` the folder for
    submissions where there is no exchange; both may be empty. ``hints`` is how many were shown.
    """

    challenge: str
    dataset: str
    handle: str = ""
    source: str = ""
    to: str = ""
    hints: int = 0
    receipts: tuple[Receipt, ...] = ()
    show: Shown = "handle"
    progress: bool = False
    team: str = ""
    word: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        for name in (self.handle, self.team):
            if name:
                check_handle(name)
        if self.word:
            teams.check_word(self.word)
        if self.key and not KEY.fullmatch(self.key):
            raise ValueError("a key is 32 hexadecimal digits")

    def sent_on(self, day: dt.date) -> int:
        """Count the submissions sent on a day, in UTC."""
        return sum(receipt.sent_at.astimezone(dt.UTC).date() == day for receipt in self.receipts)

    def shown(self) -> Registration:
        """Return the part that is sent with a submission: no hints, folders or receipts.

        The invite word itself is never sent.
        """
        key = teams.key(self.challenge, self.team, self.word) if self.word else self.key
        return Registration(
            self.challenge,
            self.dataset,
            self.handle,
            show=self.show,
            progress=self.progress,
            team=self.team,
            key=key if self.team else "",
        )


def check_handle(handle: str) -> str:
    """Return the handle in NFC; raises ``ValueError`` unless it is short, plain and visible."""
    composed = unicodedata.normalize("NFC", handle)
    shows = HANDLE.fullmatch(composed) and teams.alike(composed)
    if len(composed) > MAX_HANDLE or not shows:
        raise ValueError(
            f"a handle is 2 to {MAX_HANDLE} letters and digits, as is a team's name, with single "
            "spaces, dots, hyphens or apostrophes between them"
        )
    return composed


def read(folder: Path) -> Registration:
    """Read a folder's registration; raises ``StoreError`` if its file is damaged or too large."""
    path = folder / FILE
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > MIB:  # reading a pipe never ends
            raise ValueError("it is no regular file, or larger than any registration")
        return parse(path.read_bytes())
    except OSError as error:
        raise StoreError(f"{path}: can't be read ({error.strerror}).") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise StoreError(
            f"{path}: not a registration ({error}). Leave the challenge and join it again: this "
            "keeps your work, but loses the receipts and hints that the file lists."
        ) from None


def parse(data: bytes) -> Registration:
    """Decode a registration file; raises ``ValueError`` or ``RecursionError``."""
    return msgspec.json.decode(data, type=Registration)


def write(folder: Path, registration: Registration) -> None:
    """Write a registration into a folder, whole or not at all; raises ``StoreError``."""
    text = msgspec.json.format(msgspec.json.encode(registration), indent=2).decode()
    files.write_text(folder / FILE, text + "\n")


def find(here: Path) -> dict[str, Path]:
    """Find the folders of the challenges joined near a folder, by slug.

    The search covers the folder itself and its parents, then the folders beside or below them; the
    nearest counts. A damaged file counts for the challenge that its folder is named after; ``read``
    says what is wrong with it.
    """
    folders: dict[str, Path] = {}
    for folder in _near(here.resolve()):
        if (folder / FILE).is_file():
            try:
                folders.setdefault(read(folder).challenge, folder)
            except StoreError:
                folders.setdefault(folder.name, folder)
    return folders


def of(here: Path, slug: str | None) -> tuple[Path, Registration]:
    """Return the folder and the registration of a challenge joined near here.

    Without a slug it is the challenge whose folder this is, or the only one nearby. Raises
    ``CompeteError`` if there is none, or if there are several.
    """
    folders = find(here)
    if slug is None:
        inside = [folder for folder in folders.values() if here.resolve().is_relative_to(folder)]
        candidates = inside or list(folders.values())
        if len(candidates) > 1:
            raise CompeteError(f"which challenge? You joined {', '.join(folders)}: name one.")
    else:
        candidates = [folders[slug]] if slug in folders else []
    if not candidates:
        raise absent(here, slug)
    return candidates[0], read(candidates[0])


def absent(here: Path, slug: str | None) -> CompeteError:
    """Return the error for a folder in which a challenge, or any challenge, wasn't joined."""
    subject = f"{slug} wasn't" if slug else "nothing was"
    return CompeteError(
        f"{here.resolve()}: {subject} joined here. Go to the folder where you joined, or run "
        f"tito compete list to see the challenges, and then: tito compete join {slug or 'SLUG'}"
    )


def _near(here: Path) -> Iterator[Path]:
    above = [here, *here.parents]
    yield from above
    joined = [folder.parent for folder in above if (folder / FILE).is_file()]
    for folder in [here, *joined]:
        yield from sorted(path.parent for path in folder.glob(f"*/{FILE}"))
