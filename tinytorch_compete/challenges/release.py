"""The student's version of a challenge, made by nbgrader's own preprocessors."""

from __future__ import annotations

import contextlib
import copy
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from traitlets.config import Config

from tinytorch_compete.challenges.packs import PACKAGE, Challenge
from tinytorch_compete.errors import PackError, StoreError

STARTER = PACKAGE / "reference" / "tinytorch"


def student_version(master: NotebookNode) -> NotebookNode:
    """A master without solutions, hidden tests and outputs, its fixed cells locked.

    Raises ``PackError`` if anything hidden would remain.
    """
    # A second to import, which every other command would pay too.
    from nbgrader.preprocessors import ClearHiddenTests, ClearOutput, ClearSolutions, LockCells

    notebook = copy.deepcopy(master)
    resources: dict[str, object] = {}
    for step in (LockCells, ClearSolutions, ClearOutput, ClearHiddenTests):
        notebook, resources = step(config=Config()).preprocess(notebook, resources)
    for cell in notebook.cells:
        if "### BEGIN HIDDEN" in cell.source or "### BEGIN SOLUTION" in cell.source:
            raise PackError(f"the cell {cell.get('id')!r} still shows what must stay hidden.")
    return notebook


def release(challenge: Challenge, data: Path, folder: Path) -> None:
    """Write a folder with the student's notebook, its data, hints, guide and a starter framework.

    The folder appears whole or not at all. Raises ``StoreError`` if it exists already or can't be
    written, and ``PackError``.
    """
    if folder.exists():
        raise StoreError(f"{folder}: exists already; name a new folder, so that no work is lost.")
    with _made(challenge, data, folder) as made:
        made.rename(folder)


def bring(
    challenge: Challenge, data: Path, folder: Path, *, replace_data: bool = False
) -> list[str]:
    """Write what a student's folder lacks, and keep what it has; the names of what was kept.

    With ``replace_data`` the data set there gives way to this one. Raises as ``release`` does.
    """
    if not folder.exists():
        release(challenge, data, folder)
        return []
    if not folder.is_dir():
        raise StoreError(f"{folder}: not a folder; name another one.")
    kept = []
    with _made(challenge, data, folder) as made:
        for part in sorted(made.iterdir()):
            place = folder / part.name
            if place.exists() and part.name == "data" and replace_data:
                place.rename(made.parent / "old")
            if place.exists():
                kept.append(part.name)
            else:
                part.rename(place)
    return kept


@contextlib.contextmanager
def _made(challenge: Challenge, data: Path, folder: Path) -> Iterator[Path]:
    """All that a student gets, in a temporary folder beside ``folder``, to be moved from there."""
    notebook = student_version(challenge.master())
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".release-") as temporary:
            made = Path(temporary) / "made"
            made.mkdir()
            nbformat.write(notebook, made / f"{challenge.slug}.ipynb")
            shutil.copytree(data, made / "data")
            shutil.copytree(
                STARTER, made / "tinytorch", ignore=shutil.ignore_patterns("__pycache__")
            )
            for name in ("hints.md", "guide.md"):
                shutil.copy(challenge.folder / name, made)
            yield made
    except OSError as error:
        raise StoreError(f"{folder}: can't be written ({error.strerror}).") from None
