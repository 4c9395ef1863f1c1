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
    """Return the slugs of the challenges that a course has already."""
    return config.names(folder / config.NAME, "challenges")


def packs(folder: Path) -> list[Path]:
    """Return the folders of the packs that a course names, without the built-in pack."""
    return [folder.resolve() / name for name in config.names(folder / config.NAME, "packs")]


def dataset(folder: Path, challenge: Challenge, requested: str | None) -> str:
    """Return the data set that a course has for a challenge, or else ``requested`` or the first.

    Raises ``PackError`` for a data set that the challenge can't be run on, and for another than the
    assignment was written with.
    """
    configured = config.datasets(folder / config.NAME).get(challenge.slug)
    place = folder / SOURCE / challenge.slug
    current = configured or challenge.choice(None).name
    if place.exists() and requested and requested != current:
        raise PackError(
            f"{place}: was written with another data set. Delete it, then run: "
            f"tito compete course init {folder} {challenge.slug} --dataset {requested}"
        )
    return challenge.choice(requested or configured).name


def init(
    folder: Path, challenges: Sequence[tuple[Challenge, Dataset]], packs: Sequence[Path]
) -> Iterator[str]:
    """Create a course, or add challenges to one, and yield a sentence for each step.

    ``challenges`` are all challenges of the course, each with its data set. Assignments that exist
    already are left as they are. Raises ``StoreError``, and ``PackError`` for an assignment that
    has a challenge's name but isn't that challenge.
    """
    folder = folder.resolve()
    for challenge, _ in challenges:
        check_source(challenge, folder)
    for challenge, data in challenges:
        yield _add_source(challenge, data.folder, folder / SOURCE / challenge.slug)
    student_files = {
        challenge.slug: _student_files(folder / SOURCE / challenge.slug)
        for challenge, _ in challenges
    }
    datasets = {challenge.slug: data.name for challenge, data in challenges}
    path = folder / config.NAME
    names = dict.fromkeys(_relative(pack, folder) for pack in packs)
    written = config.write(path, datasets, list(names), student_files)
    yield f"{path}: {'the block is written' if written.changed else 'nothing to change'}"
    for name in written.overridden:
        yield f"{path}: sets {name} itself; the block comes later and replaces it"


def environment() -> Mapping[str, str]:
    """Return this process's environment, with the programs installed with nbgrader on its path.

    nbgrader starts ``alembic`` by name to create a gradebook.
    """
    scripts = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": os.pathsep.join((scripts, os.environ.get("PATH", "")))}


def check_source(challenge: Challenge, folder: Path) -> None:
    """Raise ``PackError`` if the course's master differs from the pack's in what nbgrader knows."""
    path = folder / SOURCE / challenge.slug / f"{challenge.slug}.ipynb"
    if path.exists() and _nbgrader_cells(notebook.read(path)) != _nbgrader_cells(
        challenge.master()
    ):
        raise PackError(
            f"{path}: its answer or grading cells differ from those of the challenge, so grades "
            f"would be for other cells. Change {challenge.master_path} instead, or delete "
            f"{path.parent} and run: tito compete course init {folder} {challenge.slug}"
        )


def _nbgrader_cells(master: NotebookNode) -> list[tuple[object, ...]]:
    """Return the facts of a master's answer and grading cells."""
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
    """Write an assignment's source folder, whole or not at all, unless it exists already."""
    if place.exists():
        return f"{place}: exists already"
    large = [path.name for path in data.iterdir() if path.stat().st_size > EXCHANGED_BYTES]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".init-") as temporary:
            source = Path(temporary) / "source"
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(STARTER, source / "tinytorch", ignore=ignored)
            nbformat.write(challenge.master(), source / f"{challenge.slug}.ipynb")
            for name in ("hints.md", "guide.md"):
                shutil.copy(challenge.folder / name, source)
            if not large:
                shutil.copytree(data, source / DATA)
            source.rename(place)
    except OSError as error:
        raise StoreError(f"{place}: can't be written ({error.strerror}).") from None
    if large:
        return (
            f"{place}: written, without its data: {large[0]} is larger than nbgrader's exchange "
            f"carries. Give it to students with: tito compete release {challenge.slug} FOLDER"
        )
    return f"{place}: written"


def _student_files(place: Path) -> list[str]:
    """Return the paths of the files that students get beside the notebook and hand in again."""
    paths = (path for path in place.rglob("*") if path.is_file() and path.suffix != ".ipynb")
    return sorted(path.relative_to(place).as_posix() for path in paths)


def _relative(pack: Path, folder: Path) -> str:
    """Return a pack's path for the configuration: relative if it is inside the course's folder."""
    pack = pack.resolve()
    return pack.relative_to(folder).as_posix() if pack.is_relative_to(folder) else str(pack)
