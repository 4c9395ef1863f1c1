"""Advice is measured: changes that help are shown with their gain, others are left out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import nbformat
import pytest
from nbformat import v4

from tinytorch_compete.authoring.scaffold import scaffold
from tinytorch_compete.challenges import packs
from tinytorch_compete.errors import EvidenceError, Fault
from tinytorch_compete.feedback import notebook as feedback_notebook
from tinytorch_compete.grading import pipeline
from tinytorch_compete.grading.batch import grade_class, waiting
from tinytorch_compete.grading.engine import LocalEngine
from tinytorch_compete.grading.pipeline import Graded
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import Advice, Answer, LineCost, Profile, Run, Verdict
from tinytorch_compete.profiling import run
from tinytorch_compete.results.store import Store
from tinytorch_compete.sandbox.contract import RunRequest
from tinytorch_compete.sandbox.fake import FakeSandbox
from tinytorch_compete.sandbox.local import LocalSandbox
from tinytorch_compete.submissions.snapshot import Snapshot, load
from tinytorch_compete.submissions.submission import Submission
from tinytorch_compete.suggestions import suggest

WIDE = """\
def predict(train_images, train_labels, images):
    means = np.zeros((10, 8, 8))
    for c in range(10):
        means[c] = train_images[train_labels == c].mean(axis=0)
    return ((images[:, None].astype("f4") - means) ** 2).sum(axis=(2, 3)).argmin(axis=1)
"""
KIND, NARROW = "dtype-promotion", "dtype=np.float32"
BURST = """\
def predict(train_images, train_labels, images):
    big = np.ones((110, 2**17))
    means = np.stack([train_images[train_labels == c].mean(axis=0) for c in range(10)])
    means = means + np.float32(big.min() - 1)
    return ((images[:, None].astype("f4") - means) ** 2).sum(axis=(2, 3)).argmin(axis=1)
