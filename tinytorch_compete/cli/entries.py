"""Show participants: handles, teams, and what the course may publish about them."""

from __future__ import annotations

from typing import Annotated

import typer

from tinytorch_compete.cli.challenges import Slug, challenge_of
from tinytorch_compete.cli.console import console, errors, table
from tinytorch_compete.cli.options import DEFAULT, Folder
from tinytorch_compete.errors import CompeteError
from tinytorch_compete.participants import roster_file
from tinytorch_compete.participants.roster import Participant, Roster, private
from tinytorch_compete.rendering.column import Column
from tinytorch_compete.results.folder import ResultsFolder


def entries(
    context: typer.Context,
    slug: Slug,
    results: Folder = DEFAULT,
    hide: Annotated[
        str | None,
        typer.Option("--private", metavar="STUDENT", help="Publish nothing about this student."),
    ] = None,
) -> None:
    """Show who takes part, in which team, and what each student shares."""
    challenge = challenge_of(context, slug)
    roster = roster_file.read(results, challenge.slug)
    if hide is not None:
        if hide not in roster.entered:
            raise CompeteError(f"{results}: {hide!r} has sent nothing for {challenge.slug!r}.")
        roster = private(roster, hide)
        roster_file.write(results, challenge.slug, roster)
    rows = [
        (name, one.handle, _team(roster, one), one.show, "yes" if one.progress else "no")
        for name, one in sorted(roster.entered.items())
    ]
    names = ("student", "handle", "team", "shown as", "progress")
    columns = [Column.unbroken(name) for name in names]
    console.print(table("", columns, rows) if rows else "Nobody yet.")
    _print_refused(roster)
    if hide is not None:
        line = f"Write the leaderboard again: tito compete leaderboard {challenge.slug}"
        console.print(line, markup=False, highlight=False)


def print_teams(roster: Roster, slug: str, folder: ResultsFolder) -> None:
    """Print the number of teams, and the students who were refused by theirs."""
    count = len({one.team for one in roster.entered.values()} - {""})
    if count:
        teams = "1 team" if count == 1 else f"{count} teams"
        where = "" if folder == DEFAULT else f" --results {folder}"
        line = f"{teams}; a team's newest result counts for all: tito compete entries {slug}{where}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    _print_refused(roster)


def _print_refused(roster: Roster) -> None:
    for name, one in sorted(roster.entered.items()):
        if one.refused:
            line = f"{name}: {one.refused}."
            errors.print(line, markup=False, highlight=False, soft_wrap=True)


def _team(roster: Roster, one: Participant) -> str:
    return roster.teams[one.team].name if one.team else ""
