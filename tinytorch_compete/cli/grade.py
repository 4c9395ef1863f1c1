"""Grade a class."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.cli import entries
from tinytorch_compete.cli import staging as cli_staging
from tinytorch_compete.cli.challenges import Slug, challenge_of
from tinytorch_compete.cli.console import (
    console,
    download,
    errors,
    print_results,
    say,
    verdict,
)
from tinytorch_compete.cli.options import DEFAULT, Folder, Source, options
from tinytorch_compete.course import class_grading
from tinytorch_compete.course.class_grading import ClassGrading, Observer
from tinytorch_compete.course.gradebook_contract import NoGradebook
from tinytorch_compete.errors import CompeteError, IsolationError
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import Result, Verdict
from tinytorch_compete.participants import roster_file
from tinytorch_compete.participants.roster import counted
from tinytorch_compete.results.folder import ResultsFolder
from tinytorch_compete.sandbox.isolation import capabilities
from tinytorch_compete.sandbox.local import LocalSandbox
from tinytorch_compete.submissions import submission
from tinytorch_compete.submissions.snapshot import Snapshot, load
from tinytorch_compete.util import times

if TYPE_CHECKING:
    from tinytorch_compete.course.gradebook import CourseGradebook

Dataset = Annotated[str | None, typer.Option(help="One of the challenge's data sets.")]
Submissions = Annotated[
    Path | None, typer.Argument(help="A folder laid out as STUDENT/SLUG/SLUG.ipynb.")
]
Course = Annotated[
    Path | None,
    typer.Option(help="Instead: an nbgrader course; its gradebook gets the grades, too."),
]
Workers = Annotated[int | None, typer.Option(min=1, help="How many to run at once.")]
Again = Annotated[bool, typer.Option(help="Also regrade submissions that have a grade.")]
FinalGrading = Annotated[
    bool, typer.Option("--final", help="After closing, with seeds that were never used before.")
]
RequireIsolation = Annotated[
    bool, typer.Option(help="Refuse to grade where a limit can't be enforced.")
]
Insights = Annotated[
    bool | None,
    typer.Option(
        "--insights/--no-insights",
        help="Profile each submission and try fixes, for its feedback; the default is the "
        "course's setting, or else yes.",
    ),
]
ClassFigures = Annotated[
    bool,
    typer.Option(
        "--class-figures",
        help="Say in feedback where its figures stand in the class, without names.",
    ),
]
Shadow = Annotated[
    bool,
    typer.Option("--shadow", help="Grade beside the published grades, which stay as they are."),
]
Promote = Annotated[
    bool, typer.Option("--promote", help="Publish the grades from --shadow; grades nothing.")
]


def grade(
    context: typer.Context,
    slug: Slug,
    submissions: Submissions = None,
    course: Course = None,
    results: Folder = DEFAULT,
    dataset: Dataset = None,
    data: Source = None,
    workers: Workers = None,
    again: Again = False,
    final: FinalGrading = False,
    require_isolation: RequireIsolation = False,
    insights: Insights = None,
    class_figures: ClassFigures = False,
    shadow: Shadow = False,
    promote: Promote = False,
) -> None:
    """Grade a class; after an interruption, rerun the command to continue."""
    if shadow and promote:
        raise CompeteError("--shadow grades and --promote publishes: use one after the other.")
    gradebook = _gradebook(course) if course else None
    if gradebook:
        context.obj = (*context.obj, *gradebook.packs)
        submissions, results = submissions or gradebook.submitted, gradebook.results
    if submissions is None:
        raise CompeteError("name a folder of submissions, or a course with --course.")
    challenge = challenge_of(context, slug)
    if final:
        _check_closed(challenge)
    if not promote:
        check_isolation(required=require_isolation)
    dataset = dataset or (gradebook.dataset(challenge.slug) if gradebook else None)
    snapshots = [load(work) for work in submission.find(submissions.resolve(), challenge.slug)]
    if shadow or promote:
        cli_staging.check_published(results)
    session = ClassGrading(
        plan=_plan(challenge, results, dataset, data, final),
        folder=results,
        sandbox=LocalSandbox(),
        gradebook=gradebook or NoGradebook(),
        observer=ConsoleObserver(),
        suggestions=insights if insights is not None else not gradebook or gradebook.suggestions,
        class_figures=class_figures or bool(gradebook and gradebook.class_figures),
        workers=workers,
    )
    try:
        if promote:
            cli_staging.promote(session, snapshots, gradebook)
        elif shadow:
            check_faults(cli_staging.grade(session, snapshots, gradebook, again=again), snapshots)
        else:
            grade_and_show(session, snapshots, again=again)
    except KeyboardInterrupt:
        errors.print("Interrupted; stored grades are kept. Rerun the command to continue.")
        raise typer.Exit(130) from None


def grade_and_show(
    session: ClassGrading, snapshots: Sequence[Snapshot], *, again: bool = False
) -> None:
    """Grade a class and print its results; raises ``CompeteError`` if there were faults."""
    results = class_grading.grade(session, snapshots, again=again)
    _show(session, snapshots)
    check_faults(results, snapshots)


class ConsoleObserver(Observer):
    """Shows a progress bar that counts verdicts, and prints warnings for staff."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        columns = [
            TextColumn("grading"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        ]
        self._progress = Progress(*columns, console=errors)
        self._bar = self._progress.add_task("", total=None)

    def refused(self, student: str, reason: str) -> None:
        """See ``Observer.refused``."""
        _warn(f"not graded: {student}: {reason}.")

    def undated(self, students: Sequence[str]) -> None:
        """See ``Observer.undated``."""
        names = ", ".join(students)
        _warn(f"no time of sending, so dates and quota can't be checked: {names}")

    def misnamed(self, student: str, sentence: str) -> None:
        """See ``Observer.misnamed``."""
        _warn(f"{student}: {sentence}")

    def begin(self, total: int, skipped: int) -> None:
        """See ``Observer.begin``."""
        if skipped:
            console.print(f"{skipped} graded already; --again regrades them.")
        self._progress.update(self._bar, total=total)
        self._progress.start()

    def graded(self, result: Result) -> None:
        """See ``Observer.graded``."""
        self._counts[str(result.verdict)] += 1
        shown = "  ".join(
            f"[{verdict(name).style}]{name} {count}[/]" for name, count in self._counts.items()
        )
        self._progress.update(self._bar, advance=1, description=shown)

    def end(self) -> None:
        """See ``Observer.end``."""
        self._progress.stop()


