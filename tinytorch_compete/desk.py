"""What students ask for, answered as panels that a terminal and a notebook show alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from tinytorch_compete import entrant
from tinytorch_compete.course import release
from tinytorch_compete.data import Dataset, prepare
from tinytorch_compete.entrant import Entrant
from tinytorch_compete.errors import CompeteError, DataError
from tinytorch_compete.pack import Entry

Progress = Callable[[int, int], None]


class Panel(msgspec.Struct, frozen=True):
    """An answer: a title, a table, sentences below it, and a text in Markdown from a pack.

    ``columns`` are headings as ``cli.tables.table`` takes them: ``>`` for figures, ``!`` for words
    that aren't broken, ``~`` for what may be cut.
    """

    title: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    lines: tuple[str, ...] = ()
    markdown: str = ""


class Wishes(msgspec.Struct, frozen=True):
    """What a student says when joining; ``None`` leaves it as it was, or to the default."""

    folder: Path | None = None
    handle: str | None = None
    to: Path | None = None
    dataset: str | None = None
    source: Path | None = None


def join(entry: Entry, here: Path, wishes: Wishes, progress: Progress | None = None) -> Panel:
    """Bring what a challenge needs to a student's folder and record the entry; again to change it.

    What is there is kept. Raises ``CompeteError``.
    """
    folder, before = joined(entry, here, wishes.folder)
    wanted = _wanted(entry, before, wishes)
    data, missed = _data(entry, wanted, progress)
    changed = before is not None and before.dataset != data.name
    kept = release.bring(entry, data.folder, folder, replace_data=changed)
    now = msgspec.structs.replace(wanted, dataset=data.name)
    entrant.write(folder, now)
    name = now.handle or "a pseudonym that the course gives you"
    rows = [("notebook", str(folder / f"{entry.slug}.ipynb")), ("data", data.name)]
    rows += [("on the leaderboard", name)]
    rows += [("submissions go to", now.to)] if now.to else []
    lines = [f"Kept as they were: {', '.join(kept)}."] if kept and before is None else []
    if missed:
        lines += [
            f"{entry.choice(None).name} can't be had here now: {missed}. You have {data.name} "
            "instead, of the same form. For the other one join again when you are online, or name "
            "a folder that has it: --data FOLDER"
        ]
    return Panel(
        f"You {'changed how you take part in' if before else 'joined'} {entry.slug}",
        ("!", ""),
        tuple(rows),
        tuple(lines),
    )


def leave(entry: Entry, here: Path) -> Panel:
    """Remove the record of an entry and keep the work; raises ``CompeteError``."""
    folder, _ = entrant.of(here, entry.slug)
    (folder / entrant.FILE).unlink()
    return Panel(
        f"You left {entry.slug}",
        lines=(
            f"Your work stays in {folder}.",
            "What you sent stays with the course; to have a result withdrawn, ask the staff.",
        ),
    )


def joined(entry: Entry, here: Path, folder: Path | None) -> tuple[Path, Entrant | None]:
    """Where a challenge is or would be joined, and the entrant there if it was.

    Raises ``CompeteError`` if the folder is another challenge's.
    """
    if folder is None:
        folder = entrant.find(here).get(entry.slug, here / entry.slug)
    if not (folder / entrant.FILE).is_file():
        return folder, None
    found = entrant.read(folder)
    if found.challenge != entry.slug:
        raise CompeteError(f"{folder}: {found.challenge} was joined there; name another folder.")
    return folder, found


def _wanted(entry: Entry, before: Entrant | None, wishes: Wishes) -> Entrant:
    """The entrant as wished for; an empty data set stands for the challenge's first."""
    now = before or Entrant(entry.slug, "")
    changes: dict[str, str] = {}
    if wishes.handle is not None:
        try:
            changes["handle"] = entrant.check_handle(wishes.handle) if wishes.handle else ""
        except ValueError as error:
            raise CompeteError(f"--handle {wishes.handle!r} won't do: {error}.") from None
    if wishes.to is not None:
        changes["to"] = str(wishes.to.resolve()) if str(wishes.to) != "." else ""
    if wishes.source is not None:
        changes["source"] = str(wishes.source.resolve())
    if wishes.dataset is not None:
        changes["dataset"] = entry.choice(wishes.dataset).name
    elif not changes:  # joining once more is how to get the data set that couldn't be had
        changes["dataset"] = ""
    return msgspec.structs.replace(now, **changes)


def _data(entry: Entry, wanted: Entrant, progress: Progress | None) -> tuple[Dataset, str]:
    """The data set, and what went wrong if the first one can't be had and another stands in."""
    chosen = [entry.choice(wanted.dataset)] if wanted.dataset else entry.challenge.datasets
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
