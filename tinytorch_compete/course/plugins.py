"""Plug-ins for nbgrader: unpack archives from an LMS, and export the results table."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import pandas as pd
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.plugins import ExportPlugin, ExtractorPlugin

from tinytorch_compete.course import archives
from tinytorch_compete.course.autograde import CompeteCourse
from tinytorch_compete.errors import NotebookError
from tinytorch_compete.model import Result
from tinytorch_compete.participants import roster_file
from tinytorch_compete.participants.roster import counted
from tinytorch_compete.results.folder import ResultsFolder
from tinytorch_compete.results.table import frame, harmless


class SafeExtractor(ExtractorPlugin):  # type: ignore[misc]
    """Unpacks ``downloaded/ASSIGNMENT/archive`` for ``nbgrader zip_collect``, with suspicion.

    An archive that is refused is logged in one line and left out; the others are collected.
    """

    def extract(self, archive_path: str, extracted_path: str) -> None:
        """Unpack each zip into a folder of its name, and copy every other plain file."""
        for folder, _, names in os.walk(archive_path):
            place = Path(extracted_path, os.path.relpath(folder, archive_path))
            place.mkdir(parents=True, exist_ok=True)
            for path in (Path(folder, name) for name in sorted(names)):
                if path.suffix == archives.ENDING:
                    self._unpack(path, place / path.stem)
                elif path.is_symlink() or not path.is_file():
                    self.log.error("Refused: %s: a link or special file", path)
                else:
                    shutil.copy(path, place)

    def _unpack(self, path: Path, place: Path) -> None:
        try:
            archives.extract(path, place)
        except NotebookError as error:
            self.log.error("Refused: %s", error)


class ResultsExport(ExportPlugin):  # type: ignore[misc]
    """Exports the results table for ``nbgrader export``, with the gradebook's score in each row.

    ``score`` is nbgrader's, including manual grading and with ``late_submission_penalty``
    subtracted; both are empty where the gradebook has no such submission.
    """

    def export(self, gradebook: Gradebook) -> None:
        """Write the table as CSV to the file that ``--to`` names, or ``results.csv``."""
        root = Path(self.parent.coursedir.root)
        results = self._selected(_counting(CompeteCourse(parent=self).results_folder(root)))
        rows = [_score(gradebook, r.identity.challenge, r.identity.student) for r in results]
        scores = pd.DataFrame(rows, columns=["score", "late_submission_penalty"])
        path = self.to or "results.csv"
        self.log.info("Exporting the results table to %s", path)
        harmless(pd.concat([frame(results), scores], axis=1)).to_csv(path, index=False)

    def _selected(self, results: list[Result]) -> list[Result]:
        """Return the results of the students and assignments that the command names, or all."""
        return [
            result
            for result in results
            if result.identity.student in (self.student or [result.identity.student])
            and result.identity.challenge in (self.assignment or [result.identity.challenge])
        ]


def _counting(folder: ResultsFolder) -> list[Result]:
    """Return the result that counts for each student in each challenge."""
    with contextlib.closing(folder.store()) as store:
        latest = store.latest()
    return [
        result
        for slug in dict.fromkeys(result.identity.challenge for result in latest)
        for result in counted(
            roster_file.read(folder, slug), (r for r in latest if r.identity.challenge == slug)
        )
    ]


def _score(gradebook: Gradebook, slug: str, student: str) -> tuple[float | None, float | None]:
    """Return a submission's score and late penalty in the gradebook, if it is there."""
    try:
        submitted = gradebook.find_submission(slug, student)
    except MissingEntry:
        return None, None
    penalty = submitted.late_submission_penalty or 0.0
    return max(0.0, submitted.score - penalty), penalty
