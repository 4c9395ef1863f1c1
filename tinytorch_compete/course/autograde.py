"""What ``nbgrader autograde`` is told to use: our reader, and our judge in place of its kernel."""

from __future__ import annotations

import functools
import os
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
from tinytorch_compete.course import folder, plain_assignments, team_scores
from tinytorch_compete.course.graded_copy import add_checksums, graded_notebook
from tinytorch_compete.course.team_scores import Places
from tinytorch_compete.errors import Fault, PackError
from tinytorch_compete.feedback import class_position, notebook, writer
from tinytorch_compete.grading import batch
from tinytorch_compete.grading.engine import LocalEngine
from tinytorch_compete.grading.pipeline import Graded
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import Verdict
from tinytorch_compete.participants import roster, roster_file
from tinytorch_compete.results.folder import DATABASE, FOLDER, SECRET, feedback_path, secret
from tinytorch_compete.results.store import Store
from tinytorch_compete.sandbox.local import LocalSandbox
from tinytorch_compete.submissions import submission

# nbgrader can be told to wait for ever; a sandbox can't.
UNLIMITED_S = 3600


class CompeteCourse(LoggingConfigurable):  # type: ignore[misc]
    """What a course's ``nbgrader_config.py`` says about its challenges."""

    challenges = List(Unicode(), help="The assignments that are challenges.").tag(config=True)
    packs = List(
        Unicode(), help="Folders with more challenges, absolute or from the course's folder."
    ).tag(config=True)
    datasets = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        help="The data set of each challenge; its first one if it isn't named here.",
    ).tag(config=True)
    results = Unicode(
        FOLDER, help="The folder of results, absolute or from the course's folder."
    ).tag(config=True)
    class_figures = Bool(
        False, help="Whether feedback says where its figures stand in the class, without names."
    ).tag(config=True)
    plain_memory_mib = Integer(
        1024, help="The memory cap of assignments that are no challenges."
    ).tag(config=True)

    def entries(self, root: Path) -> dict[str, Challenge]:
        """The challenges of the course in that folder; raises ``PackError``."""
        found = packs.find(root / name for name in self.packs)
        return {slug: packs.resolve(found, slug) for slug in self.challenges}

    def place(self, root: Path) -> Path:
        """The folder of results of the course in that folder."""
        return root / str(self.results)


class PregradedAutograde(Autograde):  # type: ignore[misc]
    """nbgrader's own autograding of one submission that is run and judged already."""

    plan: Plan
    made: NotebookNode | None = None
    force = True

    def init_notebooks(self) -> None:
        """Take the one submission, whatever its notebook is called and however broken it is."""
        place = self._format_source(self.coursedir.assignment_id, self.coursedir.student_id)
        name = f"{self.coursedir.assignment_id}.ipynb"
        self.assignments = {place: [os.path.join(place, name)]}


def take_misnamed(notebooks: list[str], **_: object) -> None:
    """Have a challenge's submission graded by nbgrader, whatever its notebook is called.

    nbgrader calls this in the course's folder with the paths that it found for one student, and
    goes on with what is in the list then. Without the name that it knows it would grade nothing.
    """
    place = Path(notebooks[0]).parent
    expected = place / f"{place.name}.ipynb"
    if place.name in folder.chosen(Path()) and str(expected) not in notebooks:
        notebooks[:] = [str(expected)]


class CompeteExporter(NotebookExporter):  # type: ignore[misc]
    """Reads an assignment's notebooks as nbgrader does, but none of a challenge's.

    Those are read with suspicion by ``CompeteJudge`` alone: nothing that a student wrote, not even
    a broken file, meets nbgrader's own preprocessors.
    """

    def from_filename(
        self, filename: str, resources: dict[str, Any] | None = None, **kwargs: Any
    ) -> tuple[str, dict[str, Any]]:
        """The notebook as text, after all preprocessors; an empty one for a challenge's."""
        assert resources is not None
        if resources["nbgrader"]["assignment"] in CompeteCourse(parent=self).challenges:
            exported = self.from_notebook_node(v4.new_notebook(), resources, **kwargs)
        else:
            exported = super().from_filename(filename, resources, **kwargs)
        text, made = exported
        return text, made


