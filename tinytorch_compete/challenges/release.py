"""Release the student's version of a challenge, made by nbgrader's own preprocessors."""

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
    """Return a master without solutions, hidden tests and outputs, with its fixed cells locked.

    Raises ``PackError`` if anything hidden would remain.
    """
    # Importing it takes a second, which every other command would pay, too.
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
        raise StoreError(f"{folder}: exists already; name a new folder so that no work is lost.")
    with _built(challenge, data, folder) as built:
        built.rename(folder)


def bring(
    challenge: Challenge, data: Path, folder: Path, *, replace_data: bool = False
) -> list[str]:
    """Add the missing parts to a student's folder and keep the others; return the others' names.

    With ``replace_data`` this data set replaces the folder's own. Raises as ``release`` does.
    """
    if not folder.exists():
        release(challenge, data, folder)
        return []
    if not folder.is_dir():
        raise StoreError(f"{folder}: not a folder; name another one.")
    existing = []
    with _built(challenge, data, folder) as built:
        for part in sorted(built.iterdir()):
            place = folder / part.name
            if place.exists() and part.name == "data" and replace_data:
                place.rename(built.parent / "old")
            if place.exists():
                existing.append(part.name)
            else:
                part.rename(place)
    return existing


@contextlib.contextmanager
def _built(challenge: Challenge, data: Path, folder: Path) -> Iterator[Path]:
    """Build the student's folder in a temporary one beside ``folder``, to be moved from there."""
    notebook = student_version(challenge.master())
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".release-") as temporary:
            built = Path(temporary) / "built"
            built.mkdir()
            nbformat.write(notebook, built / f"{challenge.slug}.ipynb")
            shutil.copytree(data, built / "data")
            shutil.copytree(
                STARTER, built / "tinytorch", ignore=shutil.ignore_patterns("__pycache__")
            )
            for name in ("hints.md", "guide.md"):
                shutil.copy(challenge.folder / name, built)
            yield built
    except OSError as error:
        raise StoreError(f"{folder}: can't be written ({error.strerror}).") from None
