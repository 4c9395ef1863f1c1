"""Who takes part in a challenge, as the course sees it: teams, handles, and what may be shown.

A student's entry is the student's word about that student and nobody else. Who is in a team follows
from the entries of its members alone: the first one to name it fixes its invite word.
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
PRIVACY: Sequence[Shown] = ("handle", "anonymous", "nothing")  # from the least to the most


class SubmittedRegistration(msgspec.Struct, frozen=True):
    """An entry that came with a submission, and when that was sent, if it says so."""

    student: str
    who: Registration
    sent_at: dt.datetime | None = None

    @property
    def sha(self) -> str:
        """A sha256 of what the entry says."""
        return hashlib.sha256(msgspec.json.encode(self.who)).hexdigest()


class Team(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A team's name as its founder wrote it, and the key that its invite word makes."""

    name: str
    key: str
    founder: str


class Participant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What counts of a student's newest entry.

    ``team`` is the one that the student is in, as ``alike`` names it; ``refused`` says why it isn't
    the one that was asked for. ``since`` is when what put the student in or out of a team was sent:
    earlier results don't count on the new side. ``sha`` is that of the entry.
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
    """Everybody who sent anything for one challenge, and the teams that were ever founded."""

    teams: dict[str, Team] = {}
    entered: dict[str, Participant] = {}

    def __post_init__(self) -> None:
        unknown = {one.team for one in self.entered.values()} - {"", *self.teams}
        if unknown:
            raise ValueError(f"nobody founded {', '.join(sorted(unknown))}")

    def of(self, student: str) -> Participant:
        """What counts for a student; without an entry, the least that a board works with."""
        return self.entered.get(student, Participant(""))

    def members(self, team: str) -> list[str]:
        """The students in a team, by name."""
        return sorted(name for name, one in self.entered.items() if team and one.team == team)

    def side(self, student: str) -> list[str]:
        """The student and all teammates."""
        return self.members(self.of(student).team) or [student]


class Competitor(msgspec.Struct, frozen=True):
    """Who has a line on a board: a student or a team; ``id`` is what pseudonyms are made of."""

    id: str
    name: str
    show: Shown
    progress: bool


def enrol(roster: Roster, arrivals: Iterable[SubmittedRegistration], team_size: int) -> Roster:
    """The roster after these entries, those that were sent first taken first.

    An entry that says what the last one did changes nothing, nor does one sent before that.
    """
    teams, entered = dict(roster.teams), dict(roster.entered)
    now = Roster(teams, entered)
    for arrival in sorted(arrivals, key=lambda a: (a.sent_at is None, a.sent_at or NEVER)):
        before = entered.get(arrival.student)
        if before is None or _is_news(before, arrival):
            entered[arrival.student] = _entered(now, before, arrival, team_size)
    return now


def _is_news(before: Participant, arrival: SubmittedRegistration) -> bool:
    stale = before.sent_at and arrival.sent_at and arrival.sent_at < before.sent_at
    return not stale and (before.sha != arrival.sha or bool(before.refused))


def _entered(
    now: Roster, before: Participant | None, arrival: SubmittedRegistration, team_size: int
) -> Participant:
    """What counts of an entry; founds the team that it names if there is none like it."""
    who, name = arrival.who, alike(arrival.who.team)
    refused = _refusal(now, arrival, name, team_size) if name else ""
    if name and not refused:
        now.teams.setdefault(name, Team(who.team, who.key, arrival.student))
    team = "" if refused else name
    was = before.team if before else ""
    since = arrival.sent_at if team != was else before.since if before else None
    # What staff took back stays so while the same entry asks for its team again.
    shared = before if before and before.sha == arrival.sha else who
    return Participant(
        arrival.sha,
        arrival.sent_at,
        shared.handle,
        shared.show,
        shared.progress,
        team,
        since,
        refused,
    )


def _refusal(now: Roster, arrival: SubmittedRegistration, name: str, team_size: int) -> str:
    """Why a student isn't let into a team; empty if it is so."""
    team, who = now.teams.get(name), arrival.who
    if team_size == 1:
        return f"not in the team {who.team}: this challenge has no teams"
    if not who.key:
        return f"not in the team {who.team}: the entry has no invite word"
    if team and team.key != who.key:
        return (
            f"not in the team {who.team}: that name, or one that looks like it, is taken, "
            "and the invite word isn't its own"
        )
    others = [student for student in now.members(name) if student != arrival.student]
    if len(others) >= team_size:
        return f"not in the team {who.team}: it has {len(others)} members, and more aren't allowed"
    return ""


