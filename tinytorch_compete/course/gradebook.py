"""nbgrader's gradebook, which nbgrader's own code fills with our grades."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps import NbGrader
from nbgrader.converters.base import NbGraderException
from sqlalchemy.exc import SAWarning

from tinytorch_compete.course import config, folder, team_scores
from tinytorch_compete.course.autograde import CompeteCourse, PregradedAutograde, places, released
from tinytorch_compete.course.graded_copy import graded_notebook
from tinytorch_compete.errors import StoreError
from tinytorch_compete.grading.pipeline import Graded
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import Result
from tinytorch_compete.participants import roster_file
from tinytorch_compete.participants.roster import Roster
from tinytorch_compete.results.folder import ResultsFolder


class CourseGradebook:
    """The gradebook and the graded copies of one course; use it from one thread.

    nbgrader works in the course's folder, so the process's current folder changes while a grade is
    being recorded: paths that other threads use have to be absolute. Raises ``StoreError`` if the
    folder isn't a course.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        if not (self.root / config.NAME).exists():
            raise StoreError(
                f"{root}: not a course; it has no {config.NAME}. Create one: "
                f"tito compete course init {root}"
            )
        self._app = NbGrader(
            log_level=logging.ERROR
        )  # otherwise it logs where it looks for settings
        self._app.initialize([], root=str(self.root))
        self._app.log.handlers.clear()
        self._app.log.propagate = False
        self._settings = CompeteCourse(parent=self._app)
        self._coursedir = self._app.coursedir

    @property
    def packs(self) -> list[Path]:
        """Return the packs that the course's configuration names."""
        return [self.root / name for name in self._settings.packs]

    @property
    def results(self) -> ResultsFolder:
        """Return the course's results folder."""
        return self._settings.results_folder(self.root)

    @property
    def class_figures(self) -> bool:
        """Return whether feedback in this course may say where a result stands in the class."""
        return bool(self._settings.class_figures)

    @property
    def suggestions(self) -> bool:
        """Return whether feedback in this course has profiles and suggestions."""
        return bool(self._settings.suggestions)

    @property
    def submitted(self) -> Path:
        """Return the folder that ``nbgrader collect`` fills."""
        return self.root / str(self._coursedir.submitted_directory)

    def dataset(self, slug: str) -> str | None:
        """Return the data set that the course's configuration names for a challenge, if any."""
        datasets: dict[str, str] = self._settings.datasets
        return datasets.get(slug)

    def check(self, plan: Plan) -> None:
        """Raise ``CompeteError`` if the challenge isn't released, or has changed since."""
        slug = plan.challenge.slug
        try:
            with _environment():
                released(self._coursedir.db_url, plan)
        except MissingEntry:
            raise StoreError(
                f"{self.root}: its gradebook doesn't know {slug!r} yet; run: "
                f"tito compete course release {slug} --course {self.root}"
            ) from None

    def has(self, student: str, slug: str) -> bool:
        """Return whether a student has a graded copy."""
        return self.graded_copy(student, slug).exists()

    def record(self, plan: Plan, graded: Graded) -> None:
        """Write whatever ``nbgrader autograde`` writes for a graded submission; see ``take``.

        A fault of ours has no points and is not written. Raises ``StoreError``.
        """
        if graded.result.points is not None:
            student = graded.result.identity.student
            roster = roster_file.read(self.results, plan.challenge.slug)
            self.take(plan, student, graded_notebook(plan, graded, roster))

    def take(self, plan: Plan, student: str, graded_copy: NotebookNode) -> None:
        """Write a graded copy and its grades into the gradebook, as ``nbgrader autograde`` does.

        Raises ``StoreError``.
        """
        self._coursedir.student_id = student
        self._coursedir.assignment_id = plan.challenge.slug
        converter = PregradedAutograde(coursedir=self._coursedir, parent=self._app)
        converter.plan, converter.graded_copy = plan, graded_copy
        log = _LastTraceback()
        self._app.log.addHandler(log)
        try:
            with warnings.catch_warnings():
                # Otherwise the TA gets sqlalchemy's warnings on nbgrader's queries per student.
                warnings.simplefilter("ignore", SAWarning)
                converter.start()
        except NbGraderException:
            raise StoreError(
                f"{self.root}: nbgrader could not record the grade of "
                f"{student!r} in {plan.challenge.slug!r}: {log.last_line}"
            ) from None
        finally:
            self._app.log.removeHandler(log)

    def level(
        self,
        plan: Plan,
        latest: Sequence[Result],
        roster: Roster,
        students: Collection[str] | None = None,
    ) -> None:
        """Give the members of each team the points that count for them; see ``Gradebook.level``."""
        with _environment():
            checksums = released(self._coursedir.db_url, plan)
            where = places(self._coursedir, plan.challenge.slug)
            team_scores.level(where, plan, latest, roster, checksums, students)

    def scores(self, slug: str) -> dict[tuple[str, str], float | None]:
        """Return the gradebook's automatic scores, by student and cell."""
        with Gradebook(self._coursedir.db_url) as gradebook:
            return {
                (submitted.student_id, grade.cell.name): grade.auto_score
                for submitted in gradebook.assignment_submissions(slug)
                for notebook in submitted.notebooks
                for grade in notebook.grades
            }

    def graded_copy(self, student: str, slug: str) -> Path:
        """Return the path of nbgrader's graded copy of a student's submission."""
        place = self._coursedir.format_path(self._coursedir.autograded_directory, student, slug)
        return Path(place) / f"{slug}.ipynb"


class _LastTraceback(logging.Handler):
    """Keeps the last line of the last traceback that nbgrader logged."""

    last_line = ""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage().strip()
        if text.startswith("Traceback"):
            self.last_line = text.rpartition("\n")[2]


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """Let nbgrader find its helper programs by name meanwhile; see ``folder.environment``."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = folder.environment()["PATH"]
    try:
        yield
    finally:
        os.environ["PATH"] = before
