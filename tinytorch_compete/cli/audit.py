"""Commands that defend the results: check them, repeat them, withdraw one."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated

import typer

from tinytorch_compete.challenges import packs
from tinytorch_compete.cli.challenges import Slug, challenge_of
from tinytorch_compete.cli.console import console, print_results, table
from tinytorch_compete.cli.options import DEFAULT, Folder, Source, stored
from tinytorch_compete.errors import CompeteError, StoreError
from tinytorch_compete.model import Result
from tinytorch_compete.regrading import audit as auditing
from tinytorch_compete.rendering.column import Column
from tinytorch_compete.results.folder import ResultsFolder
from tinytorch_compete.results.store import Store
from tinytorch_compete.sandbox.local import LocalSandbox
from tinytorch_compete.submissions import snapshot, submission


def audit(
    context: typer.Context,
    results: Folder = DEFAULT,
    submissions: Annotated[
        Path | None, typer.Option(help="Compare the newest results' files with this folder's.")
    ] = None,
    rerun: Annotated[
        int | None, typer.Option(min=1, help="Grade so many of them again, drawn at random.")
    ] = None,
    noted: Annotated[
        str, typer.Option(metavar="DIGEST", help="One that audit printed before: still there?")
    ] = "",
    data: Source = None,
) -> None:
    """Check that no result was changed or removed, and that results come out again."""
    if rerun is not None and submissions is None:
        raise CompeteError("--rerun grades submissions again; name their folder by --submissions.")
    kept = stored(results)
    rows, count = kept.check_chain(noted.strip()), len(kept.history())
    withdrawals = f" and {rows - count} withdrawals" if rows > count else ""
    console.print(f"{count} results{withdrawals}, each follows from all before it.")
    if submissions is not None:
        _compare_files(kept, submissions)
        if rerun is not None:
            _rerun(context, kept, results, submissions, rerun, data)
    console.print("Note this digest elsewhere, for --noted; it stands for all results so far:")
    console.print(kept.last_digest(), markup=False, highlight=False, soft_wrap=True)


def withdraw(
    context: typer.Context,
    student: Annotated[str, typer.Argument(help="As the folder of submissions is named.")],
    slug: Slug,
    reason: Annotated[str, typer.Option(help="What was found, for whoever asks later.")],
    results: Folder = DEFAULT,
) -> None:
    """Mark a student's newest result as withdrawn; nothing is deleted.

    The leaderboard keeps an empty line for it. Grading it again makes a new result, which counts.
    """
    challenge = challenge_of(context, slug)
    if not reason.strip():
        raise CompeteError("--reason is empty; say what was found, for whoever asks later.")
    made = stored(results).withdraw(student, challenge.slug, reason.strip())
    print_results(challenge.spec, [made])
    console.print(f"\nWrite the leaderboard again: tito compete leaderboard {challenge.slug}")


def _compare_files(kept: Store, root: Path) -> None:
    """Raise ``CompeteError`` that names the results whose files aren't those that were graded."""
    latest = [*kept.latest(), *kept.latest(final=True)]
    changed = []
    for slug in dict.fromkeys(result.identity.challenge for result in latest):
        works = {work.student: work for work in submission.find(root, slug)}
        for result in (r for r in latest if r.identity.challenge == slug):
            work = works.get(result.identity.student)
            if work is None or snapshot.load(work).files != result.files:
                changed.append(f"{result.identity.student} ({slug})")
    if changed:
        raise CompeteError(f"{root}: not the files that were graded: {', '.join(changed)}.")
    console.print(f"The files of {len(latest)} results are those that were graded.")


def _rerun(
    context: typer.Context,
    kept: Store,
    folder: ResultsFolder,
    root: Path,
    wanted: int,
    source: Path | None,
) -> None:
    """Grade some results again and show each; raise ``CompeteError`` if any differs."""
    if not folder.secret_path.is_file():
        raise StoreError(f"{folder.secret_path}: not there; results come out again under it alone.")
    able = auditing.candidates([*kept.latest(), *kept.latest(final=True)])
    drawn = random.SystemRandom().sample(able, min(wanted, len(able)))
    secret, challenges = folder.secret(), packs.find(context.obj)
    console.print(f"Grading {len(drawn)} of {len(able)} results again; no row is added.")
    recounts = []
    for found in auditing.rerun(challenges, secret, drawn, root, LocalSandbox(), source=source):
        recounts.append(found)
        notes = "; ".join(found.differences or found.noise)
        word = "DIFFERS" if found.differences else "the same" if not notes else "the same, but for"
        columns = [Column.unbroken(), Column.unbroken(), Column()]
        console.print(table("", columns, [[f"  {_name(found.result)}", word, notes]]))
    if differing := [_name(found.result) for found in recounts if found.differences]:
        raise CompeteError(
            f"{len(differing)} of {len(drawn)} results did not come out again: "
            f"{', '.join(differing)}. Does the submission train from a seed of its own or until a "
            "clock says stop, or was it graded on another machine or version?"
        )


def _name(result: Result) -> str:
    return f"{result.identity.student} ({result.identity.challenge})"
