"""Join a challenge, change how one takes part, and leave."""

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
from tinytorch_compete.student.join_options import JoinOptions, about, invitation
from tinytorch_compete.student.join_options import wanted as options_of
from tinytorch_compete.student.workspace import Progress


def join(
    challenge: Challenge, here: Path, wishes: JoinOptions, progress: Progress | None = None
) -> Panel:
    """Bring what a challenge needs to a student's folder and record the entry; again to change it.

    What is there is kept. Raises ``CompeteError``.
    """
    folder, before = joined(challenge, here, wishes.folder)
    wanted = options_of(challenge, before, wishes)
    data, missed = _data(challenge, wanted, progress)
    changed = before is not None and before.dataset != data.name
    kept = release.bring(challenge, data.folder, folder, replace_data=changed)
    now = msgspec.structs.replace(wanted, dataset=data.name)
    registration.write(folder, now)
    rows = [("notebook", str(folder / f"{challenge.slug}.ipynb")), ("data", data.name)]
    rows += about(now)
    rows += [("submissions go to", now.to)] if now.to else []
    lines = [f"Kept as they were: {', '.join(kept)}."] if kept and before is None else []
    if missed:
        lines += [
            f"{challenge.choice(None).name} can't be had here now: {missed}. You have {data.name} "
            "instead, of the same form. For the other one join again when you are online, or name "
            "a folder that has it: --data FOLDER"
        ]
    if now.team and (before is None or (before.team, before.word) != (now.team, now.word)):
        lines += invitation(now, new_word=not wishes.word)
    return Panel(
        f"You {'changed how you take part in' if before else 'joined'} {challenge.slug}",
        (Column.unbroken(), Column()),
        tuple(rows),
        tuple(lines),
    )


def leave(challenge: Challenge, here: Path) -> Panel:
    """Remove the record of an entry and keep the work; raises ``CompeteError``."""
    folder = registration.find(here).get(challenge.slug)
    if folder is None:
        folder, _ = registration.of(here, challenge.slug)  # which says that it isn't there
    (folder / registration.FILE).unlink()
    return Panel(
        f"You left {challenge.slug}",
        lines=(
            f"Your work stays in {folder}.",
            "What you sent stays with the course, under what you said last about your team and the "
            "leaderboard. To take that back, too, or to have a result withdrawn, ask the staff. A "
            "leaderboard that was given out can't be called back.",
        ),
    )


def joined(
    challenge: Challenge, here: Path, folder: Path | None
) -> tuple[Path, Registration | None]:
    """Where a challenge is or would be joined, and the entrant there if it was.

    Raises ``CompeteError`` if the folder is another challenge's.
    """
    if folder is None:
        folder = registration.find(here).get(challenge.slug, here / challenge.slug)
    if not (folder / registration.FILE).is_file():
        return folder, None
    found = registration.read(folder)
    if found.challenge != challenge.slug:
        raise CompeteError(f"{folder}: {found.challenge} was joined there; name another folder.")
    return folder, found


def _data(
    challenge: Challenge, wanted: Registration, progress: Progress | None
) -> tuple[Dataset, str]:
    """The data set, and what went wrong if the first one can't be had and another stands in."""
    chosen = [challenge.choice(wanted.dataset)] if wanted.dataset else challenge.spec.datasets
    problem: DataError | None = None
    for choice in chosen:
        source = Path(wanted.source) if wanted.source and problem is None else None
        try:
            found = prepare(
                choice.name,
                train=choice.train,
                public=choice.public,
                source=source,
                progress=progress,
            )
        except DataError as error:
            problem = problem or error
            continue
        return found, str(problem).partition(";")[0] if problem else ""
    assert problem
    raise problem
