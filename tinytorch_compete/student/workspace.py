"""What students ask for, answered as panels that a terminal and a notebook show alike."""

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
    """The challenges in a table, and where those are that were joined near here."""
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
    """Which state of a notebook this is about: an editor may hold another."""
    saved = dt.datetime.fromtimestamp(path.stat().st_mtime)
    return f"The notebook as it was saved: {saved:%Y-%m-%d %H:%M:%S}."


def form(made: SubmissionPackage) -> list[str]:
    """What a look at the answer cells shows that a student may want to know before sending."""
    lines = []
    if made.missing:
        lines += [f"Answer cells that are missing and count as empty: {', '.join(made.missing)}."]
    if made.unchanged:
        lines += [f"Answer cells that are as you got them: {', '.join(made.unchanged)}."]
    if made.surplus:
        lines += [f"Code cells of your own, which grading doesn't run: {made.surplus}."]
    return lines


def work_of(
    challenges: Mapping[str, Challenge], here: Path, slug: str | None, path: Path | None
) -> tuple[Challenge, Path, Registration, Path]:
    """The challenge, its folder, the entrant and the notebook that a student means."""
    if path is not None and slug is None:
        here = path.resolve().parent
    challenge, folder, who = entered(challenges, here, slug)
    return challenge, folder, who, path or package.notebook_in(folder, challenge.slug)


def entered(
    challenges: Mapping[str, Challenge], here: Path, slug: str | None
) -> tuple[Challenge, Path, Registration]:
    """The challenge that a student means, its folder and the entrant."""
    named = packs.resolve(challenges, slug).slug if slug else None
    folder, who = registration.of(here, named)
    return packs.resolve(challenges, who.challenge), folder, who