"""


class Scripted(FakeSandbox):
    """The fake with the peaks that a test names, by a word of the source that was run."""

    def __init__(self, peaks: Mapping[str, float], other: float, over: float = 1e9) -> None:
        super().__init__()
        self.peaks, self.other, self.over = peaks, other, over
        self.caps: list[int] = []

    def run(self, request: RunRequest) -> Run:
        limits, notebook = request.limits, request.notebook
        self.caps.append(limits.memory_mib)
        facts = super().run(request)
        text = "\n".join(cell.source for cell in notebook.cells)
        peak = next((mib for word, mib in self.peaks.items() if word in text), self.other)
        verdict = Verdict.OVER_MEMORY if peak > min(limits.memory_mib, self.over) else facts.verdict
        cells = facts.cells
        if verdict == Verdict.OVER_MEMORY:
            cells = (msgspec.structs.replace(cells[0], status=verdict), *cells[1:])
            facts = msgspec.structs.replace(
                facts, answers=dict.fromkeys(facts.answers, Answer(problem="over"))
            )
        return msgspec.structs.replace(
            facts, verdict=verdict, cells=cells, peak_mib=peak, cpu_s=1.0
        )


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("pack")
    scaffold("mine", folder)
    return Plan.of(packs.load(folder)[0], b"a secret of tests")


def submit(root: Path, answer: str) -> Snapshot:
    cell = v4.new_code_cell(answer, metadata={"nbgrader": {"grade_id": "predict"}})
    (root / "mine.ipynb").write_text(nbformat.writes(v4.new_notebook(cells=[cell])))
    return load(Submission("ada", root / "mine.ipynb", root))


def profiler(sandbox, request, code, cap_mib) -> tuple[Profile, None]:
    """A profile in which each line of the answer costs the same."""
    sources = run.texts(request.notebook, code)
    lines = [
        LineCost(name, number, 1, 1.0, 50.0, 50.0)
        for name, text in sources.items()
        for number, _ in enumerate(text.splitlines(), 1)
    ]
    return Profile(("a", "b"), sources, tuple(lines)), None


def advise(plan: Plan, work: Snapshot, sandbox: FakeSandbox, profiler=profiler) -> Advice:
    return suggest.advise(
        plan, work, pipeline.grade(plan, work, sandbox), sandbox, profiler=profiler
    )


def test_a_change_that_helps_is_shown_with_its_gain(plan: Plan, tmp_path: Path) -> None:
    suggested = advise(plan, submit(tmp_path, WIDE), Scripted({NARROW: 60.0}, 100.0)).insights
    assert suggested[0].name == KIND
    assert suggested[0].trial is not None
    assert (suggested[0].trial.peak_mib_before, suggested[0].trial.peak_mib_after) == (100.0, 60.0)
    assert suggested[0].trial.same
    assert NARROW in suggested[0].diff


def test_advice_is_on_the_reading_that_was_graded(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advised: list[Snapshot] = []

    def advise(plan, snapshot, graded, sandbox) -> Advice:
        advised.append(snapshot)
        return Advice()

    monkeypatch.setattr(suggest, "advise", advise)
    loaded = submit(tmp_path, WIDE)
    unread = Snapshot(loaded.work, problem=Fault("the file server was away"))
    suggest.grade(plan, unread, FakeSandbox())
    assert [snapshot.sha for snapshot in advised] == [loaded.sha]


@pytest.mark.parametrize("after", [100.0, 99.0, 140.0])
def test_a_change_that_does_not_help_is_not_shown(after: float, plan: Plan, tmp_path: Path) -> None:
    suggested = advise(plan, submit(tmp_path, WIDE), Scripted({NARROW: after}, 100.0)).insights
    assert KIND not in [insight.name for insight in suggested]


def test_a_gain_that_a_second_look_does_not_confirm_is_noise(plan: Plan, tmp_path: Path) -> None:
    class Noisy(Scripted):
        def run(self, request: RunRequest) -> Run:
            facts = super().run(request)
            return msgspec.structs.replace(facts, peak_mib=60.0 if self.runs in (3, 5) else 100.0)

    sandbox = Noisy({}, 100.0)
    work = submit(tmp_path, WIDE)
    graded = pipeline.grade(plan, work, sandbox)
    sandbox.runs = 1  # 2 is the first run as it was, 3 the change, 4 the change again, 5 as it was
    suggested = suggest.advise(plan, work, graded, sandbox, profiler=profiler).insights
    assert sandbox.runs >= 5
    assert KIND not in [insight.name for insight in suggested]


@pytest.mark.parametrize(("disturbed", "shown"), [(2, True), (99, False)])
def test_a_gain_beside_a_rise_of_the_other_cost_is_looked_at_again(
    disturbed: int, shown: bool, plan: Plan, tmp_path: Path
) -> None:
    class Busy(Scripted):
        changed = 0

        def run(self, request: RunRequest) -> Run:
            facts = super().run(request)
            if facts.peak_mib == 100.0:
                return facts
            self.changed += 1
            return msgspec.structs.replace(facts, cpu_s=1.3 if self.changed <= disturbed else 1.0)

    sandbox = Busy({NARROW: 60.0}, 100.0)
    suggested = advise(plan, submit(tmp_path, WIDE), sandbox).insights
    assert (KIND in [insight.name for insight in suggested]) is shown
    assert sandbox.changed == (3 if shown else suggest.MOST_PAIRS)


def test_a_change_of_the_answers_is_not_shown(plan: Plan, tmp_path: Path) -> None:
    tricky = WIDE.replace(
        "means = np.zeros((10, 8, 8))",
        "means = np.zeros((10, 8, 8))\n"
        "    if means.dtype == np.float32:\n        return np.zeros(len(images), int)",
    )
    suggested = advise(plan, submit(tmp_path, tricky), Scripted({NARROW: 60.0}, 100.0)).insights
    assert KIND not in [insight.name for insight in suggested]


def test_a_file_beside_the_notebook_is_changed_in_a_copy(plan: Plan, tmp_path: Path) -> None:
    beside = tmp_path / "means_of.py"
    beside.write_text("import numpy as np\n\ndef empty():\n    return np.zeros((10, 8, 8))\n")
    work = submit(tmp_path, "from means_of import empty\n" + WIDE)
    before = beside.read_text()
    advice = advise(plan, work, Scripted({}, 100.0))
    assert beside.read_text() == before
    assert advice.note == ""


def test_a_file_that_became_a_link_is_not_written_through(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    beside, outside = tmp_path / "work" / "helper.py", tmp_path / "outside.py"
    beside.write_text("x = 1")
    work = submit(tmp_path / "work", WIDE)
    runner = suggest.TrialRunner.of(plan, work, FakeSandbox(), plan.master, plan.limits)
    runner.run("helper.py", "x = 2")
    assert beside.read_text() == "x = 1"
    beside.rename(outside)
    beside.symlink_to(outside)
    with pytest.raises(Fault):
        runner.run("helper.py", "x = 2")
    assert outside.read_text() == "x = 1"


def test_no_more_changes_are_tried_once_time_is_up(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suggest, "TRYING_S", 0.0)
    suggested = advise(plan, submit(tmp_path, WIDE), Scripted({NARROW: 60.0}, 100.0)).insights
    assert [insight.trial for insight in suggested if insight.name == KIND] == [None]


def test_without_a_profile_there_are_findings_that_were_not_tried(
    plan: Plan, tmp_path: Path
) -> None:
    def none(*_: object) -> tuple[Profile, Run]:
        raise EvidenceError("the run ended before its profile was sent: over")

    advice = advise(plan, submit(tmp_path, WIDE), Scripted({NARROW: 60.0}, 100.0), none)
    assert advice.profile is None
    assert advice.note.startswith(suggest.NO_FIGURES)
    assert {insight.trial for insight in advice.insights} == {None}


@pytest.mark.parametrize("broken", [Fault("the machine"), KeyError("x"), OSError("disk")])
def test_our_own_fault_is_one_line_and_changes_no_grade(
    broken: Exception, plan: Plan, tmp_path: Path
) -> None:
    def breaks(*_: object) -> tuple[Profile, Run]:
        raise broken

    sandbox = FakeSandbox()
    work = submit(tmp_path, WIDE)
    graded = pipeline.grade(plan, work, sandbox)
    advice = suggest.advise(plan, work, graded, sandbox, profiler=breaks)
    assert advice.profile is None
    assert str(broken) in advice.note
    feedback = feedback_notebook.make(plan.spec, graded.result, graded.run.notebook, advice=advice)
    assert feedback_notebook.escape(advice.note) in feedback.cells[-1].source
    assert f"{graded.result.points:g} of 10 points" in feedback.cells[0].source


def test_a_submission_that_could_not_be_read_has_nothing_measured(
    plan: Plan, tmp_path: Path
) -> None:
    work = submit(tmp_path, WIDE)
    work.work.notebook.write_text("{")
    sandbox = FakeSandbox()
    advice = advise(plan, load(work.work), sandbox)
    assert (advice.profile, advice.insights, sandbox.runs) == (None, (), 0)
    assert advice.note


def test_advice_is_taken_with_inputs_that_no_grade_depends_on(plan: Plan, tmp_path: Path) -> None:
    assert plan.rehearsal.exams[0].seed not in [exam.seed for exam in plan.exams]
    assert plan.rehearsal.inputs is not plan.inputs
    assert plan.rehearsal.secret == plan.secret


def test_what_ran_out_of_memory_is_told_what_it_needs_and_what_fits(
    plan: Plan, tmp_path: Path
) -> None:
    sandbox = Scripted({NARROW: 200.0}, 400.0)  # the cap is 256
    autopsy = advise(plan, submit(tmp_path, WIDE), sandbox).autopsy
    assert autopsy is not None
    assert (autopsy.cap_mib, autopsy.need_mib, autopsy.more) == (256, 400.0, False)
    assert autopsy.fits is not None and autopsy.fits.name == KIND
    assert sandbox.caps[0] == sandbox.caps[-1] == 256
    assert max(sandbox.caps) == 1024


def test_what_runs_out_of_the_larger_room_too_needs_more_than_that(
    plan: Plan, tmp_path: Path
) -> None:
    autopsy = advise(plan, submit(tmp_path, WIDE), Scripted({}, 5000.0)).autopsy
    assert autopsy is not None
    assert (autopsy.need_mib, autopsy.more, autopsy.fits) == (1024, True, None)


@pytest.mark.slow
def test_a_kernel_that_was_killed_at_the_cap_is_told_what_it_needs(
    plan: Plan, tmp_path: Path
) -> None:
    # no MemoryError comes of memory that is shared: the run is killed when it is touched
    shared = "import mmap\nblock = mmap.mmap(-1, 400 << 20)\nfor at in range(0, 400, 4):\n"
    shared += "    block.seek(at << 20)\n    block.write(bytes([1]) * (4 << 20))\n"
    graded = suggest.grade(plan, submit(tmp_path, shared + WIDE), LocalSandbox())
    assert graded.result.verdict == Verdict.OVER_MEMORY
    assert "MemoryError" not in graded.result.message
    assert graded.advice is not None and graded.advice.autopsy is not None
    autopsy = graded.advice.autopsy
    assert autopsy.cap_mib == 256
    assert (autopsy.reached, autopsy.more) == ("predict", False)
    assert autopsy.need_mib == pytest.approx(400, rel=0.1)


class Interrupted(FakeSandbox):
    """The fake in which somebody presses Ctrl-C during a run."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def run(self, request: RunRequest) -> Run:
        if self.runs + 1 == self.at:
            self.at = 0
            raise KeyboardInterrupt
        return super().run(request)