def check_faults(results: Sequence[Result], snapshots: Sequence[Snapshot]) -> None:
    """Raise ``CompeteError`` if any result of this call is a fault of ours."""
    if faults := [result for result in results if result.verdict == Verdict.FAULT]:
        raise CompeteError(
            f"{len(faults)} of {len(snapshots)} could not be graded, which is our fault and scores "
            "nothing; the reason is in the table. Fix it and rerun the command."
        )


def _plan(
    challenge: Challenge,
    results: ResultsFolder,
    dataset: str | None,
    data: Path | None,
    final: bool,
) -> Plan:
    secret = results.secret()
    with download() as progress:
        return Plan.of(
            challenge, secret, dataset=dataset, source=data, final=final, progress=progress
        )


def _gradebook(course: Path) -> CourseGradebook:
    # nbgrader takes two seconds to import, which every other command would pay too.
    from tinytorch_compete.course.gradebook import CourseGradebook

    return CourseGradebook(course)


def _show(session: ClassGrading, snapshots: Sequence[Snapshot]) -> None:
    """Print the results of a class, its teams, and where to read feedback and flags."""
    plan, folder = session.plan, session.folder
    slug, students = plan.challenge.slug, {snapshot.student for snapshot in snapshots}
    roster = roster_file.read(folder, slug)
    with contextlib.closing(folder.store()) as store:
        newest = store.latest(slug, final=plan.final)
    latest = [r for r in newest if r.identity.student in students]
    counting = [r for r in counted(roster, newest) if r.identity.student in students]
    print_results(plan.spec, counting)
    entries.print_teams(roster, slug, folder)
    say(f"Feedback: {folder.feedback_root}")
    if count := sum(bool(result.flags) for result in latest):
        has = "result has" if count == 1 else "results have"
        where = options(slug, folder)
        say(f"{count} {has} flags for manual review: tito compete results {where} --flags")


def _warn(line: str) -> None:
    errors.print(line, markup=False, highlight=False, soft_wrap=True)


def _check_closed(challenge: Challenge) -> None:
    """Raise ``CompeteError`` while a challenge is open."""
    closes = challenge.spec.dates.closes
    if closes and dt.datetime.now(dt.UTC) < times.in_utc(closes):
        raise CompeteError(
            f"{challenge.slug} is open until {times.shown(closes)}: the final grading uses up its "
            "secret seeds, so run it after that, or change dates.closes in challenge.toml."
        )


def check_isolation(*, required: bool = False) -> None:
    """Warn of limits that this machine can't enforce; raise ``IsolationError`` if ``required``."""
    if weak := capabilities.weaknesses():
        text = " ".join(weak) + " See: tito compete doctor"
        if required:
            raise IsolationError(text)
        errors.print(f"[bold red]WEAK ISOLATION[/] {text}", highlight=False)
