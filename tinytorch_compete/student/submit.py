"""Send a submission and return a receipt."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.errors import CompeteError, StoreError
from tinytorch_compete.grading import eligibility
from tinytorch_compete.participants import registration
from tinytorch_compete.participants.registration import Receipt, Registration
from tinytorch_compete.rendering.column import Column
from tinytorch_compete.rendering.panel import Panel
from tinytorch_compete.student import exchange, package
from tinytorch_compete.student.join_options import about
from tinytorch_compete.student.package import SubmissionPackage
from tinytorch_compete.student.workspace import cell_notes, saved_at, work_of
from tinytorch_compete.util import times

SHOWN_FILES = 5


def submit(
    challenges: Mapping[str, Challenge],
    here: Path,
    slug: str | None,
    path: Path | None,
    to: Path | None,
    agreed: Callable[[Panel], bool],
) -> Panel | None:
    """Send a student's notebook to the course; save the receipt and return it.

    ``agreed`` is called with a preview of the files and their destination. If it returns ``False``,
    nothing is sent and the result is ``None``. Raises ``CompeteError``.
    """
    challenge, folder, who, path = work_of(challenges, here, slug, path)
    dates, now = challenge.spec.dates, dt.datetime.now(dt.UTC)
    if why := eligibility.refusal(dates, now, who.sent_on(now.date())):
        raise CompeteError(f"{challenge.slug}: it would not be graded: {why}.")
    config = None if to else exchange.configured()
    target = to or (Path(who.to) if who.to else None)
    if config is None and target is None:
        raise CompeteError(
            "there is nowhere to send it to: no nbgrader_config.py names a course "
            "(c.CourseDirectory.course_id), and no folder was given. Ask the staff; then: "
            f"tito compete submit --challenge {challenge.slug} --to FOLDER"
        )
    place = f"nbgrader's exchange, course {exchange.course_of(config)}" if config else str(target)
    registration.write(folder, who)  # before anything is sent: the receipt must be writable
    with package.packed(challenge, folder, path, who) as submission_package:
        if not agreed(_preview(submission_package, path, place, who)):
            return None
        sent = submission_package.snapshot.work.notebook.parent
        sent_at = exchange.send(config, sent) if config else exchange.put(target or Path(), sent)
        receipt = Receipt(submission_package.snapshot.sha, sent_at, place)
    now_who = msgspec.structs.replace(who, receipts=(*who.receipts, receipt))
    panel = _receipt(challenge, now_who, receipt)
    try:
        registration.write(folder, now_who)
    except StoreError as error:  # it was sent all the same
        lines = (f"Sent, but this receipt was not saved: {error} Write down its sha256.",)
        panel = msgspec.structs.replace(panel, lines=(*panel.lines, *lines))
    return panel


def _preview(
    submission_package: SubmissionPackage, path: Path, place: str, who: Registration
) -> Panel:
    """Preview a submission: the notebook, the largest files by name, and a count of the rest."""
    first = submission_package.snapshot.work.notebook.name
    package_sizes = submission_package.snapshot.sizes
    sizes = sorted(package_sizes.items(), key=lambda item: (item[0] != first, -item[1]))
    rows = [(name, f"{size / 1024:.0f} KiB") for name, size in sizes[:SHOWN_FILES]]
    if rest := sizes[SHOWN_FILES:]:
        total = sum(size for _, size in rest)
        rows.append((f"and {len(rest)} smaller files", f"{total / 1024:.0f} KiB"))
    facts = "; ".join(f"{name}: {value}" for name, value in about(who) if name != "invite word")
    about_you = f"{registration.FILE} says about you: {facts}."
    lines = (f"To: {place}", saved_at(path), about_you, *cell_notes(submission_package))
    columns = (Column(wrap="ellipsis"), Column.numeric())
    return Panel(f"Will be sent: {path.name}", columns, tuple(rows), lines)


def _receipt(challenge: Challenge, who: Registration, receipt: Receipt) -> Panel:
    rows = [
        ("sha256", receipt.sha256),
        ("sent", f"{receipt.sent_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("to", receipt.place),
    ]
    dates = challenge.spec.dates
    if dates.per_day:
        left = dates.per_day - who.sent_on(receipt.sent_at.date())
        shared = ", less what teammates sent" if who.team else ""
        rows.append(("left today", f"{left} of {dates.per_day}, until midnight UTC{shared}"))
    if dates.closes:
        rows.append(("closes", times.shown(dates.closes)))
    return Panel(f"Receipt: {challenge.slug}", (Column.unbroken(), Column()), tuple(rows))