def test_a_batch_that_is_interrupted_during_advice_grades_it_again_and_once(
    plan: Plan, tmp_path: Path
) -> None:
    (tmp_path / "ada").mkdir()
    work, store = submit(tmp_path / "ada", WIDE), Store(tmp_path / "r.sqlite")
    published: list[Graded] = []

    def task(plan: Plan, work: Snapshot, sandbox: FakeSandbox) -> Graded:
        graded = pipeline.grade(plan, work, sandbox)
        advice = suggest.advise(plan, work, graded, sandbox, profiler=profiler)
        return msgspec.structs.replace(graded, advice=advice)

    def batch(sandbox: FakeSandbox) -> None:
        todo = waiting(plan, [work], store)
        engine = LocalEngine(1)
        list(grade_class(plan, todo, sandbox, engine, store, published.append, task))

    with pytest.raises(KeyboardInterrupt):
        batch(Interrupted(2))  # 1 is the graded run, what comes then is advice
    assert store.history() == published == []
    batch(FakeSandbox())
    batch(FakeSandbox())
    assert len(store.history()) == len(published) == 1
    assert published[0].advice is not None and published[0].advice.profile is not None


@pytest.fixture(scope="module")
def burst(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Graded:
    """A submission with an array of 110 MiB that could be half as large, for real."""
    return suggest.grade(plan, submit(tmp_path_factory.mktemp("real"), BURST), LocalSandbox())


@pytest.mark.slow
def test_a_real_submission_is_profiled_and_its_change_measured(burst: Graded) -> None:
    assert burst.advice is not None and burst.advice.profile is not None
    best = burst.advice.insights[0]
    assert (best.name, best.lines) == ("float64", (2,))
    assert burst.result.findings is not None and "float64" in burst.result.findings
    assert best.trial is not None
    assert best.trial.peak_mib_before - best.trial.peak_mib_after == pytest.approx(55, abs=6)


@pytest.mark.slow
def test_feedback_with_advice_gives_nothing_hidden_away(plan: Plan, burst: Graded) -> None:
    assert burst.run is not None
    feedback = feedback_notebook.make(
        plan.spec, burst.result, burst.run.notebook, advice=burst.advice
    )
    text = nbformat.writes(feedback)
    for hidden in ("compete_probe", "compete_profil", "HIDDEN", "probe.", "a secret"):
        assert hidden not in text
    assert "<script" not in text
    assert feedback_notebook.AT_THE_END in feedback.cells[0].source
    assert "np.ones" in feedback.cells[-1].source
