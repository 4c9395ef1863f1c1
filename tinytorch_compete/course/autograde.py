"""Plug-ins of ``nbgrader autograde``: our reader, and our judge in place of nbgrader's kernel."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode, v4
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import Execute, NbGraderPreprocessor
from traitlets import Bool, Dict, Integer, List, Unicode
from traitlets.config import LoggingConfigurable

from tinytorch_compete.challenges import packs
from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.course import class_grading, folder, plain_assignments, team_scores
from tinytorch_compete.course.class_grading import ClassGrading, Observer
from tinytorch_compete.course.gradebook_contract import NoGradebook
from tinytorch_compete.course.graded_copy import add_checksums, earlier_copy, graded_notebook
from tinytorch_compete.course.team_scores import Places
from tinytorch_compete.errors import CompeteError, Fault, PackError
from tinytorch_compete.feedback import notebook
from tinytorch_compete.grading.engine import LocalEngine
from tinytorch_compete.grading.pipeline import Graded
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import Result, Verdict
from tinytorch_compete.participants import roster_file
from tinytorch_compete.participants.roster import Roster, counted
from tinytorch_compete.results.folder import NAME, ResultsFolder
from tinytorch_compete.sandbox.local import LocalSandbox
from tinytorch_compete.submissions import submission
from tinytorch_compete.submissions.snapshot import Snapshot, cover

# nbgrader can be configured to wait forever; a sandbox can't.
UNLIMITED_S = 3600


class CompeteCourse(LoggingConfigurable):  # type: ignore[misc]
    """The settings of a course's challenges, from its ``nbgrader_config.py``."""

    challenges = List(Unicode(), help="The assignments that are challenges.").tag(config=True)
    packs = List(
        Unicode(), help="Folders with more challenges, absolute or from the course's folder."
    ).tag(config=True)
    datasets = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        help="The data set of each challenge; defaults to its first one.",
    ).tag(config=True)
    results = Unicode(
        NAME, help="The folder of results, absolute or from the course's folder."
    ).tag(config=True)
    class_figures = Bool(
        False, help="Whether feedback says where its figures stand in the class, without names."
    ).tag(config=True)
    suggestions = Bool(
        True, help="Whether each submission is profiled and fixes are tried, for its feedback."
    ).tag(config=True)
    plain_memory_mib = Integer(
        1024, help="The memory cap of assignments that aren't challenges."
    ).tag(config=True)

    def chosen(self, root: Path) -> dict[str, Challenge]:
        """Return the challenges of the course in a folder; raises ``PackError``."""
        challenges = packs.find(root / name for name in self.packs)
        return {slug: packs.resolve(challenges, slug) for slug in self.challenges}

    def results_folder(self, root: Path) -> ResultsFolder:
        """Return the results folder of the course in a folder."""
        return ResultsFolder(root / str(self.results))


class PregradedAutograde(Autograde):  # type: ignore[misc]
    """nbgrader's own autograding of one submission that was run and judged before."""

    plan: Plan
    graded_copy: NotebookNode | None = None
    force = True

    def init_notebooks(self) -> None:
        """Accept the one submission, whatever its notebook is called and however broken it is."""
        place = self._format_source(self.coursedir.assignment_id, self.coursedir.student_id)
        name = f"{self.coursedir.assignment_id}.ipynb"
        self.assignments = {place: [os.path.join(place, name)]}


def take_misnamed(notebooks: list[str], **_: object) -> None:
    """Make nbgrader grade a challenge's submission, whatever its notebook is called.

    nbgrader calls this in the course's folder with the paths that it found for one student, and
    continues with the list as this leaves it. Without the name that it expects it would grade
    nothing.
    """
    place = Path(notebooks[0]).parent
    expected = place / f"{place.name}.ipynb"
    if place.name in folder.chosen(Path()) and str(expected) not in notebooks:
        notebooks[:] = [str(expected)]


