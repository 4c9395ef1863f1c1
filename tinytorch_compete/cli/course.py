"""Commands for a course that uses nbgrader: ``init``, ``release``, ``samples``, ``export``."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from tinytorch_compete.authoring import samples as authoring_samples
from tinytorch_compete.challenges import packs
from tinytorch_compete.cli.challenges import Slug, challenge_of
from tinytorch_compete.cli.console import download, say
from tinytorch_compete.cli.options import DEFAULT, Final, Folder, stored
from tinytorch_compete.course import folder as courses
from tinytorch_compete.datasets import prepare
from tinytorch_compete.errors import CompeteError
from tinytorch_compete.model import ChallengeSpec, Result
from tinytorch_compete.participants import roster_file
from tinytorch_compete.participants.roster import counted
from tinytorch_compete.results import export as exports
from tinytorch_compete.results.table import harmless
from tinytorch_compete.util import files

app = typer.Typer(help="A course that uses nbgrader.", no_args_is_help=True, rich_markup_mode=None)
Course = Annotated[Path, typer.Option("--course", help="The course's folder.")]


@app.command()
def init(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(help="The course's folder; created if it doesn't exist.")
    ],
    slugs: Annotated[
        list[str] | None, typer.Argument(metavar="[SLUG]...", help="Defaults to all challenges.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="One of the data sets of the named challenges.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="A folder that has the data set.")] = None,
) -> None:
    """Create an nbgrader course with challenges, or add challenges to one."""
    context.obj = (*courses.packs(folder), *context.obj)
    challenges = packs.find(context.obj)
    chosen = [packs.resolve(challenges, slug).slug for slug in slugs or ()]
    before = courses.chosen(folder)
    if dataset and not chosen:
        raise CompeteError("name the challenges that --dataset is for.")
    slugs_in_course = dict.fromkeys([*before, *chosen]) or dict.fromkeys(challenges)
    with download() as progress:
        datasets = []
        for challenge in (packs.resolve(challenges, slug) for slug in slugs_in_course):
            name = courses.dataset(folder, challenge, dataset if challenge.slug in chosen else None)
            choice = challenge.choice(name)
            train, public = choice.train, choice.public
            prepared = prepare(name, train=train, public=public, source=data, progress=progress)
            datasets.append((challenge, prepared))
    for line in courses.init(folder, datasets, context.obj):
        say(line)
    say(f"Next: tito compete course release {next(iter(slugs_in_course))} --course {folder}")


@app.command()
def release(context: typer.Context, slug: Slug, course: Course = Path()) -> None:
    """Run nbgrader's generate_assignment and release_assignment."""
    context.obj = (*courses.packs(course), *context.obj)
    challenge = challenge_of(context, slug)
    if challenge.slug not in courses.chosen(course):
        raise CompeteError(
            f"{course}: no course with {challenge.slug!r}; run: "
            f"tito compete course init {course} {challenge.slug}"
        )
    courses.check_source(challenge, course.resolve())
    for step in ("generate_assignment", "release_assignment"):
        nbgrader(course, step, challenge.slug)


@app.command()
def samples(
    context: typer.Context,
    slug: Slug,
    course: Course = Path(),
    students: Annotated[
        int | None, typer.Option(min=1, help="How many students; defaults to one for each sample.")
    ] = None,
) -> None:
    """Submit the challenge's samples, to try out a course."""
    # nbgrader takes two seconds to import, which every other command would pay too.
    from tinytorch_compete.course.gradebook import CourseGradebook

    gradebook = CourseGradebook(course)
    context.obj = (*gradebook.packs, *context.obj)
    challenge, submitted = challenge_of(context, slug), gradebook.submitted
    names = authoring_samples.hand_in(challenge, submitted, students)
    sample_students = f"{len(names)} sample students handed in {challenge.slug}"
    say(f"{submitted}: {sample_students}: {', '.join(names)}")


def nbgrader(course: Path, *words: str) -> None:
    """Run one of nbgrader's commands in a course, with its messages in the terminal."""
    command = [sys.executable, "-m", "nbgrader", *words]
    done = subprocess.run(command, cwd=course, env=courses.environment())
    if done.returncode:
        raise CompeteError(
            f"nbgrader {' '.join(words)} failed in {course}; its messages are above."
        )


def export(
    context: typer.Context,
    slug: Slug,
    results: Folder = DEFAULT,
    canvas: Annotated[Path | None, typer.Option(help="A CSV file for Canvas.")] = None,
    moodle: Annotated[Path | None, typer.Option(help="A CSV file for Moodle.")] = None,
    gradescope: Annotated[
        Path | None, typer.Option(help="A folder of STUDENT/results.json for Gradescope.")
    ] = None,
    final: Final = False,
) -> None:
    """Write grades for Canvas, Moodle or Gradescope."""
    if not (canvas or moodle or gradescope):
        raise CompeteError("name the output: --canvas FILE, --moodle FILE, --gradescope FOLDER.")
    challenge = challenge_of(context, slug)
    roster = roster_file.read(results, challenge.slug)
    with contextlib.closing(stored(results)) as store:
        latest = store.latest(challenge.slug, final=final)
    if not latest:
        kind = "final results" if final else "results"
        raise CompeteError(f"{results}: no {kind} for {challenge.slug!r} yet; grade first.")
    scored = exports.scored(counted(roster, latest))
    for path in _write_grades(challenge.spec, scored, canvas, moodle, gradescope):
        say(f"{path}: {len(scored)} grades")
    graded = {result.identity.student for result in scored}
    if missing := [name for r in latest if (name := r.identity.student) not in graded]:
        say(f"no grade yet, or a withdrawn one: {', '.join(sorted(missing))}")


def _write_grades(
    spec: ChallengeSpec,
    scored: Sequence[Result],
    canvas: Path | None,
    moodle: Path | None,
    gradescope: Path | None,
) -> Iterator[Path]:
    """Write grades to each place that is named, and yield it; raises ``StoreError``."""
    for path, sheet in ((canvas, exports.canvas), (moodle, exports.moodle)):
        if path:
            text = harmless(sheet(spec, scored)).to_csv(index=False, lineterminator="\n")
            files.write_text(path, text)
            yield path
    if gradescope:
        for result in scored:
            path = gradescope / result.identity.student / "results.json"
            files.write_text(path, exports.gradescope(spec, result))
        yield gradescope
