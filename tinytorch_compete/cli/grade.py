"""The command that grades a class."""

from __future__ import annotations

import datetime as dt
import functools
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
from tinytorch_compete.cli.console import console, download, errors, print_results, say, verdict
from tinytorch_compete.cli.options import Folder, Source, options
from tinytorch_compete.course import staged_copies
from tinytorch_compete.errors import CompeteError, IsolationError
from tinytorch_compete.feedback.writer import place_in_class, write_feedback, write_team_feedback
from tinytorch_compete.grading import eligibility, pipeline
from tinytorch_compete.grading.batch import Task, grade_class, waiting
from tinytorch_compete.grading.engine import LocalEngine, workers_for
from tinytorch_compete.grading.pipeline import Graded
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import Result, Verdict
from tinytorch_compete.participants import roster_file
from tinytorch_compete.participants.roster import Roster, counted, sharing
from tinytorch_compete.regrading import staging
from tinytorch_compete.results import folder as results_folder
from tinytorch_compete.results.folder import DATABASE, FEEDBACK, FOLDER, SECRET, feedback_path
from tinytorch_compete.results.store import Store
from tinytorch_compete.sandbox.isolation import capabilities
from tinytorch_compete.sandbox.local import LocalSandbox
from tinytorch_compete.submissions import submission
from tinytorch_compete.submissions.submission import Submission
from tinytorch_compete.suggestions import suggest
from tinytorch_compete.util import times

if TYPE_CHECKING:
    from tinytorch_compete.course.gradebook import CourseGradebook

    Gradebook = CourseGradebook | staged_copies.Copies

Dataset = Annotated[str | None, typer.Option(help="One of the challenge's data sets.")]


def grade(
    context: typer.Context,
    slug: Slug,
    submissions: Annotated[
        Path | None, typer.Argument(help="A folder laid out as STUDENT/SLUG/SLUG.ipynb.")
    ] = None,
    course: Annotated[
        Path | None,
        typer.Option(help="Instead: an nbgrader course; grades go into its gradebook, too."),
    ] = None,
    results: Folder = Path(FOLDER),
    dataset: Dataset = None,
    data: Source = None,
    workers: Annotated[int | None, typer.Option(min=1, help="How many to run at once.")] = None,
    again: Annotated[bool, typer.Option(help="Grade what has a grade already, too.")] = False,
    final: Annotated[
        bool, typer.Option("--final", help="After closing, with seeds that were never used before.")
    ] = False,
    require_isolation: Annotated[
        bool, typer.Option(help="Refuse to grade where a limit can't be enforced.")
    ] = False,
    insights: Annotated[
        bool, typer.Option(help="Profile each submission and try changes, for its feedback.")
    ] = True,
    class_figures: Annotated[
        bool,
        typer.Option(
            "--class-figures", help="Say in each feedback where it stands in the class, unnamed."
        ),
    ] = False,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Grade beside what is published, which stays.")
    ] = False,
    promote: Annotated[
        bool, typer.Option("--promote", help="Publish what --shadow graded; grades nothing.")
    ] = False,
) -> None:
    """Grade a class; run it again to go on."""
    if shadow and promote:
        raise CompeteError("--shadow grades and --promote publishes: one after the other.")
    gradebook = _gradebook(course) if course else None
    if gradebook:
        context.obj = (*context.obj, *gradebook.packs)
        submissions, results = submissions or gradebook.submitted, gradebook.results
    if submissions is None:
        raise CompeteError("name a folder of submissions, or a course by --course.")
    challenge = challenge_of(context, slug)
    if final:
        _check_closed(challenge)
    if not promote:
        _check_isolation(require_isolation)
    dataset = dataset or (gradebook.dataset(challenge.slug) if gradebook else None)
    found = submission.find(submissions.resolve(), challenge.slug)
    if shadow or promote:
        cli_staging.check_published(results)
    secret = results_folder.secret(results / SECRET)
    with download() as progress:
        plan = Plan(challenge, secret, dataset=dataset, source=data, final=final, progress=progress)
    if not (shadow or promote):
        _check_ready(plan, results, gradebook)
    kept = Store(results / DATABASE)
    if shadow or promote:  # what students sent since is of no grade that is published here
        roster = roster_file.read(results, challenge.slug)
    else:
        roster = roster_file.update(results, challenge, found)
    works = _admitted(challenge, found, kept, roster)
    task = suggest.grade if insights else pipeline.grade
    batch = functools.partial(_batch, plan, again=again, workers=workers, task=task)
    if promote:
        staging.check_whole(plan, found, results, kept)
        cli_staging.promote(plan, works, kept, results, gradebook)
        _tell(plan, kept, roster, results, gradebook, class_figures)
    elif shadow:
        new = cli_staging.grade(plan, works, kept, results, gradebook, batch, roster)
        _check_faults(new, found)
    else:
        new = batch(works, kept, results, gradebook)
        _tell(plan, kept, roster, results, gradebook, class_figures)
        _show(plan, found, kept, results, roster)
        _check_faults(new, found)


