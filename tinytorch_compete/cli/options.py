"""Options that several commands share: the results folder, a data set, the final grading."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinytorch_compete.errors import StoreError
from tinytorch_compete.results.folder import NAME, ResultsFolder
from tinytorch_compete.results.store import Store

DEFAULT = ResultsFolder(Path(NAME))
Folder = Annotated[
    ResultsFolder,
    typer.Option(
        "--results",
        help="The folder of results and feedback.",
        metavar="PATH",
        parser=lambda text: ResultsFolder(Path(str(text))),
    ),
]
Source = Annotated[Path | None, typer.Option("--data", help="A folder that has the data set.")]
Final = Annotated[bool, typer.Option("--final", help="Of the final grading, after closing.")]


def stored(folder: ResultsFolder) -> Store:
    """Open the store of results in a folder; raises ``StoreError`` if there is none."""
    if not folder.is_graded:
        raise StoreError(
            f"{folder.database}: no results there; grade first, or name the folder with --results."
        )
    return folder.store()


def options(slug: str, folder: ResultsFolder, final: bool = False) -> str:
    """Return the arguments with which another command finds the same results."""
    where = "" if folder == DEFAULT else f" --results {folder}"
    return f"{slug}{where}{' --final' if final else ''}"
