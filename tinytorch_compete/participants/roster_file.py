"""The roster of a challenge in a folder of results, brought up to date from what students sent."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.errors import CompeteError, StoreError
from tinytorch_compete.participants import registration
from tinytorch_compete.participants.registration import Registration
from tinytorch_compete.participants.roster import Roster, SubmittedRegistration, enrol
from tinytorch_compete.submissions import submission
from tinytorch_compete.submissions.submission import Submission
from tinytorch_compete.util import files

FOLDER = "entries"


def who(work: Submission) -> Registration | None:
    """The entry that came with a submission; ``None`` if there is none that one can read."""
    with contextlib.suppress(CompeteError):
        return registration.read(work.notebook.parent)
    return None


def read(folder: Path, slug: str) -> Roster:
    """The roster of a challenge in a folder of results; an empty one if nobody is in it yet.

    Raises ``StoreError`` for a damaged file.
    """
    path = folder / FOLDER / f"{slug}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Roster) if path.exists() else Roster()
    except OSError as error:
        raise StoreError(f"{path}: can't be read ({error.strerror}).") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise StoreError(
            f"{path}: not a roster ({error}). Restore it from a copy: who founded a team stands "
            "nowhere else."
        ) from None


def write(folder: Path, slug: str, roster: Roster) -> None:
    """Keep a roster in a folder of results; raises ``StoreError``."""
    text = msgspec.json.format(msgspec.json.encode(roster), indent=1).decode()
    files.write_text(folder / FOLDER / f"{slug}.json", text + "\n", mode=0o600)


def update(folder: Path, challenge: Challenge, works: Sequence[Submission]) -> Roster:
    """The roster after what these submissions say, kept in the folder of results.

    An entry counts even where the work that it came with isn't taken. A submission without one that
    can be read shares nothing beyond the default, and leaves a team. Raises ``StoreError``.
    """
    before = read(folder, challenge.slug)
    arrivals = [_arrival(challenge.slug, work) for work in works]
    now = enrol(before, arrivals, challenge.spec.team_size)
    if now != before:
        write(folder, challenge.slug, now)
    return now


def _arrival(slug: str, work: Submission) -> SubmittedRegistration:
    said = who(work)
    if said is None or said.challenge != slug:
        said = Registration(slug, "")
    return SubmittedRegistration(work.student, said.shown(), submission.sent_at(work))
