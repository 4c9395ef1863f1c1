"""Grading a submission into a result and a class into a table, with the fake sandbox."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from tinytorch_compete.authoring.scaffold import scaffold
from tinytorch_compete.challenges import packs
from tinytorch_compete.errors import CompeteError, Fault
from tinytorch_compete.feedback import notebook
from tinytorch_compete.grading import batch, pipeline
from tinytorch_compete.grading.pipeline import Graded
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.leaderboard import ranking
from tinytorch_compete.model import Limits, Result, Verdict
from tinytorch_compete.results.store import Store
from tinytorch_compete.sandbox.fake import FakeSandbox
from tinytorch_compete.submissions import submission
from tinytorch_compete.submissions.snapshot import Snapshot, load
from tinytorch_compete.submissions.submission import TIMESTAMP, Submission

SECRET = b"a secret of tests"


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack with one small challenge on digits."""
    folder = tmp_path_factory.mktemp("pack")
    scaffold("mine", folder)
    return folder


@pytest.fixture
def plan(pack: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setattr(pipeline, "BACK_OFF_S", 0.0)
    return Plan.of(packs.load(pack)[0], SECRET)


GOLD = """\
def predict(train_images, train_labels, images):
    means = np.stack([train_images[train_labels == c].mean(axis=0) for c in range(10)])
    return ((images[:, None].astype("f4") - means) ** 2).sum(axis=(2, 3)).argmin(axis=1)
"""


def submit(root: Path, student: str, answer: str | None = GOLD) -> Snapshot:
    """Write a student's submission; ``None`` writes a file that is no notebook."""
    folder = root / student / "mine"
    folder.mkdir(parents=True)
    cell = v4.new_code_cell(answer or "", metadata={"nbgrader": {"grade_id": "predict"}})
    text = nbformat.writes(v4.new_notebook(cells=[cell])) if answer else '{"cells": ['
    (folder / "mine.ipynb").write_text(text)
    return load(Submission(student, folder / "mine.ipynb", folder))


def test_a_good_answer_earns_its_points(plan: Plan, tmp_path: Path) -> None:
    result = pipeline.grade(plan, submit(tmp_path, "ada"), FakeSandbox()).result
    assert (result.verdict, result.tier) == (Verdict.OK, "advanced")
    assert result.metrics["accuracy"] == pytest.approx(result.points / 10, abs=0.01)
    assert result.metrics["accuracy"] > 0.8
    assert set(result.files) == {"mine.ipynb"}


def test_flags_are_for_staff_and_change_nothing(plan: Plan, tmp_path: Path) -> None:
    honest = pipeline.grade(plan, submit(tmp_path, "ada"), FakeSandbox()).result
    tricky = submit(tmp_path, "eve", GOLD + "import ctypes\nimport gc")
    graded = pipeline.grade(plan, tricky, FakeSandbox())
    result = graded.result
    assert honest.flags == ()
    assert len(result.flags) == 1
    assert "cell predict" in result.flags[0]
    assert (result.verdict, result.points, result.tier, result.message) == (
        honest.verdict,
        honest.points,
        honest.tier,
        honest.message,
    )
    assert graded.run is not None
    feedback = nbformat.writes(notebook.make(plan.challenge.spec, result, graded.run.notebook))
    reason = result.flags[0].partition(":")[0]
    assert reason not in feedback
    attempts = ranking.published(plan.challenge.spec, [honest, result], SECRET)
    board = ranking.board(plan.challenge.spec, attempts)
    assert len(board) == 2
    assert reason not in str(board)


@pytest.mark.parametrize(
    ("answer", "verdict", "fact"),
    [
        ("def predict(a, b, images): return np.zeros(len(images), int)", Verdict.WRONG, "%"),
        ("def predict(a, b, images): return [1]", Verdict.WRONG, "400"),
        ("def predict(a, b, images): return np.full(400, 0.5)", Verdict.WRONG, "float64"),
        ("def predict(a, b, images): return np.full(400, 10)", Verdict.WRONG, "0 to 9.* 10"),
        ("def predict(a, b, images): return np.full(400, np.nan)", Verdict.WRONG, "float64"),
        ("def predict(a, b, images): return 1 / 0", Verdict.ERROR, "ZeroDivisionError"),
        ("raise NotImplementedError()", Verdict.ERROR, "NotImplementedError"),
        ("def predict(a, b, c): raise MemoryError('big')", Verdict.OVER_MEMORY, "big"),
    ],
)
def test_a_bad_answer_earns_nothing_and_hears_why(
    plan: Plan, tmp_path: Path, answer: str, verdict: Verdict, fact: str
) -> None:
    result = pipeline.grade(plan, submit(tmp_path, "bob", answer), FakeSandbox()).result
    assert (result.verdict, result.tier) == (verdict, "")
    assert result.points <= 2
    assert re.search(fact, result.message)


def test_a_follow_up_error_names_its_cause(plan: Plan, tmp_path: Path) -> None:
    result = pipeline.grade(plan, submit(tmp_path, "bob", "1 / 0\n" + GOLD), FakeSandbox()).result
    assert result.cells[0].message.endswith("ZeroDivisionError: division by zero")
    assert "NameError" not in result.cells[0].message


def test_what_is_no_notebook_is_the_students_error(plan: Plan, tmp_path: Path) -> None:
    result = pipeline.grade(plan, submit(tmp_path, "eve", None), FakeSandbox()).result
    assert (result.verdict, result.points) == (Verdict.ERROR, 0.0)
    assert result.message.startswith("mine.ipynb: ")  # without the grader's folder


def test_a_link_out_of_the_submission_is_refused(plan: Plan, tmp_path: Path) -> None:
    work = submit(tmp_path, "eve").work
    (work.notebook.parent / "passwd").symlink_to("/etc/passwd")
    result = pipeline.grade(plan, load(work), FakeSandbox()).result
    assert (result.verdict, result.points) == (Verdict.ERROR, 0.0)
    assert result.message.startswith("passwd: ")


def seeded(plan: Plan, seeds: int) -> Plan:
    return Plan.of(plan.challenge, SECRET, seeds=seeds)


def test_each_seed_is_another_exam_and_its_raw_figures_are_kept(plan: Plan, tmp_path: Path) -> None:
    many = seeded(plan, 3)
    result = pipeline.grade(many, submit(tmp_path, "ada"), FakeSandbox()).result
    accuracies = result.samples["accuracy"]
    assert result.runs == len(accuracies) == 3
    assert len(set(accuracies)) > 1
    assert result.metrics["accuracy"] == pytest.approx(sum(accuracies) / 3)
    assert len(result.samples["wall_s"]) == len(result.samples["peak_mib"]) == 3
    assert result.points == pytest.approx(result.metrics["accuracy"] * 10, abs=0.01)
    assert result.cells[0].message.startswith("the weakest of 3 runs: ")
    assert f"{min(accuracies):.1%}" in result.cells[0].message


def test_the_first_of_many_seeds_is_the_only_one(plan: Plan, tmp_path: Path) -> None:
    snapshot = submit(tmp_path, "ada")
    single = pipeline.grade(plan, snapshot, FakeSandbox()).result
    double = pipeline.grade(seeded(plan, 2), snapshot, FakeSandbox()).result
    assert double.samples["accuracy"][0] == single.samples["accuracy"][0]


def test_what_reaches_no_tier_at_first_is_not_run_again(plan: Plan, tmp_path: Path) -> None:
    sandbox = FakeSandbox()
    zeros = "def predict(a, b, images): return np.zeros(len(images), int)"
    result = pipeline.grade(seeded(plan, 3), submit(tmp_path, "bob", zeros), sandbox).result
    assert (result.verdict, result.runs, sandbox.runs) == (Verdict.WRONG, 1, 1)


def test_failing_in_one_run_of_many_loses_the_tier_and_says_which(plan: Plan, tmp_path) -> None:
    answer = (
        f"import pathlib\ncount = pathlib.Path({str(tmp_path / 'count')!r})\n"
        "runs = count.read_text() if count.exists() else ''\ncount.write_text(runs + 'x')\n"
        + GOLD.replace("    means", "    assert runs != 'x', 'unlucky'\n    means")
    )
    result = pipeline.grade(seeded(plan, 3), submit(tmp_path, "eve", answer), FakeSandbox()).result
    assert (result.verdict, result.tier, result.runs) == (Verdict.ERROR, "", 3)
    assert "run 2 of 3: AssertionError: unlucky" in result.message
    assert len(result.samples["accuracy"]) == 2
    assert 0 < result.points < 7


def test_final_seeds_are_other_ones(plan: Plan, tmp_path: Path) -> None:
    final = Plan.of(plan.challenge, SECRET, final=True)
    assert {exam.seed for exam in final.exams}.isdisjoint(exam.seed for exam in plan.exams)
    snapshot = submit(tmp_path, "ada")
    identities = [p.identity(snapshot.student, snapshot.sha) for p in (plan, final)]
    assert [identity.final for identity in identities] == [False, True]
    assert identities[0].seed_sha != identities[1].seed_sha


def test_our_own_faults_are_retried(plan: Plan, tmp_path: Path) -> None:
    sandbox = FakeSandbox(faults=pipeline.ATTEMPTS - 1)
    assert pipeline.grade(plan, submit(tmp_path, "ada"), sandbox).result.verdict == Verdict.OK


def test_a_fault_that_stays_is_reported_and_never_scored(plan: Plan, tmp_path: Path) -> None:
    sandbox = FakeSandbox(faults=99)
    result = pipeline.grade(plan, submit(tmp_path, "ada"), sandbox).result
    assert sandbox.runs == pipeline.ATTEMPTS
    assert (result.verdict, result.points) == (Verdict.FAULT, None)
    assert "the fake broke" in result.message


def test_a_submission_that_could_not_be_read_at_first_is_graded_from_its_second_reading(
    plan: Plan, tmp_path: Path
) -> None:
    work = submit(tmp_path, "ada").work
    (work.notebook.parent / "helper.py").write_text("x = 1")
    (work.notebook.parent / TIMESTAMP).write_text("2026-03-01 12:00:00 UTC")
    unread = Snapshot(work, problem=Fault("the file server was away"))
    graded = pipeline.grade(plan, unread, FakeSandbox())
    assert graded.result.verdict == Verdict.OK
    assert graded.result.submitted_at == dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    assert graded.snapshot is not None
    assert graded.snapshot.code() == {"helper.py": "x = 1"}


def test_files_that_change_before_they_are_run_are_not_graded_as_those_that_were_read(
    plan: Plan, tmp_path: Path
) -> None:
    snapshot = submit(tmp_path, "ada")
    (snapshot.work.notebook.parent / "helper.py").write_text("another = 1")
    result = pipeline.grade(plan, snapshot, FakeSandbox()).result
    assert (result.verdict, result.points) == (Verdict.FAULT, None)
    assert pipeline.grade(plan, load(snapshot.work), FakeSandbox()).result.verdict == Verdict.OK


def test_a_bug_in_a_grader_is_our_fault(pack: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(pipeline, "BACK_OFF_S", 0.0)
    shutil.copytree(pack, tmp_path / "pack")
    path = tmp_path / "pack" / "graders" / "mine" / "grader.py"
    path.write_text(path.read_text().replace("CellJudgement(share, message)", "1 / 0"))
    plan = Plan.of(packs.load(tmp_path / "pack")[0], SECRET)
    result = pipeline.grade(plan, submit(tmp_path, "ada"), FakeSandbox()).result
    assert (result.verdict, result.points) == (Verdict.FAULT, None)
    assert "ZeroDivisionError" in result.message


def test_a_bug_in_the_checks_for_flags_is_our_fault(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline.flags, "read", lambda sources, files: 1 / 0)
    result = pipeline.grade(plan, submit(tmp_path, "ada"), FakeSandbox()).result
    assert (result.verdict, result.points) == (Verdict.FAULT, None)
    assert "ZeroDivisionError" in result.message


def test_a_cell_that_is_worth_nothing_still_says_what_is_wrong(pack: Path, tmp_path: Path) -> None:
    shutil.copytree(pack, tmp_path / "pack")
    path = tmp_path / "pack" / "challenge_notebooks" / "mine" / "mine.ipynb"
    master = nbformat.read(path, 4)
    for cell in master.cells:
        if cell.metadata.get("nbgrader", {}).get("grade"):
            cell.metadata["nbgrader"]["points"] = 0
    nbformat.write(master, path)
    plan = Plan.of(packs.load(tmp_path / "pack")[0], SECRET)
    answer = "def predict(a, b, images): return np.zeros(len(images), int)"
    result = pipeline.grade(plan, submit(tmp_path, "bob", answer), FakeSandbox()).result
    assert (result.verdict, result.points, result.max_points) == (Verdict.WRONG, 0.0, 0.0)
    assert result.message == result.cells[0].message != ""


def test_the_questions_depend_on_the_secret_alone(pack: Path) -> None:
    challenge = packs.load(pack)[0]
    plans = [Plan.of(challenge, secret) for secret in (SECRET, SECRET, b"another")]
    images = [plan.inputs[0]["holdout"].arrays["images"] for plan in plans]
    assert (images[0] == images[1]).all()
    assert not (images[0] == images[2]).all()


def test_an_identity_depends_on_everything_that_matters(
    pack: Path, plan: Plan, tmp_path: Path
) -> None:
    snapshot = submit(tmp_path, "ada")
    student, sha = snapshot.student, snapshot.sha
    identity = plan.identity(student, sha)
    assert identity == Plan.of(packs.load(pack)[0], SECRET).identity(student, sha)
    assert identity != Plan.of(packs.load(pack)[0], b"another").identity(student, sha)
    (snapshot.work.notebook.parent / "extra.py").write_text("x = 1")
    assert identity != plan.identity(student, load(snapshot.work).sha)
    assert plan.limits == Limits(memory_mib=256, wall_s=30)


class SerialEngine:
    """Runs tasks in this thread: the fake sandbox can't run in another one at the same time."""

    def map(
        self, task: Callable[[Snapshot], Graded], items: Iterable[Snapshot]
    ) -> Iterator[Graded]:
        return map(task, items)


def grade_all(plan: Plan, root: Path, store: Store, publish=lambda _: None) -> Iterator[Result]:
    snapshots = [load(work) for work in submission.find(root, "mine")]
    todo = batch.waiting(plan, snapshots, store)
    return batch.grade_class(plan, todo, FakeSandbox(), SerialEngine(), store, publish)


def test_a_class_goes_on_after_a_failure_and_is_not_graded_twice(
    plan: Plan, tmp_path: Path
) -> None:
    for name, answer in (("ada", GOLD), ("bob", "1 / 0"), ("eve", None)):
        submit(tmp_path / "class", name, answer)
    store = Store(tmp_path / "r.sqlite")
    verdicts = {r.identity.student: r.verdict for r in grade_all(plan, tmp_path / "class", store)}
    assert verdicts == {"ada": Verdict.OK, "bob": Verdict.ERROR, "eve": Verdict.ERROR}
    assert list(grade_all(plan, tmp_path / "class", store)) == []
    (tmp_path / "class" / "eve" / "mine" / "mine.ipynb").write_text("still broken")
    assert [r.identity.student for r in grade_all(plan, tmp_path / "class", store)] == ["eve"]


def test_a_batch_that_stops_in_the_middle_is_resumed(plan: Plan, tmp_path: Path) -> None:
    for name in ("ada", "ben", "cy", "di"):
        submit(tmp_path / "class", name)
    store = Store(tmp_path / "r.sqlite")
    published: list[str] = []

    def publish(graded: Graded) -> None:
        if len(published) == 2:
            raise KeyboardInterrupt
        published.append(graded.result.identity.student)

    with pytest.raises(KeyboardInterrupt):
        list(grade_all(plan, tmp_path / "class", store, publish))
    assert len(store.history()) == 2
    list(grade_all(plan, tmp_path / "class", store))
    assert sorted(r.identity.student for r in store.history()) == ["ada", "ben", "cy", "di"]


def test_a_folder_without_submissions_says_where_they_are_looked_for(tmp_path: Path) -> None:
    with pytest.raises(CompeteError, match=r"STUDENT/mine/mine\.ipynb"):
        submission.find(tmp_path, "mine")
    with pytest.raises(CompeteError, match="nowhere"):
        submission.find(tmp_path / "nowhere", "mine")


@pytest.mark.parametrize("name", ["ben", "ben/mine", "ben/mine/mine.ipynb"])
def test_a_folder_that_a_student_closed_costs_nobody_else_anything(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(pipeline, "BACK_OFF_S", 0.0)
    for student in ("ada", "ben"):
        submit(tmp_path / "class", student)
    closed, store = tmp_path / "class" / name, Store(tmp_path / "r.sqlite")
    closed.chmod(0)
    try:
        if os.access(closed, os.R_OK):
            pytest.skip("nothing is closed to this user")
        results = {r.identity.student: r for r in grade_all(plan, tmp_path / "class", store)}
    finally:
        closed.chmod(0o755)
    assert results["ada"].verdict == Verdict.OK
    assert results["ben"].verdict == Verdict.FAULT
    assert "Permission denied" in results["ben"].message


@pytest.mark.parametrize("name", ["bo\nb", "bo\x1b[31m", os.fsdecode(b"bo\xff")])
def test_a_student_without_a_plain_name_is_one_clear_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name / "mine").mkdir(parents=True)
    with pytest.raises(CompeteError, match="'bo") as raised:
        submission.find(tmp_path, "mine")
    assert str(raised.value).isprintable()


def test_feedback_explains_and_gives_nothing_away(plan: Plan, tmp_path: Path) -> None:
    answer = GOLD + "print('<script>x</script>')\n"
    graded = pipeline.grade(plan, submit(tmp_path, "zoe-99", answer), FakeSandbox())
    feedback = notebook.make(plan.challenge.spec, graded.result, graded.run.notebook, surplus=2)
    text = nbformat.writes(feedback)
    for hidden in ("compete_probe", "BEGIN HIDDEN", "probe.send", "zoe-99"):
        assert hidden not in text
    summary = feedback.cells[0].source
    assert f"{graded.result.points:g} of 10 points" in summary
    assert "**expert** at accuracy 97.0%" in summary
    assert "2 code cells" in summary
    own_cells = [c for c in feedback.cells if c.metadata.get("tinytorch_compete")]
    assert f"{graded.result.metrics['accuracy']:.1%}" in own_cells[1].source
    position = feedback.cells.index(own_cells[1])
    assert feedback.cells[position - 1].metadata["nbgrader"]["grade_id"] == "holdout"


def test_a_students_words_are_only_shown(plan: Plan, tmp_path: Path) -> None:
    nasty = "raise ValueError('<img src=x onerror=alert(1)> [a](http://b) `c` $d$ \\x1b]0;t\\x07')"
    graded = pipeline.grade(plan, submit(tmp_path, "eve", nasty), FakeSandbox())
    feedback = notebook.make(plan.challenge.spec, graded.result, graded.run.notebook)
    ours = "".join(c.source for c in feedback.cells if c.metadata.get("tinytorch_compete"))
    assert "ValueError" in ours
    for sign in ("<img", "](http", "`c`", "$d$", "\x1b", "http://"):
        assert sign not in ours


def test_feedback_on_a_fault_says_that_it_is_ours(plan: Plan, tmp_path: Path) -> None:
    graded = pipeline.grade(plan, submit(tmp_path, "ada"), FakeSandbox(faults=99))
    summary = notebook.make(plan.challenge.spec, graded.result, None).cells[0].source
    assert str(Verdict.FAULT) in summary
    assert notebook.ADVICE[Verdict.FAULT] in summary
    assert " of 10 points" not in summary
