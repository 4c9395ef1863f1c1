"""Commands for a class: grade, results, audit."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pandas as pd
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tinytorch_compete import advising, entrant, files, grading, pack, store, submission
from tinytorch_compete.admission import admit
from tinytorch_compete.cli import student
from tinytorch_compete.cli.challenges import Slug, entry_of
from tinytorch_compete.cli.details import print_details
from tinytorch_compete.cli.tables import (
    console,
    download,
    errors,
    print_flags,
    print_results,
    verdict,
)
from tinytorch_compete.course.results import (
    DATABASE,
    FEEDBACK,
    FOLDER,
    SECRET,
    write_feedback,
)
from tinytorch_compete.engine.local import LocalEngine, workers_for
from tinytorch_compete.errors import CompeteError, IsolationError, StoreError
from tinytorch_compete.grading import Graded, Plan, Task
from tinytorch_compete.model import Result, Verdict
from tinytorch_compete.pack import Entry
from tinytorch_compete.sandbox import capabilities
from tinytorch_compete.sandbox.local import LocalSandbox
from tinytorch_compete.store import Store
from tinytorch_compete.submission import Submission

if TYPE_CHECKING:
    from tinytorch_compete.course.gradebook import CourseGradebook

Folder = Annotated[Path, typer.Option("--results", help="The folder of results and feedback.")]
Dataset = Annotated[str | None, typer.Option(help="One of the challenge's data sets.")]
Source = Annotated[Path | None, typer.Option("--data", help="A folder that has the data set.")]
Final = Annotated[bool, typer.Option("--final", help="Of the final grading, after closing.")]


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
) -> None:
    """Grade a class; run it again to go on."""
    gradebook = _gradebook(course) if course else None
    if gradebook:
        context.obj = (*context.obj, *gradebook.packs)
        submissions, results = submissions or gradebook.submitted, gradebook.results
    if submissions is None:
        raise CompeteError("name a folder of submissions, or a course by --course.")
    entry = entry_of(context, slug)
    if final:
        _check_closed(entry)
    _check_isolation(require_isolation)
    dataset = dataset or (gradebook.dataset(entry.slug) if gradebook else None)
    found = submission.find(submissions.resolve(), entry.slug)
    secret = files.secret(results / SECRET)
    with download() as progress:
        plan = Plan(entry, secret, dataset=dataset, source=data, final=final, progress=progress)
    if gradebook:
        gradebook.check(plan)
    kept = Store(results / DATABASE)
    works = _admitted(entry, found, kept)
    todo = works if again else _waiting(plan, works, kept, gradebook)
    if skipped := len(works) - len(todo):
        console.print(f"{skipped} graded already; --again grades them once more.")
    try:
        task = advising.grade if insights else grading.grade
        workers = workers or workers_for(plan.limits)
        new = _grade(plan, todo, kept, results, workers, task, gradebook)
    except KeyboardInterrupt:
        errors.print("Interrupted; what was graded is kept. Run the same command again to go on.")
        raise typer.Exit(130) from None
    _show(plan, found, new, kept, results)


def _gradebook(course: Path) -> CourseGradebook:
    # nbgrader takes two seconds to import, which every other command would pay too.
    from tinytorch_compete.course.gradebook import CourseGradebook

    return CourseGradebook(course)


def _waiting(
    plan: Plan, works: Sequence[Submission], kept: Store, gradebook: CourseGradebook | None
) -> list[Submission]:
    """The submissions without a grade, or whose grade is in no gradebook yet."""
    todo = grading.waiting(plan, works, kept)
    slug = plan.entry.slug
    unrecorded = gradebook and [work for work in works if not gradebook.has(work, slug)]
    return [work for work in works if work in todo or work in (unrecorded or ())]


def _show(
    plan: Plan, works: Sequence[Submission], new: Sequence[Result], kept: Store, folder: Path
) -> None:
    """Print what a class earned; raises ``CompeteError`` if this time's grading had faults."""
    slug = plan.entry.slug
    students = {work.student for work in works}
    newest = kept.latest(slug, final=plan.final)
    latest = [r for r in newest if r.identity.student in students]
    print_results(plan.challenge, latest)
    console.print(f"Feedback: {folder / FEEDBACK}", markup=False, highlight=False, soft_wrap=True)
    _say_flags(slug, latest, folder)
    if faults := [result for result in new if result.verdict == Verdict.FAULT]:
        raise CompeteError(
            f"{len(faults)} of {len(works)} could not be graded, which is our fault and scores "
            "nothing; the reason is in the table. Mend it and run the same command again."
        )


