"""Educational competitions for TinyTorch courses, graded in a sandbox from evidence alone."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tinytorch_compete.model import Result

__version__ = "0.1.0"


def grade(
    submission: str | Path,
    challenge: str,
    *,
    packs: Iterable[Path] = (),
    secret: bytes | None = None,
) -> Result:
    """Grade one submission in the sandbox and return its result; nothing is stored.

    ``submission`` is a notebook, or a folder with one and the files beside it. ``challenge`` is a
    slug or an alias, of a built-in challenge or of one in ``packs``. Without a course's ``secret``
    a new one is drawn, so that the holdout is another each time. What is wrong with the submission
    is the result's verdict; raises ``CompeteError`` for all else.
    """
    from tinytorch_compete.grading import (
        api,  # two seconds of imports, which this package alone isn't
    )

    return api.grade(submission, challenge, packs=packs, secret=secret)


def load_ipython_extension(shell: object) -> None:
    """Register the magics with a running kernel: ``%load_ext tinytorch_compete``."""
    # By name: nobody else needs IPython, and what is below the magics imports this file.
    importlib.import_module("tinytorch_compete.jupyter.magics").load_ipython_extension(shell)
