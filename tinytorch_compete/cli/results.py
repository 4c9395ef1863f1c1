"""Show the results table in the terminal, or write it to a file."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from tinytorch_compete.challenges import packs
from tinytorch_compete.cli import student
from tinytorch_compete.cli.challenges import challenge_of
from tinytorch_compete.cli.console import console, print_flags, print_results
from tinytorch_compete.cli.options import DEFAULT, Final, Folder, stored
from tinytorch_compete.cli.result_details import print_details
from tinytorch_compete.cli.student_options import Detailed, FeedbackFrom, ResultsSlug
from tinytorch_compete.errors import CompeteError
from tinytorch_compete.model import Result
from tinytorch_compete.participants import registration, roster_file
from tinytorch_compete.participants.roster import Roster, counted
from tinytorch_compete.results import table
from tinytorch_compete.results.store import Store
from tinytorch_compete.util import files

NOTHING = (
    "there are no results here. As a student, see the challenges with tito compete list and join "
    "one with tito compete join {}, or go to the folder where you did. As staff, grade first, or "
    "name the folder of results with --results."
)


def results(
    context: typer.Context,
    slug: ResultsSlug = None,
    results: Folder = DEFAULT,
    csv: Annotated[Path | None, typer.Option(help="Write the whole table as CSV.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write the whole table as Parquet.")] = None,
    history: Annotated[bool, typer.Option(help="Show every result, not just the newest.")] = False,
    flags: Annotated[
        bool, typer.Option("--flags", help="Show only the flags for manual review.")
    ] = False,
    detailed: Detailed = False,
    final: Final = False,
    feedback_from: FeedbackFrom = None,
) -> None:
    """Show the results table, or write it to a file; in a student's folder, the student's own."""
    if not results.is_graded:
        if registration.find(Path()):
            student.own_results(context, slug, feedback_from, detailed)
            return
        if results == DEFAULT:
            raise CompeteError(NOTHING.format(slug or "SLUG"))
    with contextlib.closing(stored(results)) as store:
        chosen = challenge_of(context, slug).slug if slug else None
        if detailed and (history or csv or parquet):
            raise CompeteError("--detailed is for the newest results, and only in the terminal.")
        selected = _selected(store, chosen, history=history, final=final)
    if not selected:
        kind = "final results" if final else "results"
        raise CompeteError(f"{results}: no {kind}{f' for {chosen!r}' if chosen else ''} yet.")
    rosters = {
        name: roster_file.read(results, name)
        for name in dict.fromkeys(result.identity.challenge for result in selected)
    }
    counting = selected if history else _counting(selected, rosters)
    write_table(table.frame(counting), csv, parquet)
    if csv or parquet:
        return
    challenges = packs.find(context.obj)
    for name, roster in rosters.items():
        console.print(f"[bold]{name}[/bold]")
        own = [result for result in selected if result.identity.challenge == name]
        spec = packs.resolve(challenges, name).spec
        if flags:
            print_flags(own)
        elif detailed:
            print_details(spec, own, results.secret(), roster)
        else:
            print_results(spec, [r for r in counting if r.identity.challenge == name])


def _selected(store: Store, slug: str | None, *, history: bool, final: bool) -> list[Result]:
    """Return each student's newest results, or with ``history`` all results."""
    if history:
        return [result for result in store.history(slug) if result.identity.final == final]
    return store.latest(slug, final=final)


def _counting(latest: Sequence[Result], rosters: Mapping[str, Roster]) -> list[Result]:
    """Select the results that count for each student, in all challenges."""
    return [
        result
        for name, roster in rosters.items()
        for result in counted(roster, (r for r in latest if r.identity.challenge == name))
    ]


def write_table(frame: pd.DataFrame, csv: Path | None, parquet: Path | None) -> None:
    """Write a table to each file that is named; raises ``StoreError``."""
    if csv:
        files.write_text(csv, table.harmless(frame).to_csv(index=False))
    if parquet:
        files.write_bytes(parquet, frame.to_parquet(index=False))
