"""The roster file of a challenge in a results folder, updated from students' submissions."""

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
    """Return the registration sent with a submission; ``None`` if there is no readable one."""
    if snapshot.registration is None:
        return None
    with contextlib.suppress(ValueError, RecursionError):
        return registration.parse(snapshot.registration)
    return None


def read(folder: ResultsFolder, slug: str) -> Roster:
    """Read the roster of a challenge from a results folder; empty if there is no file yet.

    Raises ``StoreError`` for a damaged file.
    """
    path = folder.registrations(slug)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Roster) if path.exists() else Roster()
    except OSError as error:
        raise StoreError(f"{path}: can't be read ({error.strerror}).") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise StoreError(
            f"{path}: not a roster ({error}). Restore it from a copy: the founders of teams are "
            "recorded nowhere else."
        ) from None


def write(folder: ResultsFolder, slug: str, roster: Roster) -> None:
    """Write a roster into a results folder; raises ``StoreError``."""
    text = msgspec.json.format(msgspec.json.encode(roster), indent=1).decode()
    files.write_text(folder.registrations(slug), text + "\n", mode=0o600)


def update(folder: ResultsFolder, challenge: Challenge, snapshots: Sequence[Snapshot]) -> Roster:
    """Update the roster in a results folder from these submissions, and return it.

    A registration counts even if the submission that it came with isn't accepted. A submission
    without a readable one shares nothing beyond the default, and leaves a team. Raises
    ``StoreError``.
    """
    before = read(folder, challenge.slug)
    registrations = [_submitted(challenge.slug, snapshot) for snapshot in snapshots]
    after = enrol(before, registrations, challenge.spec.team_size)
    if after != before:
        write(folder, challenge.slug, after)
    return after


def _submitted(slug: str, snapshot: Snapshot) -> SubmittedRegistration:
    own = who(snapshot)
    if own is None or own.challenge != slug:
        own = Registration(slug, "")
    return SubmittedRegistration(snapshot.student, own.shown(), snapshot.sent_at)
