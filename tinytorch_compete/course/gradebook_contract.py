"""The interface between grading a class and the gradebook that records its grades."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

from tinytorch_compete.grading.pipeline import Graded
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import Result
from tinytorch_compete.participants.roster import Roster


class Gradebook(Protocol):
    """Records grades beside the results folder; use it from one thread."""

    def check(self, plan: Plan) -> None:
        """Raise ``CompeteError`` if grades under this plan can't be recorded."""
        ...

    def has(self, student: str, slug: str) -> bool:
        """Return whether a student's grade is recorded."""
        ...

    def record(self, plan: Plan, graded: Graded) -> None:
        """Record a grade; a fault of ours has no points and is not recorded.

        Raises ``StoreError``.
        """
        ...

    def level(
        self,
        plan: Plan,
        latest: Sequence[Result],
        roster: Roster,
        students: Collection[str] | None = None,
    ) -> None:
        """Give the members of each team the points that count for them.

        ``latest`` has each student's newest result. Only the teams of ``students`` are updated;
        ``None`` means all. Raises ``StoreError``.
        """
        ...

    def graded_copy(self, student: str, slug: str) -> Path | None:
        """Return the graded copy that students see beside their feedback; ``None`` if none."""
        ...


class NoGradebook:
    """Records nothing: grades are in the results folder alone."""

    def check(self, plan: Plan) -> None:
        """See ``Gradebook.check``."""

    def has(self, student: str, slug: str) -> bool:
        """See ``Gradebook.has``."""
        return True

    def record(self, plan: Plan, graded: Graded) -> None:
        """See ``Gradebook.record``."""

    def level(
        self,
        plan: Plan,
        latest: Sequence[Result],
        roster: Roster,
        students: Collection[str] | None = None,
    ) -> None:
        """See ``Gradebook.level``."""

    def graded_copy(self, student: str, slug: str) -> Path | None:
        """See ``Gradebook.graded_copy``."""
        return None
