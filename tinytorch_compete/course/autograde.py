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
from traitlets import Dict, Integer, List, Unicode
from traitlets.config import LoggingConfigurable

from tinytorch_compete import files, grading, pack, submission
from tinytorch_compete.course import plain, results
from tinytorch_compete.course.graded import graded_notebook
from tinytorch_compete.engine.local import LocalEngine
from tinytorch_compete.errors import Fault, PackError
from tinytorch_compete.grading import Graded, Plan
from tinytorch_compete.model import Verdict
from tinytorch_compete.pack import Entry
from tinytorch_compete.sandbox.local import LocalSandbox
from tinytorch_compete.store import Store

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
        results.FOLDER, help="The folder of results, absolute or from the course's folder."
    ).tag(config=True)
    plain_memory_mib = Integer(
        1024, help="The memory cap of assignments that are no challenges."
    ).tag(config=True)

    def entries(self, root: Path) -> dict[str, Entry]:
        """The challenges of the course in that folder; raises ``PackError``."""
        found = pack.find(root / name for name in self.packs)
        return {slug: pack.resolve(found, slug) for slug in self.challenges}

    def place(self, root: Path) -> Path:
        """The folder of results of the course in that folder."""
        return root / str(self.results)


class Ready(Autograde):  # type: ignore[misc]
    """nbgrader's own autograding of one submission that is run and judged already."""

    plan: Plan
    graded: Graded | None = None
    force = True

    def init_notebooks(self) -> None:
        """Take the one submission, whatever its notebook is called and however broken it is."""
        place = self._format_source(self.coursedir.assignment_id, self.coursedir.student_id)
        name = f"{self.coursedir.assignment_id}.ipynb"
        self.assignments = {place: [os.path.join(place, name)]}


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
        if getattr(converter, "graded", None) is not None:
            plan, graded = converter.plan, converter.graded
        else:
            plan, graded = self._grade(converter.coursedir, facts)
        return graded_notebook(plan, graded, released(facts["db_url"], plan)), resources

    def _execute(
        self, nb: NotebookNode, coursedir: CourseDirectory, facts: dict[str, str]
    ) -> NotebookNode:
        """An assignment that is no challenge, run under nbgrader's own time limit for a cell."""
        folder = Path(coursedir.format_path(coursedir.autograded_directory, *_whose(facts)))
        memory_mib = CompeteCourse(parent=self).plain_memory_mib
        timeout = Execute(parent=self).timeout
        cell_s = timeout if timeout and timeout > 0 else UNLIMITED_S

        def run(sandbox: LocalSandbox) -> NotebookNode:
            return plain.execute(nb, folder, memory_mib, cell_s, sandbox)

        sandbox = LocalSandbox()
        try:
            return next(LocalEngine(1).map(run, [sandbox]))
        except BaseException:
            sandbox.stop()
            raise

    def _grade(self, coursedir: CourseDirectory, facts: dict[str, str]) -> tuple[Plan, Graded]:
        course, root = CompeteCourse(parent=self), Path(coursedir.root)
        place, slug = course.place(root), facts["assignment"]
        entry = course.entries(root)[slug]
        dataset = course.datasets.get(slug)
        plan = _plan(entry, place, dataset, entry.challenge_sha(), entry.grader_sha())
        path = coursedir.format_path(coursedir.submitted_directory, *_whose(facts))
        work = submission.at(Path(path), slug)
        made: list[Graded] = []

        def keep(graded: Graded) -> None:
            results.write_feedback(plan, graded, place)
            made.append(graded)

        kept = Store(place / results.DATABASE)
        # In a thread of an engine: formgrader calls this from inside an event loop.
        list(grading.grade_class(plan, [work], LocalSandbox(), LocalEngine(1), kept, keep))
        kept.close()
        if made[0].result.verdict == Verdict.FAULT:
            raise Fault(made[0].result.message)
        return plan, made[0]


def _whose(facts: dict[str, str]) -> tuple[str, str]:
    return facts["student"], facts["assignment"]


@functools.lru_cache(maxsize=4)
def _plan(entry: Entry, place: Path, dataset: str | None, *_: str) -> Plan:
    """The plan of one challenge, made once as long as its files are the same."""
    return Plan(entry, files.secret(place / results.SECRET), dataset=dataset)


def released(db_url: str, plan: Plan) -> dict[str, str]:
    """nbgrader's checksums of a challenge's released cells, by their ids.

    Raises ``PackError`` if the gradebook's cells or their points aren't the challenge's.
    """
    slug = plan.entry.slug
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
