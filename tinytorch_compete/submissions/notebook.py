"""Read notebooks without trusting them, and assemble the notebook that is run."""

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
# A student's commands to this package; nothing is lost if they aren't run.
OURS = ("%load_ext tinytorch_compete", "%compete")


class Assembly(msgspec.Struct, frozen=True):
    """The notebook to run, with what the submission lacks and what of it isn't run.

    ``missing`` has the ids of the solution cells that the student deleted; ``surplus`` is the
    number of code cells that aren't the master's and therefore aren't run, without those that hold
    only ``%compete`` lines.
    """

    notebook: Any
    missing: tuple[str, ...]
    surplus: int


def read(path: Path) -> NotebookNode:
    """Read a notebook of nbformat 4 from a file of at most ``MAX_NOTEBOOK_MIB``.

    Raises ``NotebookError`` for a file that is absent, a link, too large, not JSON, not a notebook,
    or of an older format, and ``Fault`` for one that can't be read.
    """
    return parse(read_bytes(path), path)


def parse(data: bytes, path: Path) -> NotebookNode:
    """Parse the bytes of a notebook's file; raises ``NotebookError`` as ``read`` does."""
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
    """Return the bytes of a notebook's file; raises as ``read`` does for the file itself."""
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
    """The document as a valid notebook, with cell ids where an old minor version has none."""
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
    """Return the cell's nbgrader id, or the empty string for a cell without one."""
    metadata = cell.metadata.get("nbgrader")
    name = metadata.get("grade_id") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""


def is_solution(cell: NotebookNode) -> bool:
    """Whether the student writes this cell of a master."""
    return bool(grade_id(cell) and cell.metadata["nbgrader"].get("solution"))


def is_grading(cell: NotebookNode) -> bool:
    """Whether this cell of a master is an automatic grading cell."""
    metadata = cell.metadata.get("nbgrader", {})
    return bool(grade_id(cell) and metadata.get("grade") and not metadata.get("solution"))


def answers(master: NotebookNode, submission: NotebookNode) -> str:
    """Return the text of the submission's answer cells, in the master's order."""
    assembled = assemble(master, submission).notebook
    return "\n".join(cell.source for cell in assembled.cells if is_solution(cell))


def points(master: NotebookNode) -> dict[str, float]:
    """Return the maximal points of each automatic grading cell of a master, by its id, in order."""
    return {
        grade_id(cell): float(cell.metadata["nbgrader"].get("points", 0))
        for cell in master.cells
        if is_grading(cell)
    }


def assemble(master: NotebookNode, submission: NotebookNode) -> Assembly:
    """Assemble the notebook to run: the master's cells with the student's text as solutions.

    The first cell of the submission with a solution cell's id counts, whatever its position and
    type; its outputs, tags and metadata don't. A solution cell that the student deleted is empty.
    Code cells of the master without an nbgrader id are for students to try things out, and are left
    out. Neither argument is changed.

    Raises ``NotebookError`` if the submission has none of the master's solution cells, and so
    belongs to another challenge.
    """
    sources: dict[str, str] = {}
    for cell in submission.cells:
        sources.setdefault(grade_id(cell), cell.source)
    solutions = [grade_id(cell) for cell in master.cells if is_solution(cell)]
    missing = tuple(name for name in solutions if name not in sources)
    if len(missing) == len(solutions):
        raise NotebookError(
            "the wrong notebook: it has none of this challenge's answer cells "
            f"({', '.join(solutions)}). Does it belong to another challenge?"
        )
    run = [cell for cell in master.cells if cell.cell_type != "code" or grade_id(cell)]
    cells = [_assembled(cell, sources) for cell in run]
    notebook = v4.new_notebook(cells=cells, metadata=_kernel_metadata())
    return Assembly(notebook, missing, _surplus(master, submission))


def _surplus(master: NotebookNode, submission: NotebookNode) -> int:
    """Count the submission's code cells that aren't the master's, except ``%compete`` cells."""
    masters = {grade_id(cell) or cell.id for cell in master.cells}
    return sum(
        cell.cell_type == "code" and (grade_id(cell) or cell.id) not in masters
        for cell in submission.cells
        if any(not line.startswith(OURS) for line in cell.source.split("\n") if line.strip())
    )


def _assembled(cell: NotebookNode, sources: dict[str, str]) -> NotebookNode:
    cell = copy.deepcopy(cell)
    if is_solution(cell):
        cell.source = sources.get(grade_id(cell), "")
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