def competitor(roster: Roster, slug: str, student: str, chosen: str = "") -> Competitor:
    """Whose line on the board of a challenge a student's results are.

    ``chosen`` is the handle of a student whom the roster doesn't know. The most private wish of a
    team's members is the team's. Who is anonymous has a pseudonym of this one board, which no other
    board and no feedback tells.
    """
    one = roster.of(student)
    ones = [roster.of(member) for member in roster.side(student)]
    if one.team:
        key, name = f"team\n{one.team}", roster.teams[one.team].name
    else:
        key, name = student, one.handle if student in roster.entered else chosen
    show = max((other.show for other in ones), key=PRIVACY.index)
    if show != "handle":
        key, name = f"{slug}\n{key}", ""
    return Competitor(key, name, show, show == "handle" and all(other.progress for other in ones))


def shown_name(roster: Roster, slug: str, student: str, secret: bytes, chosen: str = "") -> str:
    """What a student's line on the board is called, as feedback may say it; empty if it may not."""
    one = competitor(roster, slug, student, chosen)
    return pseudonyms.handle(one.id, secret, one.name) if one.show == "handle" else ""


def counted(roster: Roster, latest: Iterable[Result]) -> list[Result]:
    """The result of one challenge that counts for each student, under the student's own name.

    For a team's members that is the team's newest, by when it was sent; a fault yields to any
    grade. Where the team has none, it is the student's own. ``latest`` has each student's newest.
    """
    own = {result.identity.student: result for result in latest}
    found = dict(own)
    for name in roster.teams:
        members = roster.members(name)
        if newest := _newest([own[m] for m in members if m in own and belongs(roster, own[m])]):
            found |= {member: _under(newest, member) for member in members}
    return [found[student] for student in sorted(found)]


def competing(roster: Roster, latest: Iterable[Result]) -> list[Result]:
    """The newest result of each student who is in no team, and of each team, once.

    What a student sent for a team, or before one, counts for nobody on the other side.
    """
    results = [result for result in latest if belongs(roster, result)]
    teams = {roster.of(result.identity.student).team for result in results} - {""}
    found = [result for result in results if not roster.of(result.identity.student).team]
    for team in sorted(teams):
        inside = [r for r in results if roster.of(r.identity.student).team == team]
        found += [newest] if (newest := _newest(inside)) else []
    return found


def sharing(roster: Roster, slug: str, latest: Iterable[Result]) -> list[Result]:
    """The results of ``competing`` whose figures others may be compared with, if namelessly."""
    return [
        result
        for result in competing(roster, latest)
        if competitor(roster, slug, result.identity.student).show != "nothing"
    ]


def belongs(roster: Roster, result: Result) -> bool:
    """Whether a result is of the time since its student joined the team, or left one."""
    since = roster.of(result.identity.student).since
    return since is None or result.submitted_at is None or result.submitted_at >= since


def named(result: Result, one: Competitor) -> Result:
    """A result under its competitor's id and name, to be published."""
    return msgspec.structs.replace(_under(result, one.id), handle=one.name)


def note(roster: Roster, student: str) -> str:
    """What a student is told about the team that was asked for; empty if there was none."""
    one = roster.of(student)
    if one.refused:
        return f"You are {one.refused}. To ask again: tito compete join, with --team and --word."
    if not one.team:
        return ""
    members = len(roster.members(one.team))
    return (
        f"You are in the team {roster.teams[one.team].name}, with {members - 1} more: its newest "
        "result counts for all of you."
    )


def private(roster: Roster, student: str) -> Roster:
    """The roster with nothing of a student shown, until another entry comes."""
    one = msgspec.structs.replace(roster.of(student), handle="", show="nothing", progress=False)
    return msgspec.structs.replace(roster, entered={**roster.entered, student: one})


def _newest(results: Sequence[Result]) -> Result | None:
    """The result that was sent last; of those sent at one time, the last in order."""
    numbered: Mapping[int, Result] = dict(enumerate(results))
    keys = [
        (r.verdict != Verdict.FAULT, r.submitted_at or NEVER, number)
        for number, r in numbered.items()
    ]
    return numbered[max(keys)[2]] if keys else None


def _under(result: Result, student: str) -> Result:
    identity = msgspec.structs.replace(result.identity, student=student)
    return msgspec.structs.replace(result, identity=identity)