class CompeteExporter(NotebookExporter):  # type: ignore[misc]
    """Reads an assignment's notebooks as nbgrader does, except those of a challenge.

    Only ``CompeteJudge`` reads those, with suspicion: nothing that a student wrote, not even a
    broken file, reaches nbgrader's own preprocessors.
    """

    def from_filename(
        self, filename: str, resources: dict[str, Any] | None = None, **kwargs: Any
    ) -> tuple[str, dict[str, Any]]:
        """Return the notebook as text, after all preprocessors; an empty one for a challenge."""
        assert resources is not None
        if resources["nbgrader"]["assignment"] in CompeteCourse(parent=self).challenges:
            exported = self.from_notebook_node(v4.new_notebook(), resources, **kwargs)
        else:
            exported = super().from_filename(filename, resources, **kwargs)
        text, exported_resources = exported
        return text, exported_resources


class CompeteJudge(NbGraderPreprocessor):  # type: ignore[misc]
    """Grades a challenge's submission by our own route; its kernel has ended on return."""

    def preprocess(
        self, nb: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Return the graded copy of the student's notebook; raises ``CompeteError``."""
        facts = resources["nbgrader"]
        converter = self.parent.parent
        if facts["assignment"] not in CompeteCourse(parent=self).challenges:
            return self._execute(nb, converter.coursedir, facts), resources
        if (graded_copy := getattr(converter, "graded_copy", None)) is not None:
            checksums = released(facts["db_url"], converter.plan)
            return add_checksums(graded_copy, checksums), resources
        return self._graded(converter.coursedir, facts), resources

    def _execute(
        self, nb: NotebookNode, coursedir: CourseDirectory, facts: dict[str, str]
    ) -> NotebookNode:
        """Run an assignment that isn't a challenge, under nbgrader's own time limit for a cell."""
        place = Path(coursedir.format_path(coursedir.autograded_directory, *_whose(facts)))
        memory_mib = CompeteCourse(parent=self).plain_memory_mib
        timeout = Execute(parent=self).timeout
        cell_s = timeout if timeout and timeout > 0 else UNLIMITED_S

        def run(sandbox: LocalSandbox) -> NotebookNode:
            return plain_assignments.execute(nb, place, memory_mib, cell_s, sandbox)

        sandbox = LocalSandbox()
        try:
            return next(LocalEngine(1).map(run, [sandbox]))
        except BaseException:
            sandbox.stop()
            raise

    def _graded(self, coursedir: CourseDirectory, facts: dict[str, str]) -> NotebookNode:
        """Grade a submission and return its graded copy.

        A submission that dates or quota refuse gets the graded copy of the earlier grade. Raises
        ``CompeteError`` for a fault of ours, and for a refused submission without an earlier grade.
        """
        course, root = CompeteCourse(parent=self), Path(coursedir.root)
        student, slug = _whose(facts)
        results = course.results_folder(root)
        gradebook, notes = GradebookInProgress(places(coursedir, slug)), _Notes(self.log)
        session = ClassGrading(
            plan=_plan(course.chosen(root)[slug], results, course.datasets.get(slug)),
            folder=results,
            sandbox=LocalSandbox(),
            gradebook=gradebook,
            observer=notes,
            suggestions=bool(course.suggestions),
            class_figures=bool(course.class_figures),
            workers=1,
        )
        submitted = Path(coursedir.format_path(coursedir.submitted_directory, student, slug))
        works = submission.find(submitted.parents[1], slug)
        covers = [Snapshot(work, contents=cover(work)) for work in works]
        class_grading.grade(session, covers, again=True, only={student})
        return _copy(session, gradebook, student, notes.refusal)


class GradebookInProgress(NoGradebook):
    """The gradebook of a course while nbgrader itself is recording one student's grade.

    That grade is left to nbgrader; teammates get their points from here.
    """

    def __init__(self, where: Places) -> None:
        self.where = where
        self.checksums: dict[str, str] = {}
        self.last: Graded | None = None

    def check(self, plan: Plan) -> None:
        """See ``Gradebook.check``."""
        self.checksums = released(self.where.db_url, plan)

    def record(self, plan: Plan, graded: Graded) -> None:
        """Keep the grade that nbgrader is about to record."""
        self.last = graded

    def level(
        self,
        plan: Plan,
        latest: Sequence[Result],
        roster: Roster,
        students: Collection[str] | None = None,
    ) -> None:
        """See ``Gradebook.level``."""
        if roster.teams:
            team_scores.level(self.where, plan, latest, roster, self.checksums, students)


class _Notes(Observer):
    """Logs for staff, in nbgrader's log, what is wrong with a submission."""

    def __init__(self, log: logging.Logger) -> None:
        self.log, self.refusal = log, ""

    def refused(self, student: str, reason: str) -> None:
        self.log.warning(f"not graded: {student}: {reason}.")
        self.refusal = reason

    def undated(self, students: Sequence[str]) -> None:
        names = ", ".join(students)
        self.log.warning(f"no time of sending, so dates and quota can't be checked: {names}")

    def misnamed(self, student: str, sentence: str) -> None:
        self.log.warning(f"{student}: {sentence}")


def _copy(
    session: ClassGrading, gradebook: GradebookInProgress, student: str, refusal: str
) -> NotebookNode:
    """Return the graded copy that nbgrader records: of this call's grade, or of the one before.

    Raises ``Fault`` if grading failed, and ``CompeteError`` if the submission was refused and there
    is no earlier grade.
    """
    plan, slug = session.plan, session.plan.challenge.slug
    roster = roster_file.read(session.folder, slug)
    with contextlib.closing(session.folder.store()) as store:
        latest = store.latest(slug)
    own = {result.identity.student: result for result in latest}.get(student)
    counting = {result.identity.student: result for result in counted(roster, latest)}.get(student)
    graded = gradebook.last
    result = graded.result if graded else own or counting
    if result is None or (graded is None and result.verdict == Verdict.FAULT):
        raise CompeteError(f"not graded: {student}: {refusal}.")
    if result.verdict == Verdict.FAULT:
        raise Fault(result.message)
    if graded:
        copy = graded_notebook(plan, graded, roster)
    else:
        copy = earlier_copy(plan, result, session.folder.feedback(result.identity), roster)
    add_checksums(copy, gradebook.checksums)
    notebook.with_class(copy, class_grading.class_section(session, result, latest, roster))
    if roster.teams and counting is not None:
        is_own = own is not None and counting.identity == own.identity
        copy = team_scores.mark(copy, plan, counting, is_own, roster)
    return copy


def places(coursedir: CourseDirectory, slug: str) -> Places:
    """Return where the course keeps the gradebook and the files of each student."""

    def submitted(student: str) -> Path:
        return Path(coursedir.format_path(coursedir.submitted_directory, student, slug))

    def graded(student: str) -> Path:
        folder = coursedir.format_path(coursedir.autograded_directory, student, slug)
        return Path(folder) / f"{slug}.ipynb"

    return Places(str(coursedir.db_url), submitted, graded)


def _whose(facts: dict[str, str]) -> tuple[str, str]:
    return facts["student"], facts["assignment"]


def _plan(challenge: Challenge, folder: ResultsFolder, dataset: str | None) -> Plan:
    """Return the plan of a challenge, computed once for as long as its files stay the same."""
    shas = challenge.challenge_sha(), challenge.grader_sha()
    return _cached_plan(challenge, folder, dataset, shas)


@functools.lru_cache(maxsize=4)
def _cached_plan(
    challenge: Challenge, folder: ResultsFolder, dataset: str | None, _: tuple[str, str]
) -> Plan:
    return Plan.of(challenge, folder.secret(), dataset=dataset)


def released(db_url: str, plan: Plan) -> dict[str, str]:
    """Return nbgrader's checksums of a challenge's released cells, by their ids.

    Raises ``PackError`` if the gradebook's cells or their points aren't the challenge's.
    """
    slug = plan.challenge.slug
    with Gradebook(db_url) as gradebook:
        notebook_row = gradebook.find_notebook(slug, slug)
        max_scores = {cell.name: cell.max_score for cell in notebook_row.grade_cells}
        checksums = {cell.name: cell.checksum for cell in notebook_row.source_cells}
    if {name: max_scores.get(name) for name in plan.points} != plan.points:
        raise PackError(
            f"{slug}: the gradebook has other grading cells or points than the challenge. Was it "
            f"changed after its release? Run: tito compete course release {slug}"
        )
    return checksums