def _gradebook(course: Path) -> CourseGradebook:
    # nbgrader takes two seconds to import, which every other command would pay too.
    from tinytorch_compete.course.gradebook import CourseGradebook

    return CourseGradebook(course)


def _check_ready(plan: Plan, results: Path, gradebook: CourseGradebook | None) -> None:
    """Raise ``CompeteError`` if grades under this plan must not, or can't, be published now."""
    staging.check_absent(plan, results)
    if gradebook:
        gradebook.check(plan)


def _batch(
    plan: Plan,
    works: Sequence[Submission],
    kept: Store,
    folder: Path,
    gradebook: Gradebook | None,
    *,
    again: bool,
    workers: int | None,
    task: Task,
) -> list[Result]:
    """Grade what has no grade yet into a folder of results; the results of this time."""
    todo = works if again else _waiting(plan, works, kept, gradebook)
    if skipped := len(works) - len(todo):
        console.print(f"{skipped} graded already; --again grades them once more.")
    try:
        return _grade(
            plan, todo, kept, folder, workers or workers_for(plan.limits), task, gradebook
        )
    except KeyboardInterrupt:
        errors.print("Interrupted; what was graded is kept. Run the same command again to go on.")
        raise typer.Exit(130) from None


def _waiting(
    plan: Plan, works: Sequence[Submission], kept: Store, gradebook: Gradebook | None
) -> list[Submission]:
    """The submissions without a grade, or whose grade is in no gradebook yet."""
    todo = waiting(plan, works, kept)
    slug = plan.challenge.slug
    unrecorded = gradebook and [work for work in works if not gradebook.has(work, slug)]
    return [work for work in works if work in todo or work in (unrecorded or ())]


def _tell(
    plan: Plan,
    kept: Store,
    roster: Roster,
    folder: Path,
    gradebook: CourseGradebook | None,
    class_figures: bool,
) -> None:
    """Bring up to date what students are told that others' results decide: teams, the class."""
    latest = kept.latest(plan.challenge.slug, final=plan.final)
    others = sharing(roster, plan.challenge.slug, latest)
    if gradebook:
        gradebook.level(plan, latest, roster)
    _place_in_class(plan, latest, others, folder, gradebook, class_figures)
    write_team_feedback(plan, latest, roster, folder)


def _place_in_class(
    plan: Plan,
    latest: Sequence[Result],
    others: Sequence[Result],
    folder: Path,
    gradebook: CourseGradebook | None,
    asked: bool,
) -> None:
    """Say in all feedback where it stands among others as they are now, if the course allows it."""
    slug = plan.challenge.slug
    allowed = asked or bool(gradebook and gradebook.class_figures)
    for result in latest:
        paths = [feedback_path(folder, result.identity)]
        paths += [gradebook.graded_copy(result.identity.student, slug)] if gradebook else []
        for path in paths:
            place_in_class(plan.spec, result, others, path, allowed)


