"""The participants of a challenge, as the course sees them: teams, handles, and privacy.

A student's registration speaks for that student and nobody else. The members of a team follow from
their own registrations alone: the first student to name the team fixes its invite word.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from tinytorch_compete.model import Result, Verdict
from tinytorch_compete.participants import pseudonyms
from tinytorch_compete.participants.registration import Registration, Shown
from tinytorch_compete.participants.teams import alike

NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)
PRIVACY: Sequence[Shown] = ("handle", "anonymous", "nothing")  # from least to most private


class SubmittedRegistration(msgspec.Struct, frozen=True):
    """A registration sent with a submission, and when that was sent, if it says so."""

    student: str
    who: Registration
    sent_at: dt.datetime | None = None

    @property
    def sha(self) -> str:
        """A sha256 of the registration."""
        return hashlib.sha256(msgspec.json.encode(self.who)).hexdigest()


class Team(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A team: its name as the founder wrote it, and the key derived from its invite word."""

    name: str
    key: str
    founder: str


class Participant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The part of a student's newest registration that counts.

    ``team`` is the student's team, as ``alike`` names it; ``refused`` says why it isn't the
    requested one. ``since`` is when the registration was sent that put the student into or out of a
    team: earlier results don't count on the new side. ``sha`` is that of the registration.
    """

    sha: str
    sent_at: dt.datetime | None = None
    handle: str = ""
    show: Shown = "handle"
    progress: bool = False
    team: str = ""
    since: dt.datetime | None = None
    refused: str = ""


class Roster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everybody who submitted to one challenge, and all teams that were ever founded."""

    teams: dict[str, Team] = {}
    entered: dict[str, Participant] = {}

    def __post_init__(self) -> None:
        unknown = {participant.team for participant in self.entered.values()} - {"", *self.teams}
        if unknown:
            raise ValueError(f"nobody founded {', '.join(sorted(unknown))}")

    def of(self, student: str) -> Participant:
        """Return a student as a participant, with the defaults if there is no registration."""
        return self.entered.get(student, Participant(""))

    def members(self, team: str) -> list[str]:
        """Return the students in a team, sorted by name."""
        return sorted(name for name, who in self.entered.items() if team and who.team == team)

    def side(self, student: str) -> list[str]:
        """Return the student and all teammates."""
        return self.members(self.of(student).team) or [student]


class Competitor(msgspec.Struct, frozen=True):
    """The owner of a row on a board: a student or a team; pseudonyms are derived from ``id``."""

    id: str
    name: str
    show: Shown
    progress: bool


def enrol(roster: Roster, registrations: Iterable[SubmittedRegistration], team_size: int) -> Roster:
    """Return the roster after these registrations, processed in the order in which they were sent.

    A registration that is equal to the student's last one, or older, changes nothing.
    """
    teams, entered = dict(roster.teams), dict(roster.entered)
    updated = Roster(teams, entered)
    for submitted in sorted(registrations, key=lambda s: (s.sent_at is None, s.sent_at or NEVER)):
        before = entered.get(submitted.student)
        if before is None or _changes(before, submitted):
            entered[submitted.student] = _participant(updated, before, submitted, team_size)
    return updated


def _changes(before: Participant, submitted: SubmittedRegistration) -> bool:
    stale = before.sent_at and submitted.sent_at and submitted.sent_at < before.sent_at
    return not stale and (before.sha != submitted.sha or bool(before.refused))


def _participant(
    roster: Roster, before: Participant | None, submitted: SubmittedRegistration, team_size: int
) -> Participant:
    """Apply a registration to a roster; found the team that it names if there is none like it."""
    who, name = submitted.who, alike(submitted.who.team)
    refused = _refusal(roster, submitted, name, team_size) if name else ""
    if name and not refused:
        roster.teams.setdefault(name, Team(who.team, who.key, submitted.student))
    team = "" if refused else name
    previous = before.team if before else ""
    since = submitted.sent_at if team != previous else before.since if before else None
    # If staff hid the student, that stays so while the same registration requests its team again.
    shared = before if before and before.sha == submitted.sha else who
    return Participant(
        submitted.sha,
        submitted.sent_at,
        shared.handle,
        shared.show,
        shared.progress,
        team,
        since,
        refused,
    )


def _refusal(roster: Roster, submitted: SubmittedRegistration, name: str, team_size: int) -> str:
    """Say why a student may not join a team; empty if there is no reason."""
    team, who = roster.teams.get(name), submitted.who
    if team_size == 1:
        return f"not in the team {who.team}: this challenge has no teams"
    if not who.key:
        return f"not in the team {who.team}: the registration has no invite word"
    if team and team.key != who.key:
        return (
            f"not in the team {who.team}: that name, or one that looks like it, is taken, "
            "and the invite word is wrong"
        )
    others = [student for student in roster.members(name) if student != submitted.student]
    if len(others) >= team_size:
        return f"not in the team {who.team}: it is full, with {len(others)} members"
    return ""


