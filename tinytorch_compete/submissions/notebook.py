"""Notebooks as data: read them with suspicion, assemble what is run, clean what is shown."""

from __future__ import annotations

import copy
import json
import stat
from pathlib import Path
from typing import Any

import msgspec
import nbformat
from nbformat import NotebookNode, v4, validator

from tinytorch_compete.errors import Fault, NotebookError
from tinytorch_compete.model import MIB
from tinytorch_compete.util.text import clean

MAX_NOTEBOOK_MIB = 20
MAX_CELLS = 2000
# What a student says to this package from a notebook; nothing is lost if it isn't run.
OURS = ("%load_ext tinytorch_compete", "%compete")


class Assembly(msgspec.Struct, frozen=True):
    """What will be run: the notebook, the master cells that the submission lacks, and its surplus.

    ``missing`` are ids of solution cells that the student deleted, ``surplus`` is the number of
    code cells that aren't the master's and so aren't run; ``%compete`` lines are no loss.
    """

    notebook: Any
    missing: tuple[str, ...]
    surplus: int


def read(path: Path) -> NotebookNode:
    """The notebook in a file of at most ``MAX_NOTEBOOK_MIB``, as nbformat 4.

    Raises ``NotebookError`` for whatever else the file may be: absent, a link, too large, not JSON,
    not a notebook, or of an older format; and ``Fault`` if it can't be read.
    """
    return parse(read_bytes(path), path)


def parse(data: bytes, path: Path) -> NotebookNode:
    """The notebook in the bytes of a file; raises ``NotebookError`` as ``read`` does."""
    if not data:
        raise NotebookError(f"{path}: the file is empty; send the notebook again.")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise NotebookError(
            f"{path}: not a notebook: its JSON can't be parsed ({reason}). "
            "Open it in Jupyter, save it again and send that file."
        ) from None
    if not isinstance(document, dict) or "nbformat" not in document:
        raise NotebookError(f"{path}: not a notebook: it is JSON, but has no nbformat field.")
    if type(document["nbformat"]) is not int or document["nbformat"] != 4:
        raise NotebookError(
            f"{path}: a notebook of format {clean(document['nbformat'])[:20]}; 4 is needed. "
            "Open it in Jupyter and save it again, or run: jupyter nbconvert --to notebook."
        )
    cells = document.get("cells")
    if isinstance(cells, list) and len(cells) > MAX_CELLS:
        raise NotebookError(f"{path}: {len(cells)} cells; at most {MAX_CELLS} are read.")
    return _valid(path, document)


