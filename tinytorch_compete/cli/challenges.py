"""Commands for challenges: list, new, release, verify, similar, cap."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from tinytorch_compete.authoring import memory_cap
from tinytorch_compete.authoring import verify as verification
from tinytorch_compete.authoring.scaffold import scaffold
from tinytorch_compete.challenges import packs
from tinytorch_compete.challenges import release as releasing
from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.cli.console import console, download, errors, plain, table, verdict
from tinytorch_compete.cli.student_options import DataFolder, Dataset, parameter
from tinytorch_compete.datasets import prepare
from tinytorch_compete.errors import CompeteError
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.rendering.column import Column
from tinytorch_compete.results.figures import format_figure
from tinytorch_compete.sandbox.local import LocalSandbox
from tinytorch_compete.student import commands
from tinytorch_compete.submissions import notebook, similarity, submission
from tinytorch_compete.util.times import shown

Slug = Annotated[str, parameter(commands.SLUG)]


def challenge_of(context: typer.Context, name: str) -> Challenge:
    """Return the challenge with a slug or an alias; raises ``CompeteError`` without one."""
    return packs.resolve(packs.find(context.obj), name)


def list_challenges(context: typer.Context) -> None:
    """List the available challenges."""
    for slug, challenge in packs.find(context.obj).items():
        facts = challenge.spec
        aliases = f" (also {', '.join(facts.aliases)})" if facts.aliases else ""
        limits = facts.limits
        rows = [
            ["category", facts.category],
            [
                "tiers",
                ", ".join(f"{tier.name} {_goal(challenge, tier.at)}" for tier in facts.tiers),
            ],
            ["limits", f"{limits.memory_mib} MiB, {limits.wall_s:g} s, {limits.threads} core(s)"],
            ["data", ", ".join(choice.name for choice in facts.datasets)],
            ["dates", ", ".join(_dates(challenge)) or "always open"],
        ]
        if facts.divisions:
            rows.insert(2, ["divisions", ", ".join(d.name for d in facts.divisions)])
        console.print(f"[bold]{slug}[/bold]{aliases}", highlight=False)
        console.print(f"{facts.title}. {facts.summary}", markup=False, highlight=False)
        columns = [Column(), Column()]
        console.print(table("", columns, [[f"  {name}", value] for name, value in rows]))


def new(
    slug: Annotated[
        str, typer.Argument(metavar="SLUG", help="Lowercase letters, digits and hyphens.")
    ],
    folder: Annotated[Path, typer.Option(help="The pack to add it to.")] = Path(),
) -> None:
    """Start a new challenge, ready to run."""
    for path in scaffold(slug, folder):
        console.print(str(path), markup=False, highlight=False)
    console.print(f"Next: edit them, then run: tito compete --pack {folder} verify {slug}")


def release(
    context: typer.Context,
    slug: Slug,
    folder: Annotated[Path, typer.Argument(help="Where to put it; must not exist yet.")],
    dataset: Dataset = None,
    data: DataFolder = None,
) -> None:
    """Write the student's version of a challenge."""
    challenge = challenge_of(context, slug)
    choice = challenge.choice(dataset)
    with download() as progress:
        prepared = prepare(
            choice.name, train=choice.train, public=choice.public, source=data, progress=progress
        )
    releasing.release(challenge, prepared.folder, folder)
    console.print(
        f"Open {folder / challenge.slug}.ipynb in Jupyter.", markup=False, highlight=False
    )


def verify(
    context: typer.Context,
    slug: Annotated[
        str | None, typer.Argument(metavar="[SLUG]", help="Defaults to all challenges.")
    ] = None,
) -> None:
    """Check that the sample submissions earn what they promise."""
    challenges = packs.find(context.obj)
    chosen = [packs.resolve(challenges, slug)] if slug else list(challenges.values())
    sandbox = LocalSandbox()
    failed = 0
    for challenge in chosen:
        console.print(f"[bold]{challenge.slug}[/bold]")
        for check in verification.verify(challenge, sandbox):
            failed += not check.holds
            mark = "✓" if check.holds else "✗"
            line = Text(f"{mark} {check.name:20} ") + verdict(f"{check.verdict!s:11}")
            console.print(line + Text(plain(f" {check.what}")), soft_wrap=True)
    if failed:
        console.print(f"{failed} of the samples did not earn what their metadata promise.")
        raise typer.Exit(1)


def similar(
    context: typer.Context,
    slug: Slug,
    submissions: Annotated[Path, typer.Argument(help="Laid out as STUDENT/SLUG/SLUG.ipynb.")],
    at_least: Annotated[
        float, typer.Option(min=0, max=1, help="The smallest share to list.")
    ] = 0.5,
) -> None:
    """List similar answers for manual review."""
    challenge = challenge_of(context, slug)
    master = challenge.master()
    texts = {}
    for work in submission.find(submissions, challenge.slug):
        try:
            texts[work.student] = notebook.answers(master, notebook.read(work.notebook))
        except CompeteError as error:
            errors.print(f"left out: {plain(str(error))}", markup=False, highlight=False)
    template = notebook.answers(master, releasing.student_version(master))
    pairs = similarity.pairs(texts, template, at_least)
    rows = [[pair.first, pair.second, f"{pair.share:.0%}", str(pair.common)] for pair in pairs]
    columns = [Column.unbroken("student"), Column.unbroken("student")]
    columns += [Column.numeric("alike"), Column.numeric("places")]
    console.print(table("", columns, rows))
    console.print(
        f"{len(pairs)} of {math.comb(len(texts), 2)} pairs share {at_least:.0%} or more of their "
        "own code. That proves nothing: read both."
    )


def _dates(challenge: Challenge) -> list[str]:
    dates = challenge.spec.dates
    ends = [("opens", dates.opens), ("closes", dates.closes)]
    lines = [f"{word} {shown(date)}" for word, date in ends if date]
    return lines + ([f"{dates.per_day} a day are graded"] if dates.per_day else [])


def _goal(challenge: Challenge, value: float) -> str:
    metric = challenge.spec.metric(challenge.spec.rank[0])
    return format_figure(metric, value)


def cap(
    context: typer.Context,
    slug: Slug,
    path: Annotated[Path, typer.Argument(metavar="NOTEBOOK", help="A submission's notebook.")],
    tier: Annotated[
        str | None, typer.Option(help="The tier to reach; defaults to the first.")
    ] = None,
    resolution: Annotated[
        int, typer.Option(min=1, help="How precisely to find the cap, in MiB.")
    ] = 8,
) -> None:
    """Find the smallest memory cap under which a notebook still reaches a tier."""
    challenge = challenge_of(context, slug)
    goal = tier or challenge.spec.tiers[0].name
    if not path.is_file():
        raise CompeteError(f"{path}: no such notebook.")
    with download() as progress:
        # Any secret works: nothing is graded.
        plan = Plan.of(challenge, verification.SECRET, seeds=1, progress=progress)
    work = submission.Submission("you", path, path.parent if path.parent != Path() else None)
    smallest = plan.limits.memory_mib
    for attempt in memory_cap.attempts(plan, work, LocalSandbox(), goal, resolution):
        mark = "✓" if attempt.reached else "✗"
        why = f"  {attempt.result.message}" if attempt.result.message else ""
        line = f"{mark} {attempt.memory_mib:6d} MiB  {attempt.result.tier or 'no tier'}{why}"
        console.print(plain(line), markup=False, highlight=False)
        smallest = min(smallest, attempt.memory_mib) if attempt.reached else smallest
    console.print(f"{goal} is reached from {smallest} MiB on, to within {resolution} MiB.")
