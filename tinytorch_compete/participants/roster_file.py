"""The roster of a challenge in a folder of results, brought up to date from what students sent."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import msgspec

from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.errors import StoreError
from tinytorch_compete.participants import registration
from tinytorch_compete.participants.registration import Registration
from tinytorch_compete.participants.roster import Roster, SubmittedRegistration, enrol
from tinytorch_compete.results.folder import ResultsFolder
from tinytorch_compete.submissions.snapshot import Snapshot
from tinytorch_compete.util import files


def who(snapshot: Snapshot) -> Registration | None:
    """The registration that came with a submission; ``None`` if there is none that can be read."""
    if snapshot.registration is None:
        return None
    with contextlib.suppress(ValueError, RecursionError):
        return registration.parse(snapshot.registration)
    return None


def read(folder: ResultsFolder, slug: str) -> Roster:
    """The roster of a challenge in a folder of results; an empty one if nobody is in it yet.

    Raises ``StoreError`` for a damaged file.
    """
    path = folder.registrations(slug)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Roster) if path.exists() else Roster()
    except OSError as error:
        raise StoreError(f"{path}: can't be read ({error.strerror}).") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise StoreError(
            f"{path}: not a roster ({error}). Restore it from a copy: who founded a team stands "
            "nowhere else."
        ) from None


def write(folder: ResultsFolder, slug: str, roster: Roster) -> None:
    """Keep a roster in a folder of results; raises ``StoreError``."""
    text = msgspec.json.format(msgspec.json.encode(roster), indent=1).decode()
    files.write_text(folder.registrations(slug), text + "\n", mode=0o600)


def update(folder: ResultsFolder, challenge: Challenge, snapshots: Sequence[Snapshot]) -> Roster:
    """The roster after what these submissions say, kept in the folder of results.

    A registration counts even where the work that it came with isn't taken. A submission without
    one that can be read shares nothing beyond the default, and leaves a team. Raises
    ``StoreError``.
    """
    before = read(folder, challenge.slug)
    arrivals = [_arrival(challenge.slug, snapshot) for snapshot in snapshots]
    now = enrol(before, arrivals, challenge.spec.team_size)
    if now != before:
        write(folder, challenge.slug, now)
    return now


def _arrival(slug: str, snapshot: Snapshot) -> SubmittedRegistration:
    said = who(snapshot)
    if said is None or said.challenge != slug:
        said = Registration(slug, "")
    return SubmittedRegistration(snapshot.student, said.shown(), snapshot.sent_at)
