"""What a student wishes when joining a challenge, and what becomes of it in the entry."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.errors import CompeteError
from tinytorch_compete.participants import registration, teams
from tinytorch_compete.participants.registration import Registration, Shown


class JoinOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a student says when joining; ``None`` leaves it as it was, or to the default."""

    folder: Path | None = None
    handle: str | None = None
    to: Path | None = None
    dataset: str | None = None
    source: Path | None = None
    team: str | None = None
    word: str | None = None
    show: Shown | None = None
    progress: bool | None = None


def wanted(challenge: Challenge, before: Registration | None, wishes: JoinOptions) -> Registration:
    """The entrant as wished for; an empty data set stands for the challenge's first."""
    now = before or Registration(challenge.slug, "")
    changes: dict[str, Any] = _team(challenge, now, wishes)
    if wishes.handle is not None:
        changes["handle"] = _checked("--handle", wishes.handle, registration.check_handle)
    if wishes.show is not None:
        changes["show"] = wishes.show
    if wishes.progress is not None:
        changes["progress"] = wishes.progress
    if wishes.to is not None:
        changes["to"] = str(wishes.to.resolve()) if str(wishes.to) != "." else ""
    if wishes.source is not None:
        changes["source"] = str(wishes.source.resolve())
    if wishes.dataset is not None:
        changes["dataset"] = challenge.choice(wishes.dataset).name
    elif not changes:  # joining once more is how to get the data set that couldn't be had
        changes["dataset"] = ""
    return msgspec.structs.replace(now, **changes)


def _team(challenge: Challenge, now: Registration, wishes: JoinOptions) -> dict[str, Any]:
    """What changes about the team; a new one gets a word, a known one keeps what it has."""
    if wishes.team is None and wishes.word is None:
        return {}
    name = now.team
    if wishes.team is not None:
        name = _checked("--team", wishes.team, registration.check_handle)
    if not name:
        if wishes.word:
            raise CompeteError("--word is a team's: say which one by --team NAME.")
        return {"team": "", "word": "", "key": ""}
    if challenge.spec.team_size == 1:
        raise CompeteError(f"{challenge.slug} has no teams: everybody takes part alone.")
    same = now.word if teams.alike(name) == teams.alike(now.team) else ""
    word = _checked("--word", wishes.word or "", teams.check_word)
    return {"team": name, "word": word or same or teams.new_word(), "key": ""}


def _checked(flag: str, said: str, check: Callable[[str], str]) -> str:
    try:
        return check(said) if said else ""
    except ValueError as error:
        raise CompeteError(f"{flag} {said!r} won't do: {error}.") from None


def about(who: Registration) -> list[tuple[str, str]]:
    """What an entry says of its student, in plain words."""
    name = who.team or who.handle or "a pseudonym that the course gives you"
    earlier = "shown, with their days" if who.progress else "not shown"
    rows = {
        "handle": [("on the leaderboard", name), ("your earlier results", earlier)],
        "anonymous": [("on the leaderboard", "a line without a name")],
        "nothing": [("on the leaderboard", "you are not shown")],
    }[who.show]
    return [*rows, *([("team", who.team), ("invite word", who.word)] if who.team else [])]


def invitation(who: Registration, *, new_word: bool) -> list[str]:
    command = f"tito compete join {who.challenge} --team {shlex.quote(who.team)} --word"
    lines = [
        "Whoever sends a submission first with a team's name founds it, and fixes its word. The "
        f"others say it when they join, and send something, too: {command} {who.word}",
        "A team counts as one: one line, one quota, and its newest result is everybody's points. "
        "Feedback says whether you are in.",
    ]
    if new_word:
        lines += [f"If the team is there already, ask a member for its word: {command} WORD"]
    return lines
