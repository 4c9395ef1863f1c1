"""Package a submission: a student's notebook and the code beside it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.challenges.release import student_version
from tinytorch_compete.errors import NotebookError, StoreError
from tinytorch_compete.model import MIB
from tinytorch_compete.participants import registration
from tinytorch_compete.participants.registration import Registration
from tinytorch_compete.submissions import notebook
from tinytorch_compete.submissions.snapshot import Snapshot, load
from tinytorch_compete.submissions.submission import MAX_FILES, MAX_MIB, Submission, sizes_below

# Files from the course, and the registration, of which only the public part is sent.
NOT_COPIED = {"hints.md", "guide.md", "feedback", registration.FILE}


class SubmissionPackage(msgspec.Struct, frozen=True):
    """A submission as the course will receive it, with notes on its cells.

    ``missing`` and ``unchanged`` are ids of answer cells; ``surplus`` counts code cells that won't
    be run. A grade will be recorded under the snapshot's ``sha``.
    """

    snapshot: Snapshot
    missing: tuple[str, ...]
    unchanged: tuple[str, ...]
    surplus: int


def notebook_in(folder: Path, slug: str) -> Path:
    """Return a folder's notebook: the one named after the challenge, or else the only one.

    Raises ``NotebookError`` if neither is there.
    """
    expected, others = folder / f"{slug}.ipynb", sorted(folder.glob("*.ipynb"))
    if expected.exists():
        return expected
    if len(others) == 1:
        return others[0]
    raise NotebookError(f"{folder}: {len(others)} notebooks, none of them {slug}.ipynb; name one.")


@contextlib.contextmanager
def packed(
    challenge: Challenge, folder: Path, path: Path, who: Registration
) -> Iterator[SubmissionPackage]:
    """Package a submission in a temporary folder for the length of a ``with`` block.

    The folder and its notebook are named after the challenge. All files beside the notebook go with
    it except the data, other notebooks, hidden files and ``NOT_COPIED``. Raises ``NotebookError``
    for links, for more than can be graded and for a notebook that isn't the challenge's.
    """
    answered = notebook.read(path)
    assembly = notebook.assemble(challenge.master(), answered)
    beside = _beside(folder)
    try:
        with tempfile.TemporaryDirectory(prefix="compete-") as temporary:
            target = Path(temporary) / challenge.slug
            target.mkdir()
            shutil.copyfile(path, target / f"{challenge.slug}.ipynb")
            for name in beside:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / name, target / name)
            registration.write(target, who.shown())
            snapshot = load(Submission("you", target / f"{challenge.slug}.ipynb", target))
            if snapshot.problem:
                raise snapshot.problem
            yield SubmissionPackage(
                snapshot,
                assembly.missing,
                _unchanged(challenge, assembly),
                assembly.surplus,
            )
    except OSError as error:
        raise StoreError(f"{error.filename}: can't be copied ({error.strerror}).") from None


def _beside(folder: Path) -> list[str]:
    """List the files that go with the notebook, after checking their number and size."""
    sizes = {
        name: size
        for name, size in sizes_below(folder).items()
        if not (name.endswith(".ipynb") and "/" not in name)
        and name.split("/")[0] not in NOT_COPIED
        and not any(part.startswith(".") for part in name.split("/"))
    }
    if len(sizes) >= MAX_FILES or sum(sizes.values()) > MAX_MIB * MIB:
        largest = max(sizes, key=lambda name: sizes[name])
        raise NotebookError(
            f"{folder}: {len(sizes)} files, {sum(sizes.values()) / MIB:.0f} MiB; {MAX_FILES} files "
            f"and {MAX_MIB} MiB can be sent. The largest is {largest}. Move away what isn't needed."
        )
    return list(sizes)


def _unchanged(challenge: Challenge, assembly: notebook.Assembly) -> tuple[str, ...]:
    """List the answer cells that are still as the course released them."""
    released = {
        notebook.grade_id(cell): cell.source for cell in student_version(challenge.master()).cells
    }
    return tuple(
        notebook.grade_id(cell)
        for cell in assembly.notebook.cells
        if notebook.is_solution(cell)
        and notebook.grade_id(cell) not in assembly.missing
        and cell.source.strip() == released[notebook.grade_id(cell)].strip()
    )
