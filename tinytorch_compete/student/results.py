"""A student's own results: the history that feedback and receipts tell of."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from tinytorch_compete.challenges import packs
from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.errors import CompeteError
from tinytorch_compete.feedback import record
from tinytorch_compete.feedback.record import ResultRecord
from tinytorch_compete.model import ChallengeSpec
from tinytorch_compete.participants import registration
from tinytorch_compete.participants.registration import Registration
from tinytorch_compete.rendering.column import Column
from tinytorch_compete.rendering.panel import Panel
from tinytorch_compete.results import figures
from tinytorch_compete.student import exchange
from tinytorch_compete.util import files, times


def panels(
    challenges: Mapping[str, Challenge],
    here: Path,
    slug: str | None,
    came: Path | None,
    detailed: bool,
) -> list[Panel]:
    """A student's own results, of one challenge or of all that were joined near here.

    Feedback that has come is kept in the folder first: by the exchange, or from a folder ``came``
    laid out as the course writes it. Raises ``CompeteError``.
    """
    named = packs.resolve(challenges, slug).slug if slug else None
    slugs = [named] if named else list(registration.find(here))
    if not slugs:
        raise registration.absent(here, None)
    found = []
    for name in slugs:
        folder, who = registration.of(here, name)
        if came is not None:
            _keep(folder, name, came)
        elif any(receipt.place != who.to for receipt in who.receipts):
            with contextlib.suppress(CompeteError):  # no feedback there yet is no error
                if config := exchange.configured():
                    exchange.fetch_feedback(config, name, folder)
        found.append(_own(packs.resolve(challenges, name), folder, who, detailed))
    return found


def _keep(folder: Path, slug: str, came: Path) -> None:
    """Copy the feedback for this student out of the course's folder, each result once."""
    known = {told.graded_at for _, told in record.history(folder / "feedback", slug)}
    for path in sorted((came / exchange.username()).glob("*.ipynb")):
        told = record.read(path)
        if told and told.challenge == slug and told.graded_at not in known:
            name = f"{told.graded_at:%Y-%m-%d-%H%M%S}-{path.name}"
            files.write_text(folder / "feedback" / name, path.read_text("utf-8"))


def _own(challenge: Challenge, folder: Path, who: Registration, detailed: bool) -> Panel:
    told = record.history(folder / "feedback", challenge.slug)
    answered = {result.submitted_at for _, result in told}
    rows = [_row(challenge.spec, result) for _, result in told]
    rows += [
        (times.shown(receipt.sent_at), "sent", "", "", "", "", "")
        for receipt in who.receipts
        if receipt.sent_at not in answered
    ]
    first = challenge.spec.rank[0]
    columns = (
        Column.unbroken("sent"),
        Column.unbroken("verdict"),
        Column.numeric("points"),
        Column.unbroken("tier"),
        Column.numeric(first),
        Column.numeric("MiB"),
        Column.numeric("s"),
    )
    lines = [] if told else ["No feedback has come back yet."]
    if told:
        path, newest = told[-1]
        lines += [newest.message] if newest.message else []
        if len(told) > 1:
            lines += [f"Since the one before: {_change(challenge.spec, told[-2][1], newest)}."]
        lines += [newest.note] if newest.note else []
        lines += [f"On the leaderboard you are {newest.handle}."] if newest.handle else []
        if detailed:
            lines += [f"{name}: {got:g} of {most:g} points" for name, got, most in newest.cells]
        lines += [f"Feedback: {path}"]
    if detailed:
        lines += [f"Sent {times.shown(r.sent_at)}: {r.sha256}" for r in who.receipts]
        lines += [f"Hints taken: {who.hints}."]
    return Panel(f"Your results: {challenge.slug}", columns, tuple(rows), tuple(lines))


def _row(spec: ChallengeSpec, result: ResultRecord) -> tuple[str, ...]:
    first = spec.rank[0]
    points = "–" if result.points is None else f"{result.points:g}/{result.max_points:g}"
    return (
        times.shown(result.submitted_at or result.graded_at),
        result.verdict + (" (final)" if result.final else ""),
        points,
        result.tier,
        _figure(spec, result, first),
        f"{result.peak_mib:.0f}",
        f"{result.wall_s / max(result.runs, 1):.1f}",
    )


def _figure(spec: ChallengeSpec, result: ResultRecord, name: str) -> str:
    value = result.metrics.get(name)
    return "" if value is None else figures.format_figure(figures.declared(spec, name), value)


def _change(spec: ChallengeSpec, before: ResultRecord, now: ResultRecord) -> str:
    """What differs between two results, in the order in which it matters."""
    parts = []
    for name in spec.rank:
        old, new = _figure(spec, before, name), _figure(spec, now, name)
        if old != new and (old or new):
            parts.append(f"{name} {old or 'none'} → {new or 'none'}")
    parts += [f"points {before.points or 0:g} → {now.points or 0:g}"]
    if before.tier != now.tier:
        parts.append(f"tier {before.tier or 'none'} → {now.tier or 'none'}")
    parts.append(f"peak {before.peak_mib:.0f} → {now.peak_mib:.0f} MiB")
    return ", ".join(parts)
