"""Who joined a challenge: a small file in the student's folder, kept by the student's commands."""

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
# Letters and digits of any script, with single marks between them that no markup gives a meaning.
# The four letters that are left out are Hangul's fillers, which show nothing.
LETTER = r"[^\W_\u115f\u1160\u3164\uffa0]"
HANDLE = re.compile(rf"{LETTER}(?:[ .'-]?{LETTER}){{1,23}}")
MAX_HANDLE = 24
KEY = re.compile(r"[0-9a-f]{32}")
Shown = Literal["handle", "anonymous", "nothing"]


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was sent, when and to where; ``sha256`` is that of the submission's files."""

    sha256: str
    sent_at: dt.datetime
    place: str


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who joined what: a challenge, one of its data sets, a team, and what the board may show.

    An empty ``handle`` leaves the name to the course, which gives a pseudonym. ``show`` says how
    the line on the leaderboard is called, if there is to be one; with ``progress`` it may show
    earlier results and their days, too. ``word`` is the team's invite word, and ``key`` what is
    sent in its place. ``source`` is the folder that the data set was read from, ``to`` the one that
    submissions go to where there is no exchange; both may be empty. ``hints`` is how many were
    shown.
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
        """How many submissions were sent on a day, in UTC."""
        return sum(receipt.sent_at.astimezone(dt.UTC).date() == day for receipt in self.receipts)

    def shown(self) -> Registration:
        """The part that goes with a submission: nothing about hints, folders or earlier ones.

        The invite word itself stays at home.
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
    """The handle, composed; raises ``ValueError`` unless it is short, plain and shows as it is."""
    composed = unicodedata.normalize("NFC", handle)
    shows = HANDLE.fullmatch(composed) and teams.alike(composed)
    if len(composed) > MAX_HANDLE or not shows:
        raise ValueError(
            f"a handle is, as a team's name, 2 to {MAX_HANDLE} letters and digits, with single "
            "spaces, dots, hyphens or apostrophes between them"
        )
    return composed


def read(folder: Path) -> Registration:
    """The entrant of a folder; raises ``StoreError`` if its file is damaged or too large."""
    path = folder / FILE
    try:
        facts = path.lstat()
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > MIB:  # reading a pipe never ends
            raise ValueError("it is no plain file, or larger than any that was written here")
        return parse(path.read_bytes())
    except OSError as error:
        raise StoreError(f"{path}: can't be read ({error.strerror}).") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise StoreError(
            f"{path}: not an entry ({error}). Leave the challenge and join it again: your work "
            "stays, but not the receipts and hints that this file lists."
        ) from None


def parse(data: bytes) -> Registration:
    """The registration in a file's bytes; raises ``ValueError`` or ``RecursionError``."""
    return msgspec.json.decode(data, type=Registration)


def write(folder: Path, entrant: Registration) -> None:
    """Keep the entrant in a folder, whole or not at all; raises ``StoreError``."""
    text = msgspec.json.format(msgspec.json.encode(entrant), indent=2).decode()
    files.write_text(folder / FILE, text + "\n")


def find(here: Path) -> dict[str, Path]:
    """The folders of the challenges joined near a folder, by slug.

    Looked at are the folder itself and those above it, then what stands beside or below them; the
    nearest counts. A damaged file stands for the challenge that its folder is named after; ``read``
    says what is wrong with it.
    """
    found: dict[str, Path] = {}
    for folder in _near(here.resolve()):
        if (folder / FILE).is_file():
            try:
                found.setdefault(read(folder).challenge, folder)
            except StoreError:
                found.setdefault(folder.name, folder)
    return found


def of(here: Path, slug: str | None) -> tuple[Path, Registration]:
    """The folder and the entrant of a challenge joined near here, or of the only one.

    Inside a challenge's folder that one is meant. Raises ``CompeteError`` if there is none, or if
    several could be meant.
    """
    found = find(here)
    if slug is None:
        inside = [folder for folder in found.values() if here.resolve().is_relative_to(folder)]
        chosen = inside or list(found.values())
        if len(chosen) > 1:
            raise CompeteError(f"which challenge? You joined {', '.join(found)}: name one.")
    else:
        chosen = [found[slug]] if slug in found else []
    if not chosen:
        raise absent(here, slug)
    return chosen[0], read(chosen[0])


def absent(here: Path, slug: str | None) -> CompeteError:
    """What to say where a challenge wasn't joined, or none was."""
    what = f"{slug} wasn't" if slug else "nothing was"
    return CompeteError(
        f"{here.resolve()}: {what} joined here. Go to the folder where you did, or run "
        f"tito compete list to see what there is, and: tito compete join {slug or 'SLUG'}"
    )


def _near(here: Path) -> Iterator[Path]:
    above = [here, *here.parents]
    yield from above
    joined = [folder.parent for folder in above if (folder / FILE).is_file()]
    for folder in [here, *joined]:
        yield from sorted(path.parent for path in folder.glob(f"*/{FILE}"))
