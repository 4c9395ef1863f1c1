"""Commands that defend results: check, rerun and withdraw them."""

from __future__ import annotations

import contextlib
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
from tinytorch_compete.regrading.audit import RerunComparison
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
        int | None, typer.Option(min=1, help="Regrade this many of them, drawn at random.")
    ] = None,
    noted: Annotated[
        str,
        typer.Option(
            metavar="DIGEST", help="Check that a digest that audit printed before is still there."
        ),
    ] = "",
    data: Source = None,
) -> None:
    """Check that no result was changed or removed, and that results reproduce."""
    if rerun is not None and submissions is None:
        raise CompeteError("--rerun regrades submissions; name their folder with --submissions.")
    with contextlib.closing(stored(results)) as store:
        rows, count = store.check_chain(noted.strip()), len(store.history())
        withdrawals = f" and {rows - count} withdrawals" if rows > count else ""
        console.print(f"{count} results{withdrawals}; each follows from all before it.")
        if submissions is not None:
            _compare_files(store, submissions)
            if rerun is not None:
                _rerun(context, store, results, submissions, rerun, data)
        console.print("Note this digest elsewhere, for --noted; it covers all results so far:")
        console.print(store.last_digest(), markup=False, highlight=False, soft_wrap=True)


def withdraw(
    context: typer.Context,
    student: Annotated[
        str, typer.Argument(help="The name of the student's folder of submissions.")
    ],
    slug: Slug,
    reason: Annotated[str, typer.Option(help="Why, for whoever asks later.")],
    results: Folder = DEFAULT,
) -> None:
    """Mark a student's newest result as withdrawn; nothing is deleted.

    The leaderboard keeps an empty line for it. Grading the student again adds a result that counts.
    """
    challenge = challenge_of(context, slug)
    if not reason.strip():
        raise CompeteError("--reason is empty; say why, for whoever asks later.")
    with contextlib.closing(stored(results)) as store:
        withdrawn = store.withdraw(student, challenge.slug, reason.strip())
    print_results(challenge.spec, [withdrawn])
    console.print(f"\nUpdate the leaderboard: tito compete leaderboard {challenge.slug}")


def _compare_files(store: Store, root: Path) -> None:
    """Raise ``CompeteError`` that names the results whose files aren't those that were graded."""
    latest = [*store.latest(), *store.latest(final=True)]
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
    store: Store,
    folder: ResultsFolder,
    root: Path,
    count: int,
    source: Path | None,
) -> None:
    """Regrade some submissions and show each; raise ``CompeteError`` if any result differs."""
    if not folder.secret_path.is_file():
        raise StoreError(f"{folder.secret_path}: not found; results reproduce only under it.")
    candidates = auditing.candidates([*store.latest(), *store.latest(final=True)])
    drawn = random.SystemRandom().sample(candidates, min(count, len(candidates)))
    secret, challenges = folder.secret(), packs.find(context.obj)
    console.print(f"Regrading {len(drawn)} of {len(candidates)} results; no row is added.")
    differing = []
    for rerun in auditing.rerun(challenges, secret, drawn, root, LocalSandbox(), source=source):
        _print_comparison(rerun)
        differing += [_name(rerun.result)] if rerun.differences else []
    if differing:
        raise CompeteError(
            f"{len(differing)} of {len(drawn)} results did not reproduce: {', '.join(differing)}. "
            "Does the submission train from a seed of its own or until a clock says stop, or was "
            "it graded on another machine or version?"
        )


def _print_comparison(rerun: RerunComparison) -> None:
    notes = "; ".join(rerun.differences or rerun.noise)
    word = "DIFFERS" if rerun.differences else "the same" if not notes else "the same, but for"
    columns = [Column.unbroken(), Column.unbroken(), Column()]
    console.print(table("", columns, [[f"  {_name(rerun.result)}", word, notes]]))


def _name(result: Result) -> str:
    return f"{result.identity.student} ({result.identity.challenge})"
