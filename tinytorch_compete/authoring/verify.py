"""Sample submissions must earn the verdict, tier and points that their own metadata promise."""

from __future__ import annotations

import datetime as dt
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tinytorch_compete.challenges.packs import Entry
from tinytorch_compete.errors import NotebookError, PackError, StoreError
from tinytorch_compete.grading import pipeline, plan
from tinytorch_compete.model import Result, Verdict
from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.submissions import notebook
from tinytorch_compete.submissions.submission import SENT, TIMESTAMP, Submission

KEY = "tinytorch_compete"
# Any secret does; a fixed one makes a verification come out the same twice.
SECRET = b"the secret of verifications only"
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


class Check(msgspec.Struct, frozen=True):
    """How one sample did: ``what`` is what it earned, and what it promised where that differs."""

    name: str
    verdict: Verdict
    holds: bool
    what: str


def samples(entry: Entry) -> dict[str, Submission]:
    """A challenge's sample submissions by name: single notebooks, or folders with one and files."""
    root = entry.grader_folder / "submissions"
    found = {}
    for path in sorted(root.iterdir()) if root.is_dir() else []:
        if path.is_dir():
            found[path.name] = Submission(path.name, path / f"{entry.slug}.ipynb", path)
        elif path.suffix == ".ipynb":
            found[path.stem] = Submission(path.stem, path)
    if not found:
        raise PackError(
            f"{root}: no sample submissions; they are in a checkout of the pack, not in a wheel."
        )
    return found


def hand_in(entry: Entry, submitted: Path, students: int | None = None) -> list[str]:
    """Lay out sample submissions as ``nbgrader collect`` would, and return the students' names.

    There are as many students as samples, each called after one, or ``students``, some of whom
    hand in what others do. What one has handed in already stays. Raises ``StoreError``.
    """
    found = samples(entry)
    rounds = range(1, -(-(students or len(found)) // len(found)) + 1)
    named = {f"{name}-{n}" if n > 1 else name: found[name] for n in rounds for name in found}
    chosen = list(named)[: students or len(found)]
    for student in chosen:
        if not (place := submitted / student / entry.slug).exists():
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


def verify(entry: Entry, sandbox: Sandbox) -> Iterator[Check]:
    """Grade every sample submission of a challenge and compare; raises ``CompeteError``."""
    plans: dict[str | None, plan.Plan] = {}
    for name, sample in samples(entry).items():
        promised = promise(sample.notebook)
        if promised.dataset not in plans:
            plans[promised.dataset] = plan.Plan(entry, SECRET, dataset=promised.dataset, seeds=1)
        result = pipeline.grade(plans[promised.dataset], sample, sandbox).result
        yield check(name, promised, result)


def check(name: str, promised: Promise, result: Result) -> Check:
    """Compare a result with a promise."""
    low, high = promised.points
    points = -1.0 if result.points is None else result.points
    differences = [
        f"{what} promised {wanted or 'none'}"
        for what, wanted, got in (
            ("verdict", promised.verdict, result.verdict),
            ("tier", promised.tier, result.tier),
            ("division", promised.division, result.division),
        )
        if wanted != got
    ]
    differences += [] if low <= points <= high else [f"points promised {low:g} to {high:g}"]
    earned = [f"{points:g} points", result.tier, result.division, f"{result.peak_mib:.0f} MiB"]
    earned += [
        f"{result.wall_s:.1f} s",
        result.message if result.verdict == Verdict.FAULT else result.message[:80],
    ]
    what = ", ".join(part for part in [*earned, *differences] if part)
    return Check(name, result.verdict, not differences, what)
