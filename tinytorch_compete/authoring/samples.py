"""Sample submissions, and the verdict, tier and points that each must earn."""

from __future__ import annotations

import datetime as dt
import secrets
import shutil
from pathlib import Path

import msgspec

from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.errors import NotebookError, PackError, StoreError
from tinytorch_compete.model import Verdict
from tinytorch_compete.submissions import notebook
from tinytorch_compete.submissions.submission import SENT, TIMESTAMP, Submission

KEY = "tinytorch_compete"
NAMED_BY = "submission_secret.txt"  # nbgrader finds a student's feedback by it


class Promise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a sample submission must earn, from its notebook's ``tinytorch_compete`` metadata.

    ``points`` is a closed range; ``tier`` and ``division`` are empty if none is to be reached.
    """

    verdict: Verdict
    points: tuple[float, float]
    tier: str = ""
    division: str = ""
    dataset: str | None = None


def samples(challenge: Challenge) -> dict[str, Submission]:
    """A challenge's sample submissions by name: single notebooks, or folders with one and files."""
    root = challenge.grader_folder / "submissions"
    found = {}
    for path in sorted(root.iterdir()) if root.is_dir() else []:
        if path.is_dir():
            found[path.name] = Submission(path.name, path / f"{challenge.slug}.ipynb", path)
        elif path.suffix == ".ipynb":
            found[path.stem] = Submission(path.stem, path)
    if not found:
        raise PackError(
            f"{root}: no sample submissions; they are in a checkout of the pack, not in a wheel."
        )
    return found


def hand_in(challenge: Challenge, submitted: Path, students: int | None = None) -> list[str]:
    """Lay out sample submissions as ``nbgrader collect`` would, and return the students' names.

    There are as many students as samples, each called after one, or ``students``, some of whom
    hand in what others do. What one has handed in already stays. Raises ``StoreError``.
    """
    found = samples(challenge)
    rounds = range(1, -(-(students or len(found)) // len(found)) + 1)
    named = {f"{name}-{n}" if n > 1 else name: found[name] for n in rounds for name in found}
    chosen = list(named)[: students or len(found)]
    for student in chosen:
        if not (place := submitted / student / challenge.slug).exists():
            _hand_in(named[student], place)
    return chosen


def _hand_in(sample: Submission, place: Path) -> None:
    try:
        if sample.folder is None:
            place.mkdir(parents=True)
            shutil.copyfile(sample.notebook, place / f"{place.name}.ipynb")
        else:
            shutil.copytree(sample.folder, place)
        (place / TIMESTAMP).write_text(dt.datetime.now(dt.UTC).strftime(SENT))
        (place / NAMED_BY).write_text(secrets.token_hex())
    except OSError as error:
        raise StoreError(f"{place}: can't be written ({error.strerror}).") from None


def promise(path: Path) -> Promise:
    """What the sample in a notebook promises; raises ``PackError`` if it doesn't say."""
    try:
        return msgspec.convert(notebook.read(path).metadata.get(KEY), Promise)
    except (msgspec.ValidationError, NotebookError) as error:
        raise PackError(
            f"{path}: its metadata {KEY!r} must promise what it earns: {error}"
        ) from None
