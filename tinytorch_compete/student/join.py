"""Join a challenge, change how you take part, and leave."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tinytorch_compete.challenges import release
from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.datasets import Dataset, prepare
from tinytorch_compete.errors import CompeteError, DataError
from tinytorch_compete.participants import registration
from tinytorch_compete.participants.registration import Registration
from tinytorch_compete.rendering.column import Column
from tinytorch_compete.rendering.panel import Panel
from tinytorch_compete.student.join_options import (
    JoinOptions,
    about,
    apply_options,
    invitation,
)
from tinytorch_compete.student.workspace import Progress


def join(
    challenge: Challenge, here: Path, options: JoinOptions, progress: Progress | None = None
) -> Panel:
    """Copy a challenge's files to a student's folder and record the registration, or change it.

    Files that are there already are kept. Raises ``CompeteError``.
    """
    folder, before = joined(challenge, here, options.folder)
    requested = apply_options(challenge, before, options)
    data, problem = _dataset(challenge, requested, progress)
    changed = before is not None and before.dataset != data.name
    kept_files = release.bring(challenge, data.folder, folder, replace_data=changed)
    now = msgspec.structs.replace(requested, dataset=data.name)
    registration.write(folder, now)
    rows = [("notebook", str(folder / f"{challenge.slug}.ipynb")), ("data", data.name)]
    rows += about(now)
    rows += [("submissions go to", now.to)] if now.to else []
    lines = []
    if kept_files and before is None:
        lines += [f"Kept as they were: {', '.join(kept_files)}."]
    if problem:
        first = challenge.choice(None).name
        lines += [
            f"{first} is not available here now: {problem}. You have {data.name} instead, in the "
            f"same format. To get {first}, join again when you are online, or name a folder that "
            "has it: --data FOLDER"
        ]
    if now.team and (before is None or (before.team, before.word) != (now.team, now.word)):
        lines += invitation(now, new_word=not options.word)
    return Panel(
        f"You {'changed how you take part in' if before else 'joined'} {challenge.slug}",
        (Column.unbroken(), Column()),
        tuple(rows),
        tuple(lines),
    )


def leave(challenge: Challenge, here: Path) -> Panel:
    """Delete a registration and keep the work; raises ``CompeteError``."""
    folder = registration.find(here).get(challenge.slug)
    if folder is None:
        folder, _ = registration.of(here, challenge.slug)  # whose error says that it isn't joined
    (folder / registration.FILE).unlink()
    return Panel(
        f"You left {challenge.slug}",
        lines=(
            f"Your work stays in {folder}.",
            "Your submissions stay with the course, under the team and the leaderboard settings "
            "that you sent last. To take those back, too, or to have a result withdrawn, ask the "
            "staff. A leaderboard that was handed out can't be recalled.",
        ),
    )


def joined(
    challenge: Challenge, here: Path, folder: Path | None
) -> tuple[Path, Registration | None]:
    """Return the folder where a challenge is or would be joined, and the registration there.

    Raises ``CompeteError`` if the folder is another challenge's.
    """
    if folder is None:
        folder = registration.find(here).get(challenge.slug, here / challenge.slug)
    if not (folder / registration.FILE).is_file():
        return folder, None
    who = registration.read(folder)
    if who.challenge != challenge.slug:
        raise CompeteError(f"{folder}: {who.challenge} was joined there; name another folder.")
    return folder, who


def _dataset(
    challenge: Challenge, who: Registration, progress: Progress | None
) -> tuple[Dataset, str]:
    """Return a data set, and the reason if it stands in for the challenge's first one."""
    choices = [challenge.choice(who.dataset)] if who.dataset else challenge.spec.datasets
    problem: DataError | None = None
    for choice in choices:
        source = Path(who.source) if who.source and problem is None else None
        try:
            dataset = prepare(
                choice.name,
                train=choice.train,
                public=choice.public,
                source=source,
                progress=progress,
            )
        except DataError as error:
            problem = problem or error
            continue
        return dataset, str(problem).partition(";")[0] if problem else ""
    assert problem
    raise problem