def _show(
    plan: Plan, works: Sequence[Submission], kept: Store, folder: Path, roster: Roster
) -> None:
    """Print what a class earned."""
    slug = plan.challenge.slug
    students = {work.student for work in works}
    newest = kept.latest(slug, final=plan.final)
    latest = [r for r in newest if r.identity.student in students]
    counting = [r for r in counted(roster, newest) if r.identity.student in students]
    print_results(plan.spec, counting)
    entries.print_teams(roster, slug, folder)
    say(f"Feedback: {folder / FEEDBACK}")
    _say_flags(slug, latest, folder)


def _check_faults(new: Sequence[Result], works: Sequence[Submission]) -> None:
    """Raise ``CompeteError`` if this time's grading had faults."""
    if faults := [result for result in new if result.verdict == Verdict.FAULT]:
        raise CompeteError(
            f"{len(faults)} of {len(works)} could not be graded, which is our fault and scores "
            "nothing; the reason is in the table. Mend it and run the same command again."
        )


def _say_flags(slug: str, found: Sequence[Result], folder: Path) -> None:
    """Count the results that have flags, and say how to read them."""
    if not (count := sum(bool(result.flags) for result in found)):
        return
    has = "result has" if count == 1 else "results have"
    say(
        f"{count} {has} flags for you to read: tito compete results {options(slug, folder)} --flags"
    )


def _admitted(
    challenge: Challenge, found: Sequence[Submission], kept: Store, roster: Roster
) -> Sequence[Submission]:
    """The submissions that the challenge's dates and quota let in; says what they don't."""
    taken = eligibility.admit(challenge.spec.dates, found, kept.history(challenge.slug), roster)
    for work, why in taken.refused:
        line = f"not graded: {work.student}: {why}."
        errors.print(line, markup=False, highlight=False, soft_wrap=True)
    if undated := taken.undated:
        line = f"no time of sending, so dates and quota can't be checked: {', '.join(undated)}"
        errors.print(line, markup=False, highlight=False, soft_wrap=True)
    for work in taken.admitted:
        if said := submission.misnamed(work, challenge.slug):
            line = f"{work.student}: {said}"
            errors.print(line, markup=False, highlight=False, soft_wrap=True)
    return taken.admitted


def _grade(
    plan: Plan,
    works: Sequence[Submission],
    kept: Store,
    folder: Path,
    workers: int,
    task: Task,
    gradebook: Gradebook | None,
) -> list[Result]:
    """Grade with a progress bar that counts verdicts; the results of this time."""

    def keep(graded: Graded) -> None:
        write_feedback(plan, graded, folder)
        if gradebook:
            gradebook.record(plan, graded)

    found: list[Result] = []
    counts: Counter[str] = Counter()
    columns = [
        TextColumn("grading"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    ]
    with Progress(*columns, console=errors) as progress:
        bar = progress.add_task("", total=len(works))
        engine = LocalEngine(workers)
        batch = grade_class(plan, works, LocalSandbox(), engine, kept, keep, task)
        for result in batch:
            found.append(result)
            counts[str(result.verdict)] += 1
            shown = "  ".join(
                f"[{verdict(name).style}]{name} {count}[/]" for name, count in counts.items()
            )
            progress.update(bar, advance=1, description=shown)
    return found


def _check_closed(challenge: Challenge) -> None:
    """Raise ``CompeteError`` while a challenge is open."""
    closes = challenge.spec.dates.closes
    if closes and dt.datetime.now(dt.UTC) < times.in_utc(closes):
        raise CompeteError(
            f"{challenge.slug} is open until {times.shown(closes)}: the final grading uses up its "
            "secret seeds, so run it after that, or change dates.closes in challenge.toml."
        )


def _check_isolation(required: bool) -> None:
    """Say once, loudly, what this machine can't hold; refuse if that was asked for."""
    if weak := capabilities.weaknesses():
        text = " ".join(weak) + " See: tito compete doctor"
        if required:
            raise IsolationError(text)
        errors.print(f"[bold red]WEAK ISOLATION[/] {text}", highlight=False)