def competitor(roster: Roster, slug: str, student: str, chosen: str = "") -> Competitor:
    """Return the competitor that a student's results belong to on the board of a challenge.

    ``chosen`` is the handle of a student who isn't in the roster. The most private choice among a
    team's members applies to the team. An anonymous competitor has a pseudonym for this board
    alone, which no other board and no feedback reveals.
    """
    own = roster.of(student)
    side = [roster.of(member) for member in roster.side(student)]
    if own.team:
        key, name = f"team\n{own.team}", roster.teams[own.team].name
    else:
        key, name = student, own.handle if student in roster.entered else chosen
    show = max((member.show for member in side), key=PRIVACY.index)
    if show != "handle":
        key, name = f"{slug}\n{key}", ""
    return Competitor(key, name, show, show == "handle" and all(m.progress for m in side))


def shown_name(roster: Roster, slug: str, student: str, secret: bytes, chosen: str = "") -> str:
    """Return the handle of a student's row on the board; empty if feedback mustn't reveal it."""
    owner = competitor(roster, slug, student, chosen)
    return pseudonyms.handle(owner.id, secret, owner.name) if owner.show == "handle" else ""


def counted(roster: Roster, latest: Iterable[Result]) -> list[Result]:
    """Return the result of one challenge that counts for each student, under the student's name.

    For members of a team it is the team's newest result by the time it was sent, a fault only if
    there is nothing else; if the team has none, it is the student's own. ``latest`` has each
    student's newest result.
    """
    own = {result.identity.student: result for result in latest}
    counting = dict(own)
    for name in roster.teams:
        members = roster.members(name)
        if newest := _newest([own[m] for m in members if m in own and belongs(roster, own[m])]):
            counting |= {member: _under(newest, member) for member in members}
    return [counting[student] for student in sorted(counting)]


def competing(roster: Roster, latest: Iterable[Result]) -> list[Result]:
    """Return the newest result of each student without a team, and of each team, once.

    Submissions from before a student joined or left a team count for nobody on the new side.
    """
    results = [result for result in latest if belongs(roster, result)]
    teams = {roster.of(result.identity.student).team for result in results} - {""}
    newest_results = [r for r in results if not roster.of(r.identity.student).team]
    for team in sorted(teams):
        inside = [r for r in results if roster.of(r.identity.student).team == team]
        newest_results += [newest] if (newest := _newest(inside)) else []
    return newest_results


def sharing(roster: Roster, slug: str, latest: Iterable[Result]) -> list[Result]:
    """Return the results of ``competing`` that others may be compared with, without names."""
    return [
        result
        for result in competing(roster, latest)
        if competitor(roster, slug, result.identity.student).show != "nothing"
    ]


def belongs(roster: Roster, result: Result) -> bool:
    """Whether a result was sent after its student joined or left a team."""
    since = roster.of(result.identity.student).since
    return since is None or result.submitted_at is None or result.submitted_at >= since


def attribute(result: Result, owner: Competitor) -> Result:
    """Put a result under its competitor's id and name, to be published."""
    return msgspec.structs.replace(_under(result, owner.id), handle=owner.name)


def note(roster: Roster, student: str) -> str:
    """Tell a student about the requested team; empty if there was none."""
    own = roster.of(student)
    if own.refused:
        return f"You are {own.refused}. To try again: tito compete join, with --team and --word."
    if not own.team:
        return ""
    members = len(roster.members(own.team))
    return (
        f"You are in the team {roster.teams[own.team].name}, with {members - 1} more: its newest "
        "result counts for all of you."
    )


def private(roster: Roster, student: str) -> Roster:
    """Return the roster with nothing of a student shown until another registration is sent."""
    hidden = msgspec.structs.replace(roster.of(student), handle="", show="nothing", progress=False)
    return msgspec.structs.replace(roster, entered={**roster.entered, student: hidden})


def _newest(results: Sequence[Result]) -> Result | None:
    """Return the result that was sent last; of those sent at the same time, the last in order."""
    numbered: Mapping[int, Result] = dict(enumerate(results))
    keys = [
        (r.verdict != Verdict.FAULT, r.submitted_at or NEVER, number)
        for number, r in numbered.items()
    ]
    return numbered[max(keys)[2]] if keys else None


def _under(result: Result, student: str) -> Result:
    identity = msgspec.structs.replace(result.identity, student=student)
    return msgspec.structs.replace(result, identity=identity)
