"""``tito compete``: the subcommands, and the one place where an error becomes a message."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tinytorch_compete import __version__
from tinytorch_compete.cli import (
    audit,
    challenges,
    course,
    diff,
    doctor,
    entries,
    grade,
    insights,
    leaderboard,
    profile,
    results,
    student,
)
from tinytorch_compete.cli.console import errors, plain
from tinytorch_compete.errors import CompeteError

app = typer.Typer(
    help="Competitions for TinyTorch courses: graded in a sandbox, from evidence alone.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    challenges.list_challenges,
    student.join,
    student.leave,
    student.check,
    student.submit,
    student.hint,
    student.guide,
    challenges.new,
    challenges.release,
    challenges.verify,
    challenges.cap,
    grade.grade,
    diff.diff,
    results.results,
    leaderboard.leaderboard,
    course.export,
    audit.audit,
    audit.withdraw,
    entries.entries,
    challenges.similar,
    profile.profile,
    insights.insights,
    leaderboard.demo,
    doctor.doctor,
):
    app.command(name="list" if command is challenges.list_challenges else None)(command)
app.add_typer(course.app, name="course")


def _version(is_requested: bool) -> None:
    if is_requested:
        print(f"tinytorch-compete {__version__}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    pack: Annotated[
        list[Path] | None,
        typer.Option(help="A folder with challenge_notebooks/ and graders/; may be repeated."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Store the options that all subcommands share."""
    context.obj = tuple(pack or ())


def main() -> int:
    """Run ``tito-compete`` with the process's arguments; returns the exit status."""
    return run(sys.argv[1:], "tito-compete")


def run(arguments: Sequence[str], name: str) -> int:
    """Run one command line; return 0, or 1 for an error, 2 for wrong usage, 130 for Ctrl-C."""
    try:
        app(list(arguments), prog_name=name)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except CompeteError as error:
        errors.print(f"error: {plain(str(error))}", markup=False, highlight=False, soft_wrap=True)
        return 1
    return 0
