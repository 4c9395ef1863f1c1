"""Show students their results: the history in their feedback and receipts."""

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
    feedback_from: Path | None,
    detailed: bool,
) -> list[Panel]:
    """Return a student's results, for one challenge or for all that were joined near here.

    New feedback is first copied to the student's folder: from the exchange, or from the folder
    ``feedback_from``, laid out as the course writes it. Raises ``CompeteError``.
    """
    chosen = packs.resolve(challenges, slug).slug if slug else None
    slugs = [chosen] if chosen else list(registration.find(here))
    if not slugs:
        raise registration.absent(here, None)
    result_panels = []
    for name in slugs:
        folder, who = registration.of(here, name)
        if feedback_from is not None:
            _copy_feedback(folder, name, feedback_from)
        elif any(receipt.place != who.to for receipt in who.receipts):
            with contextlib.suppress(CompeteError):  # having no feedback yet is not an error
                if config := exchange.configured():
                    exchange.fetch_feedback(config, name, folder)
        result_panels.append(_panel(packs.resolve(challenges, name), folder, who, detailed))
    return result_panels


def _copy_feedback(folder: Path, slug: str, feedback_from: Path) -> None:
    """Copy this student's feedback from the course's folder, each result once."""
    graded_at = {result.graded_at for _, result in record.history(folder / "feedback", slug)}
    for path in sorted((feedback_from / exchange.username()).glob("*.ipynb")):
        result = record.read(path)
        if result and result.challenge == slug and result.graded_at not in graded_at:
            name = f"{result.graded_at:%Y-%m-%d-%H%M%S}-{path.name}"
            files.write_text(folder / "feedback" / name, path.read_text("utf-8"))


def _panel(challenge: Challenge, folder: Path, who: Registration, detailed: bool) -> Panel:
    history = record.history(folder / "feedback", challenge.slug)
    answered_at = {result.submitted_at for _, result in history}
    rows = [_row(challenge.spec, result) for _, result in history]
    rows += [
        (times.shown(receipt.sent_at), "sent", "", "", "", "", "")
        for receipt in who.receipts
        if receipt.sent_at not in answered_at
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
    lines = [] if history else ["No feedback has come back yet."]
    if history:
        path, newest = history[-1]
        lines += [newest.message] if newest.message else []
        if len(history) > 1:
            _, previous = history[-2]
            lines += [f"Since your previous result: {_changes(challenge.spec, previous, newest)}."]
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


def _changes(spec: ChallengeSpec, before: ResultRecord, now: ResultRecord) -> str:
    """Describe the differences between two results, the most important first."""
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