def results(
    context: typer.Context,
    slug: Annotated[str | None, typer.Argument(metavar="[SLUG]", help="All, if left out.")] = None,
    results: Folder = Path(FOLDER),
    csv: Annotated[Path | None, typer.Option(help="Write the whole table as CSV.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write it as Parquet.")] = None,
    history: Annotated[bool, typer.Option(help="Every result, not just the newest.")] = False,
    flags: Annotated[
        bool, typer.Option("--flags", help="What a person should look at, and nothing else.")
    ] = False,
    detailed: Annotated[
        bool, typer.Option("--detailed", help="Intervals, ranks, and how far the next group is.")
    ] = False,
    final: Final = False,
    came: student.Came = None,
) -> None:
    """Show the results table, or write it to a file; in a student's folder, the student's own."""
    if not (results / DATABASE).is_file() and entrant.find(Path()):
        student.own_results(context, slug, came, detailed)
        return
    kept = stored(results)
    chosen = entry_of(context, slug).slug if slug else None
    if detailed and (history or csv or parquet):
        raise CompeteError("--detailed is for the newest results, and for the terminal alone.")
    found = kept.latest(chosen, final=final)
    if history:
        found = [result for result in kept.history(chosen) if result.identity.final == final]
    if not found:
        kind = "final results" if final else "results"
        raise CompeteError(f"{results}: no {kind}{f' for {chosen!r}' if chosen else ''} yet.")
    _write(store.frame(found), csv, parquet)
    if csv or parquet:
        return
    entries = pack.find(context.obj)
    for name in dict.fromkeys(result.identity.challenge for result in found):
        console.print(f"[bold]{name}[/bold]")
        rows = [result for result in found if result.identity.challenge == name]
        challenge = pack.resolve(entries, name).challenge
        if flags:
            print_flags(rows)
        elif detailed:
            print_details(challenge, rows, files.secret(results / SECRET))
        else:
            print_results(challenge, rows)


def _say_flags(slug: str, found: Sequence[Result], folder: Path) -> None:
    """Count the results that have flags, and say how to read them."""
    if not (count := sum(bool(result.flags) for result in found)):
        return
    has = "result has" if count == 1 else "results have"
    where = "" if folder == Path(FOLDER) else f" --results {folder}"
    text = f"{count} {has} flags for you to read: tito compete results {slug} --flags{where}"
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _admitted(entry: Entry, found: Sequence[Submission], kept: Store) -> Sequence[Submission]:
    """The submissions that the challenge's dates and quota let in; says what they don't."""
    admission = admit(entry.challenge.dates, found, kept.history(entry.slug))
    for work, why in admission.refused:
        line = f"not graded: {work.student}: {why}."
        errors.print(line, markup=False, highlight=False, soft_wrap=True)
    if undated := admission.undated:
        line = f"no time of sending, so dates and quota can't be checked: {', '.join(undated)}"
        errors.print(line, markup=False, highlight=False, soft_wrap=True)
    return admission.admitted


def _grade(
    plan: Plan,
    works: Sequence[Submission],
    kept: Store,
    folder: Path,
    workers: int,
    task: Task,
    gradebook: CourseGradebook | None,
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
        batch = grading.grade_class(plan, works, LocalSandbox(), engine, kept, keep, task)
        for result in batch:
            found.append(result)
            counts[str(result.verdict)] += 1
            shown = "  ".join(
                f"[{verdict(name).style}]{name} {count}[/]" for name, count in counts.items()
            )
            progress.update(bar, advance=1, description=shown)
    return found


def stored(folder: Path) -> Store:
    """The results in a folder; raises ``StoreError`` if there are none."""
    if not (folder / DATABASE).is_file():
        raise StoreError(
            f"{folder / DATABASE}: no results there; grade first, or name the folder by --results."
        )
    return Store(folder / DATABASE)


def _check_closed(entry: Entry) -> None:
    """Raise ``CompeteError`` while a challenge is open; a date without a zone is local time."""
    closes = entry.challenge.dates.closes
    if closes and dt.datetime.now(dt.UTC) < closes.astimezone():
        raise CompeteError(
            f"{entry.slug} is open until {closes:%Y-%m-%d %H:%M}: the final grading uses up its "
            "secret seeds, so run it after that, or change dates.closes in challenge.toml."
        )


def _check_isolation(required: bool) -> None:
    """Say once, loudly, what this machine can't hold; refuse if that was asked for."""
    if weak := capabilities.weaknesses():
        text = " ".join(weak) + " See: tito compete doctor"
        if required:
            raise IsolationError(text)
        errors.print(f"[bold red]WEAK ISOLATION[/] {text}", highlight=False)


def _write(frame: pd.DataFrame, csv: Path | None, parquet: Path | None) -> None:
    try:
        if csv:
            store.harmless(frame).to_csv(csv, index=False)
        if parquet:
            frame.to_parquet(parquet, index=False)
    except OSError as error:
        raise StoreError(f"{error.filename}: can't be written ({error.strerror}).") from None
