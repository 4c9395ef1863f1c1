"""The options for joining a challenge, and the registration that they make."""

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
    """A student's options for joining; ``None`` keeps the present value, or the default."""

    folder: Path | None = None
    handle: str | None = None
    to: Path | None = None
    dataset: str | None = None
    source: Path | None = None
    team: str | None = None
    word: str | None = None
    show: Shown | None = None
    progress: bool | None = None


def apply_options(
    challenge: Challenge, before: Registration | None, options: JoinOptions
) -> Registration:
    """Return the changed registration; an empty data set stands for the challenge's first."""
    now = before or Registration(challenge.slug, "")
    changes: dict[str, Any] = _team(challenge, now, options)
    if options.handle is not None:
        changes["handle"] = _checked("--handle", options.handle, registration.check_handle)
    if options.show is not None:
        changes["show"] = options.show
    if options.progress is not None:
        changes["progress"] = options.progress
    if options.to is not None:
        changes["to"] = str(options.to.resolve()) if str(options.to) != "." else ""
    if options.source is not None:
        changes["source"] = str(options.source.resolve())
    if options.dataset is not None:
        changes["dataset"] = challenge.choice(options.dataset).name
    elif not changes:  # joining again is how to get a data set that wasn't available
        changes["dataset"] = ""
    return msgspec.structs.replace(now, **changes)


def _team(challenge: Challenge, now: Registration, options: JoinOptions) -> dict[str, Any]:
    """Return the changes to the team; a new team gets an invite word, the same one keeps its."""
    if options.team is None and options.word is None:
        return {}
    name = now.team
    if options.team is not None:
        name = _checked("--team", options.team, registration.check_handle)
    if not name:
        if options.word:
            raise CompeteError("--word belongs to a team; name the team with --team NAME.")
        return {"team": "", "word": "", "key": ""}
    if challenge.spec.team_size == 1:
        raise CompeteError(f"{challenge.slug} has no teams: everybody takes part alone.")
    same = now.word if teams.alike(name) == teams.alike(now.team) else ""
    word = _checked("--word", options.word or "", teams.check_word)
    return {"team": name, "word": word or same or teams.new_word(), "key": ""}


def _checked(flag: str, value: str, check: Callable[[str], str]) -> str:
    try:
        return check(value) if value else ""
    except ValueError as error:
        raise CompeteError(f"{flag} {value!r} is invalid: {error}.") from None


def about(who: Registration) -> list[tuple[str, str]]:
    """Describe a registration in plain words, a row for each fact."""
    name = who.team or who.handle or "a pseudonym that the course gives you"
    earlier = "shown, with their dates" if who.progress else "not shown"
    rows = {
        "handle": [("on the leaderboard", name), ("your earlier results", earlier)],
        "anonymous": [("on the leaderboard", "a line without a name")],
        "nothing": [("on the leaderboard", "you are not shown")],
    }[who.show]
    return [*rows, *([("team", who.team), ("invite word", who.word)] if who.team else [])]


def invitation(who: Registration, *, new_word: bool) -> list[str]:
    """Explain how the others join a student's team."""
    command = f"tito compete join {who.challenge} --team {shlex.quote(who.team)} --word"
    lines = [
        "The first student to submit under a team's name founds the team and fixes its invite "
        f"word. The others join with that word, and must submit, too: {command} {who.word}",
        "A team counts as one competitor: one line, one quota, and its newest result gives every "
        "member's points. Feedback says whether you are in the team.",
    ]
    if new_word:
        lines += [f"If the team exists already, ask a member for its word: {command} WORD"]
    return lines
