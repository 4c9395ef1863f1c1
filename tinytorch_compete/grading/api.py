"""Grade one submission with one call, for scripts."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from tinytorch_compete.challenges.packs import find, resolve
from tinytorch_compete.errors import NotebookError
from tinytorch_compete.grading import pipeline
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import Result
from tinytorch_compete.sandbox.local import LocalSandbox
from tinytorch_compete.submissions import snapshot
from tinytorch_compete.submissions import submission as submissions
from tinytorch_compete.submissions.submission import Submission


def grade(
    submission: str | Path,
    challenge: str,
    *,
    packs: Iterable[Path] = (),
    secret: bytes | None = None,
) -> Result:
    """See ``tinytorch_compete.grade``."""
    chosen = resolve(find(packs), challenge)
    path = Path(submission).resolve()
    if not path.exists():
        raise NotebookError(f"{submission}: no such notebook or folder.")
    work = submissions.at(path, chosen.slug) if path.is_dir() else Submission(path.stem, path)
    plan = Plan.of(chosen, secret or os.urandom(32))
    return pipeline.grade(plan, snapshot.load(work), LocalSandbox()).result
