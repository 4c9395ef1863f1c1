"""A course's folder: nbgrader's own layout, with challenges among its assignments."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.challenges.release import STARTER
from tinytorch_compete.course import config
from tinytorch_compete.datasets import Dataset
from tinytorch_compete.errors import PackError, StoreError
from tinytorch_compete.submissions import notebook
from tinytorch_compete.util.files import DATA

SOURCE = "source"
# nbgrader's exchange leaves larger files behind (CourseDirectory.max_file_size, in 1000 bytes).
EXCHANGED_BYTES = 100_000 * 1000


def chosen(folder: Path) -> list[str]:
    """The challenges that a course has already."""
    return config.named(folder / config.NAME, "challenges")


def packs(folder: Path) -> list[Path]:
    """The packs that a course names, without the built-in one."""
    return [folder.resolve() / name for name in config.named(folder / config.NAME, "packs")]


def dataset(folder: Path, challenge: Challenge, wanted: str | None) -> str:
    """The data set that a course has, or shall have, for a challenge: the first if none is wanted.

    Raises ``PackError`` for one that the challenge can't be run on, or that would change what the
    course has written already.
    """
    before = config.datasets(folder / config.NAME).get(challenge.slug)
    place = folder / SOURCE / challenge.slug
    if place.exists() and wanted and wanted != (before or challenge.choice(None).name):
        raise PackError(
            f"{place}: was written with another data set. Delete it, then run: "
            f"tito compete course init {folder} {challenge.slug} --dataset {wanted}"
        )
    return challenge.choice(wanted or before).name


def init(
    folder: Path, challenges: Sequence[tuple[Challenge, Dataset]], packs: Sequence[Path]
) -> Iterator[str]:
    """Make a course, or add to one, and yield a sentence for each thing that was done.

    ``entries`` are all challenges of the course, each with its data set. What is there
    already is left as it is. Raises ``StoreError``, and ``PackError`` for an assignment of a
    challenge's name that isn't that challenge.
    """
    folder = folder.resolve()
    for challenge, _ in challenges:
        check_source(challenge, folder)
    for challenge, data in challenges:
        yield _add_source(challenge, data.folder, folder / SOURCE / challenge.slug)
    kept = {
        challenge.slug: _brought(folder / SOURCE / challenge.slug) for challenge, _ in challenges
    }
    datasets = {challenge.slug: data.name for challenge, data in challenges}
    path = folder / config.NAME
    names = dict.fromkeys(_relative(pack, folder) for pack in packs)
    written = config.write(path, datasets, list(names), kept)
    yield f"{path}: {'the block is written' if written.changed else 'nothing to change'}"
    for name in written.overridden:
        yield f"{path}: sets {name} itself; the block comes later and replaces it"


def environment() -> Mapping[str, str]:
    """The process's environment, in which nbgrader finds what was installed together with it.

    It starts ``alembic`` by name to make a gradebook.
    """
    scripts = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": os.pathsep.join((scripts, os.environ.get("PATH", "")))}


def check_source(challenge: Challenge, folder: Path) -> None:
    """Raise ``PackError`` if the course's master asks or grades anything else than the pack's."""
    path = folder / SOURCE / challenge.slug / f"{challenge.slug}.ipynb"
    if path.exists() and _asked(notebook.read(path)) != _asked(challenge.master()):
        raise PackError(
            f"{path}: its answer or grading cells differ from those of the challenge, so grades "
            f"would be about other cells. Change {challenge.master_path} instead, or delete "
            f"{path.parent} and run: tito compete course init {folder} {challenge.slug}"
        )


def _asked(master: NotebookNode) -> list[tuple[object, ...]]:
    """What of a master is the challenge: the cells that nbgrader knows."""
    keys = ("solution", "grade", "locked", "points")
    return [
        (
            notebook.grade_id(cell),
            cell.cell_type,
            cell.source,
            *(cell.metadata["nbgrader"].get(key) or 0 for key in keys),
        )
        for cell in master.cells
        if notebook.grade_id(cell)
    ]


def _add_source(challenge: Challenge, data: Path, place: Path) -> str:
    """Write an assignment's source folder, whole or not at all; what is there stays."""
    if place.exists():
        return f"{place}: there already"
    large = [path.name for path in data.iterdir() if path.stat().st_size > EXCHANGED_BYTES]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".init-") as temporary:
            made = Path(temporary) / "made"
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(STARTER, made / "tinytorch", ignore=ignored)
            nbformat.write(challenge.master(), made / f"{challenge.slug}.ipynb")
            for name in ("hints.md", "guide.md"):
                shutil.copy(challenge.folder / name, made)
            if not large:
                shutil.copytree(data, made / DATA)
            made.rename(place)
    except OSError as error:
        raise StoreError(f"{place}: can't be written ({error.strerror}).") from None
    if large:
        return (
            f"{place}: written, without its data: {large[0]} is larger than nbgrader's exchange "
            f"carries. Give it to students by: tito compete release {challenge.slug} FOLDER"
        )
    return f"{place}: written"


def _brought(place: Path) -> list[str]:
    """The files that students get beside the notebook and hand in again, by their paths."""
    paths = (path for path in place.rglob("*") if path.is_file() and path.suffix != ".ipynb")
    return sorted(path.relative_to(place).as_posix() for path in paths)


def _relative(pack: Path, folder: Path) -> str:
    """A pack's path as the configuration names it: from the course's folder if it is inside."""
    pack = pack.resolve()
    return pack.relative_to(folder).as_posix() if pack.is_relative_to(folder) else str(pack)
