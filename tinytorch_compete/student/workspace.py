"""Find the challenge, folder and notebook that a student works on, and describe them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path

from tinytorch_compete.challenges import packs
from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.participants import registration
from tinytorch_compete.participants.registration import Registration
from tinytorch_compete.rendering.column import Column
from tinytorch_compete.rendering.panel import Panel
from tinytorch_compete.results import figures
from tinytorch_compete.student import package
from tinytorch_compete.student.package import SubmissionPackage

Progress = Callable[[int, int], None]


def challenges(challenges: Mapping[str, Challenge], here: Path) -> Panel:
    """List the challenges in a table, with the folders of those that were joined near here."""
    places = registration.find(here)
    rows = []
    for slug, challenge in challenges.items():
        facts = challenge.spec
        metric = facts.metric(facts.rank[0])
        goals = [f"{tier.name} {figures.format_figure(metric, tier.at)}" for tier in facts.tiers]
        limits = f"{facts.limits.memory_mib} MiB, {facts.limits.wall_s:g} s"
        rows.append((slug, facts.summary, ", ".join(goals), limits, str(places.get(slug, ""))))
    columns = (
        Column.unbroken("challenge"),
        Column("what"),
        Column("tiers"),
        Column.unbroken("limits"),
        Column("joined in"),
    )
    return Panel("Challenges", columns, tuple(rows))


def saved_at(path: Path) -> str:
    """Say when the notebook was saved: an editor may hold unsaved changes."""
    saved = dt.datetime.fromtimestamp(path.stat().st_mtime)
    return f"Notebook saved at {saved:%Y-%m-%d %H:%M:%S}."


def cell_notes(submission_package: SubmissionPackage) -> list[str]:
    """Note which cells are missing, unchanged or won't be run, for students to see in time."""
    lines = []
    if missing := submission_package.missing:
        lines += [f"Answer cells that are missing and count as empty: {', '.join(missing)}."]
    if unchanged := submission_package.unchanged:
        lines += [f"Answer cells that you haven't changed: {', '.join(unchanged)}."]
    if surplus := submission_package.surplus:
        lines += [f"Code cells of your own, which grading doesn't run: {surplus}."]
    return lines


def work_of(
    challenges: Mapping[str, Challenge], here: Path, slug: str | None, path: Path | None
) -> tuple[Challenge, Path, Registration, Path]:
    """Return the challenge, its folder, the registration and the notebook that a command names."""
    if path is not None and slug is None:
        here = path.resolve().parent
    challenge, folder, who = entered(challenges, here, slug)
    return challenge, folder, who, path or package.notebook_in(folder, challenge.slug)


def entered(
    challenges: Mapping[str, Challenge], here: Path, slug: str | None
) -> tuple[Challenge, Path, Registration]:
    """Return the challenge that a command names, its folder and the registration."""
    chosen = packs.resolve(challenges, slug).slug if slug else None
    folder, who = registration.of(here, chosen)
    return packs.resolve(challenges, who.challenge), folder, who