class CompeteJudge(NbGraderPreprocessor):  # type: ignore[misc]
    """Grades a challenge's submission by our own route; the kernel is gone when this returns."""

    def preprocess(
        self, nb: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """The graded copy of the student's notebook; raises ``CompeteError``."""
        facts = resources["nbgrader"]
        converter = self.parent.parent
        if facts["assignment"] not in CompeteCourse(parent=self).challenges:
            return self._execute(nb, converter.coursedir, facts), resources
        if getattr(converter, "made", None) is not None:
            checksums = released(facts["db_url"], converter.plan)
            return add_checksums(converter.made, checksums), resources
        plan, graded, section = self._grade(converter.coursedir, facts)
        checksums = released(facts["db_url"], plan)
        place = CompeteCourse(parent=self).place(Path(converter.coursedir.root))
        known = roster_file.read(place, facts["assignment"])
        made = add_checksums(graded_notebook(plan, graded, known), checksums)
        notebook.with_class(made, section)
        if known.teams:
            made = self._level(made, plan, converter.coursedir, facts["student"], checksums)
        return made, resources

    def _execute(
        self, nb: NotebookNode, coursedir: CourseDirectory, facts: dict[str, str]
    ) -> NotebookNode:
        """An assignment that is no challenge, run under nbgrader's own time limit for a cell."""
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

    def _level(
        self,
        made: NotebookNode,
        plan: Plan,
        coursedir: CourseDirectory,
        student: str,
        checksums: dict[str, str],
    ) -> NotebookNode:
        """The graded copy with the points of the student's team; its other members get them now."""
        slug = plan.challenge.slug
        place = CompeteCourse(parent=self).place(Path(coursedir.root))
        known = roster_file.read(place, slug)
        kept = Store(place / DATABASE)
        latest = kept.latest(slug)
        kept.close()
        where = places(coursedir, slug)
        team_scores.level(where, plan, latest, known, checksums, known.side(student))
        own = {result.identity.student: result.identity for result in latest}
        counts = {r.identity.student: r for r in roster.counted(known, latest)}[student]
        return team_scores.mark(made, plan, counts, counts.identity == own[student], known)

    def _grade(self, coursedir: CourseDirectory, facts: dict[str, str]) -> tuple[Plan, Graded, str]:
        """One submission graded here and now, and what its feedback says of the class."""
        course, root = CompeteCourse(parent=self), Path(coursedir.root)
        place, slug = course.place(root), facts["assignment"]
        challenge = course.entries(root)[slug]
        dataset = course.datasets.get(slug)
        plan = _plan(challenge, place, dataset, challenge.challenge_sha(), challenge.grader_sha())
        path = coursedir.format_path(coursedir.submitted_directory, *_whose(facts))
        work = submission.at(Path(path), slug)
        known = roster_file.update(
            place, challenge, submission.find(Path(path).parent.parent, slug)
        )
        if said := submission.misnamed(work, slug):
            self.log.warning(f"{work.student}: {said}")
        made: list[Graded] = []

        def keep(graded: Graded) -> None:
            writer.write_feedback(plan, graded, place)
            made.append(graded)

        kept = Store(place / DATABASE)
        # In a thread of an engine: formgrader calls this from inside an event loop.
        list(batch.grade_class(plan, [work], LocalSandbox(), LocalEngine(1), kept, keep))
        latest = kept.latest(slug) if course.class_figures else []
        kept.close()
        result = made[0].result
        if result.verdict == Verdict.FAULT:
            raise Fault(result.message)
        if not course.class_figures:
            return plan, made[0], ""
        path, others = (
            feedback_path(place, result.identity),
            roster.sharing(known, slug, latest),
        )
        writer.place_in_class(challenge.spec, result, others, path, allowed=True)
        return plan, made[0], class_position.section(challenge.spec, result, others)


def places(coursedir: CourseDirectory, slug: str) -> Places:
    """Where the course keeps what teams are levelled in."""

    def submitted(student: str) -> Path:
        return Path(coursedir.format_path(coursedir.submitted_directory, student, slug))

    def graded(student: str) -> Path:
        folder = coursedir.format_path(coursedir.autograded_directory, student, slug)
        return Path(folder) / f"{slug}.ipynb"

    return Places(str(coursedir.db_url), submitted, graded)


def _whose(facts: dict[str, str]) -> tuple[str, str]:
    return facts["student"], facts["assignment"]


@functools.lru_cache(maxsize=4)
def _plan(challenge: Challenge, place: Path, dataset: str | None, *_: str) -> Plan:
    """The plan of one challenge, made once as long as its files are the same."""
    return Plan(challenge, secret(place / SECRET), dataset=dataset)


def released(db_url: str, plan: Plan) -> dict[str, str]:
    """nbgrader's checksums of a challenge's released cells, by their ids.

    Raises ``PackError`` if the gradebook's cells or their points aren't the challenge's.
    """
    slug = plan.challenge.slug
    with Gradebook(db_url) as gradebook:
        found = gradebook.find_notebook(slug, slug)
        worth = {cell.name: cell.max_score for cell in found.grade_cells}
        checksums = {cell.name: cell.checksum for cell in found.source_cells}
    if {name: worth.get(name) for name in plan.points} != plan.points:
        raise PackError(
            f"{slug}: the gradebook has other grading cells or points than the challenge. Was it "
            f"changed after its release? Run: tito compete course release {slug}"
        )
    return checksums
