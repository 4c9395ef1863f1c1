"""A folder of results as the command line names it, and the options that go with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinytorch_compete.errors import StoreError
from tinytorch_compete.results.folder import DATABASE, FOLDER
from tinytorch_compete.results.store import Store

Folder = Annotated[Path, typer.Option("--results", help="The folder of results and feedback.")]
Source = Annotated[Path | None, typer.Option("--data", help="A folder that has the data set.")]
Final = Annotated[bool, typer.Option("--final", help="Of the final grading, after closing.")]


def stored(folder: Path) -> Store:
    """The results in a folder; raises ``StoreError`` if there are none."""
    if not (folder / DATABASE).is_file():
        raise StoreError(
            f"{folder / DATABASE}: no results there; grade first, or name the folder by --results."
        )
    return Store(folder / DATABASE)


def options(slug: str, folder: Path, final: bool = False) -> str:
    """The words by which another command finds the same results."""
    where = "" if folder == Path(FOLDER) else f" --results {folder}"
    return f"{slug}{where}{' --final' if final else ''}"
