"""A challenge's sample submissions, and the verdict, tier and points that each must earn."""

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
    """The result that a sample must earn, from its notebook's ``tinytorch_compete`` metadata.

    ``points`` is a closed range; ``tier`` and ``division`` are empty if it must not reach one.
    """

    verdict: Verdict
    points: tuple[float, float]
    tier: str = ""
    division: str = ""
    dataset: str | None = None


def samples(challenge: Challenge) -> dict[str, Submission]:
    """Return a challenge's sample submissions by name; raises ``PackError`` if there are none.

    A sample is a notebook, or a folder with a notebook and other files.
    """
    root = challenge.grader_folder / "submissions"
    submissions = {}
    for path in sorted(root.iterdir()) if root.is_dir() else []:
        if path.is_dir():
            submissions[path.name] = Submission(path.name, path / f"{challenge.slug}.ipynb", path)
        elif path.suffix == ".ipynb":
            submissions[path.stem] = Submission(path.stem, path)
    if not submissions:
        raise PackError(
            f"{root}: no sample submissions; they are in a checkout of the pack, not in a wheel."
        )
    return submissions


def hand_in(challenge: Challenge, submitted: Path, students: int | None = None) -> list[str]:
    """Lay out sample submissions as ``nbgrader collect`` would, and return the students' names.

    Students are named after samples. There are as many as samples unless ``students`` gives another
    number; if it is larger, some hand in the same sample. A submission that exists already is kept.
    Raises ``StoreError``.
    """
    by_name = samples(challenge)
    count = students or len(by_name)
    rounds = range(1, -(-count // len(by_name)) + 1)
    by_student = {
        f"{name}-{n}" if n > 1 else name: by_name[name] for n in rounds for name in by_name
    }
    names = list(by_student)[:count]
    for student in names:
        if not (place := submitted / student / challenge.slug).exists():
            _hand_in(by_student[student], place)
    return names


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
    """Return the promise in a sample's notebook; raises ``PackError`` if it has none."""
    try:
        return msgspec.convert(notebook.read(path).metadata.get(KEY), Promise)
    except (msgspec.ValidationError, NotebookError) as error:
        raise PackError(
            f"{path}: its metadata {KEY!r} must say what the sample earns: {error}"
        ) from None