def read_bytes(path: Path) -> bytes:
    """A notebook's file as it is; raises as ``read`` does."""
    try:
        facts = path.lstat()
        if stat.S_ISLNK(facts.st_mode):
            raise NotebookError(f"{path}: a link; send the notebook itself.")
        if not stat.S_ISREG(facts.st_mode):
            raise NotebookError(f"{path}: not a file; a notebook (.ipynb) is needed.")
        if facts.st_size > MAX_NOTEBOOK_MIB * MIB:
            raise NotebookError(
                f"{path}: {facts.st_size / MIB:.0f} MiB; at most {MAX_NOTEBOOK_MIB} MiB are read. "
                "Clear its outputs (Kernel > Restart and Clear Outputs) and save it again."
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise NotebookError(f"{path}: no such file.") from None
    except OSError as error:
        raise Fault(f"{path}: can't be read ({error.strerror}); check its permissions.") from None


def _valid(path: Path, document: dict[str, Any]) -> NotebookNode:
    """The document as a notebook, with ids where an old minor version has none."""
    try:
        notebook = nbformat.from_dict(document)
        notebook = v4.upgrade(notebook, from_minor=notebook.get("nbformat_minor", 0))
        for cell in notebook.cells:
            cell["source"] = _text(cell["source"])
            cell["metadata"] = cell.get("metadata", {})
        _, notebook = validator.normalize(notebook)  # gives duplicate and missing ids a new one
        nbformat.validate(notebook)
    except RecursionError:
        raise NotebookError(f"{path}: not a notebook: nested too deeply.") from None
    except (nbformat.ValidationError, KeyError, TypeError, AttributeError, ValueError) as error:
        reason = clean(error).partition("\n")[0][:200]
        raise NotebookError(
            f"{path}: not a valid notebook ({reason}). Open it in Jupyter and save it again."
        ) from None
    return notebook


def _text(source: Any) -> str:
    return clean("".join(source) if isinstance(source, list) else source)


def grade_id(cell: NotebookNode) -> str:
    """The cell's nbgrader id, or the empty string for a cell that nbgrader doesn't know."""
    facts = cell.metadata.get("nbgrader")
    found = facts.get("grade_id") if isinstance(facts, dict) else None
    return found if isinstance(found, str) else ""


def is_solution(cell: NotebookNode) -> bool:
    """Whether the student writes this cell of a master."""
    return bool(grade_id(cell) and cell.metadata["nbgrader"].get("solution"))


def is_grading(cell: NotebookNode) -> bool:
    """Whether this cell of a master is an automatic grading cell."""
    facts = cell.metadata.get("nbgrader", {})
    return bool(grade_id(cell) and facts.get("grade") and not facts.get("solution"))


def answers(master: NotebookNode, submission: NotebookNode) -> str:
    """The text of the submission's answer cells, in the master's order."""
    made = assemble(master, submission).notebook
    return "\n".join(cell.source for cell in made.cells if is_solution(cell))


def points(master: NotebookNode) -> dict[str, float]:
    """The maximal points of each automatic grading cell of a master, by its id, in order."""
    return {
        grade_id(cell): float(cell.metadata["nbgrader"].get("points", 0))
        for cell in master.cells
        if is_grading(cell)
    }


def assemble(master: NotebookNode, submission: NotebookNode) -> Assembly:
    """The notebook to run: the master's cells, with the student's text in its solution cells.

    The first cell of the submission that carries a solution cell's id counts, wherever it stands
    and whatever its type was turned into; its outputs, tags and metadata don't. A solution cell
    that the student deleted is empty. Code cells of the master that nbgrader doesn't know are the
    students' to play with, and are left out. Neither argument is changed.

    Raises ``NotebookError`` if the submission has none of the master's solution cells: it is
    another challenge's.
    """
    written: dict[str, str] = {}
    for cell in submission.cells:
        written.setdefault(grade_id(cell), cell.source)
    wanted = [grade_id(cell) for cell in master.cells if is_solution(cell)]
    missing = tuple(name for name in wanted if name not in written)
    if len(missing) == len(wanted):
        raise NotebookError(
            "the wrong notebook: it has none of this challenge's answer cells "
            f"({', '.join(wanted)}). Was another challenge's notebook sent?"
        )
    known = {grade_id(cell) or cell.id for cell in master.cells}
    surplus = sum(
        cell.cell_type == "code" and (grade_id(cell) or cell.id) not in known
        for cell in submission.cells
        if any(not line.startswith(OURS) for line in cell.source.split("\n") if line.strip())
    )
    run = [cell for cell in master.cells if cell.cell_type != "code" or grade_id(cell)]
    cells = [_assembled(cell, written) for cell in run]
    notebook = v4.new_notebook(cells=cells, metadata=_kernel_metadata())
    return Assembly(notebook, missing, surplus)


def _assembled(cell: NotebookNode, written: dict[str, str]) -> NotebookNode:
    cell = copy.deepcopy(cell)
    if is_solution(cell):
        cell.source = written.get(grade_id(cell), "")
    if cell.cell_type == "code":
        cell.outputs, cell.execution_count = [], None
    cell.metadata = NotebookNode(
        {key: value for key, value in cell.metadata.items() if key == "nbgrader"}
    )
    return cell


def _kernel_metadata() -> dict[str, Any]:
    return {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
