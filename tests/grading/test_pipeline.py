"""From a submission to a result, and from a class to a table, with the fake as the sandbox."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from tinytorch_compete.authoring.scaffold import scaffold
from tinytorch_compete.challenges import packs
from tinytorch_compete.errors import CompeteError, Fault
from tinytorch_compete.feedback import notebook
from tinytorch_compete.grading import batch, pipeline
from tinytorch_compete.grading.engine import LocalEngine
from tinytorch_compete.grading.pipeline import Graded
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.leaderboard import ranking
from tinytorch_compete.model import Limits, Verdict
from tinytorch_compete.results.store import Store
from tinytorch_compete.sandbox.fake import FakeSandbox
from tinytorch_compete.submissions import submission
from tinytorch_compete.submissions.snapshot import Snapshot, load
from tinytorch_compete.submissions.submission import TIMESTAMP, Submission

SECRET = b"a secret of tests"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack with one small challenge on digits."""
    folder = tmp_path_factory.mktemp("pack")
    scaffold("mine", folder)
    return folder


@pytest.fixture
def plan(place: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setattr(pipeline, "BACK_OFF_S", 0.0)
    return Plan.of(packs.load(place)[0], SECRET)


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
    assert result.flags == ("Calls C directly: cell predict.",)
    assert (result.verdict, result.points, result.tier, result.message) == (
        honest.verdict,
        honest.points,
        honest.tier,
        honest.message,
    )
    assert graded.run is not None
    shown = nbformat.writes(notebook.make(plan.challenge.spec, result, graded.run.notebook))
    assert "Calls C" not in shown
    attempts = ranking.published(plan.challenge.spec, [honest, result], SECRET)
    board = ranking.board(plan.challenge.spec, attempts)
    assert len(board) == 2
    assert "Calls C" not in str(board)


@pytest.mark.parametrize(
    ("answer", "verdict", "words"),
    [
        (
            "def predict(a, b, images): return np.zeros(len(images), int)",
            Verdict.WRONG,
            "are right",
        ),
        ("def predict(a, b, images): return [1]", Verdict.WRONG, r"expected 400 integers"),
        ("def predict(a, b, images): return np.full(400, 0.5)", Verdict.WRONG, "got float64"),
        ("def predict(a, b, images): return np.full(400, 10)", Verdict.WRONG, "0 to 9, got 10"),
        ("def predict(a, b, images): return np.full(400, np.nan)", Verdict.WRONG, "got float64"),
        ("def predict(a, b, images): return 1 / 0", Verdict.ERROR, "ZeroDivisionError"),
        ("raise NotImplementedError()", Verdict.ERROR, "NotImplementedError"),
        ("def predict(a, b, c): raise MemoryError('big')", Verdict.OVER_MEMORY, "big"),
    ],
)
def test_a_bad_answer_earns_nothing_and_hears_why(
    plan: Plan, tmp_path: Path, answer: str, verdict: Verdict, words: str
) -> None:
    result = pipeline.grade(plan, submit(tmp_path, "bob", answer), FakeSandbox()).result
    assert (result.verdict, result.tier) == (verdict, "")
    assert result.points <= 2
    assert re.search(words, result.message)


def test_a_follow_up_error_names_its_cause(plan: Plan, tmp_path: Path) -> None:
    result = pipeline.grade(plan, submit(tmp_path, "bob", "1 / 0\n" + GOLD), FakeSandbox()).result
    assert result.cells[0].message == (
        "not possible after what failed before: ZeroDivisionError: division by zero"
    )


def test_what_is_no_notebook_is_the_students_error(plan: Plan, tmp_path: Path) -> None:
    result = pipeline.grade(plan, submit(tmp_path, "eve", None), FakeSandbox()).result
    assert (result.verdict, result.points) == (Verdict.ERROR, 0.0)
    assert "not a notebook" in result.message


def test_a_link_out_of_the_submission_is_refused(plan: Plan, tmp_path: Path) -> None:
    work = submit(tmp_path, "eve")
    (work.work.notebook.parent / "passwd").symlink_to("/etc/passwd")
    result = pipeline.grade(plan, load(work.work), FakeSandbox()).result
    assert (result.verdict, result.points) == (Verdict.ERROR, 0.0)
    assert "passwd: a link" in result.message


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
    work = submit(tmp_path, "ada")
    one = pipeline.grade(plan, work, FakeSandbox()).result
    many = pipeline.grade(seeded(plan, 2), work, FakeSandbox()).result
    assert many.samples["accuracy"][0] == one.samples["accuracy"][0]


def test_what_reaches_no_tier_at_first_is_not_run_again(plan: Plan, tmp_path: Path) -> None:
    sandbox = FakeSandbox()
    work = submit(tmp_path, "bob", "def predict(a, b, images): return np.zeros(len(images), int)")
    result = pipeline.grade(seeded(plan, 3), work, sandbox).result
    assert (result.verdict, result.runs, sandbox.runs) == (Verdict.WRONG, 1, 1)


def test_failing_in_one_run_of_many_loses_the_tier_and_says_which(plan: Plan, tmp_path) -> None:
    second = f"pathlib.Path({str(tmp_path / 'count')!r})"
    answer = (
        f"import pathlib\ncount = {second}\n"
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
    work = submit(tmp_path, "ada")
    identities = [p.identity(work.student, work.sha) for p in (plan, final)]
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
    assert "our fault: the fake broke" in result.message


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


def test_a_bug_in_a_grader_is_our_fault(place: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(pipeline, "BACK_OFF_S", 0.0)
    shutil.copytree(place, tmp_path / "pack")
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


def test_a_cell_that_is_worth_nothing_says_all_the_same_what_is_wrong(
    place: Path, tmp_path: Path
) -> None:
    shutil.copytree(place, tmp_path / "pack")
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
    assert "are right" in result.message


def test_every_student_gets_the_same_questions_and_another_secret_other_ones(place: Path) -> None:
    challenge = packs.load(place)[0]
    one, same, other = (Plan.of(challenge, secret) for secret in (SECRET, SECRET, b"another"))
    images = [p.inputs[0]["holdout"].arrays["images"] for p in (one, same, other)]
    assert (images[0] == images[1]).all()
    assert not (images[0] == images[2]).all()


def test_what_is_graded_again_depends_on_everything_that_matters(
    place: Path, plan: Plan, tmp_path: Path
) -> None:
    work = submit(tmp_path, "ada")
    identity = plan.identity(work.student, work.sha)
    assert identity == Plan.of(packs.load(place)[0], SECRET).identity(work.student, work.sha)
    assert identity != Plan.of(packs.load(place)[0], b"another").identity(work.student, work.sha)
    (work.work.notebook.parent / "extra.py").write_text("x = 1")
    assert identity != plan.identity(work.student, load(work.work).sha)
    assert plan.limits == Limits(memory_mib=256, wall_s=30)


def grade_all(plan: Plan, root: Path, kept: Store, publish=lambda _: None) -> Iterator[object]:
    works = [load(work) for work in submission.find(root, "mine")]
    todo = batch.waiting(plan, works, kept)
    return batch.grade_class(plan, todo, FakeSandbox(), LocalEngine(1), kept, publish)


def test_a_class_goes_on_after_a_failure_and_is_not_graded_twice(
    plan: Plan, tmp_path: Path
) -> None:
    for name, answer in (("ada", GOLD), ("bob", "1 / 0"), ("eve", None)):
        submit(tmp_path / "class", name, answer)
    kept = Store(tmp_path / "r.sqlite")
    found = {r.identity.student: r.verdict for r in grade_all(plan, tmp_path / "class", kept)}
    assert found == {"ada": Verdict.OK, "bob": Verdict.ERROR, "eve": Verdict.ERROR}
    assert list(grade_all(plan, tmp_path / "class", kept)) == []
    (tmp_path / "class" / "eve" / "mine" / "mine.ipynb").write_text("mended? no")
    assert [r.identity.student for r in grade_all(plan, tmp_path / "class", kept)] == ["eve"]


def test_a_batch_that_stops_in_the_middle_is_resumed(plan: Plan, tmp_path: Path) -> None:
    for name in ("ada", "ben", "cy", "di"):
        submit(tmp_path / "class", name)
    kept = Store(tmp_path / "r.sqlite")
    published: list[str] = []

    def publish(graded: Graded) -> None:
        if len(published) == 2:
            raise KeyboardInterrupt
        published.append(graded.result.identity.student)

    with pytest.raises(KeyboardInterrupt):
        list(grade_all(plan, tmp_path / "class", kept, publish))
    assert len(kept.history()) == 2
    list(grade_all(plan, tmp_path / "class", kept))
    assert sorted(r.identity.student for r in kept.history()) == ["ada", "ben", "cy", "di"]


def test_a_folder_without_submissions_says_where_they_are_looked_for(tmp_path: Path) -> None:
    with pytest.raises(CompeteError, match=r"STUDENT/mine/mine\.ipynb"):
        submission.find(tmp_path, "mine")
    with pytest.raises(CompeteError, match="no such folder"):
        submission.find(tmp_path / "nowhere", "mine")


@pytest.mark.parametrize("what", ["ben", "ben/mine", "ben/mine/mine.ipynb"])
def test_a_folder_that_a_student_closed_costs_nobody_else_anything(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(pipeline, "BACK_OFF_S", 0.0)
    for student in ("ada", "ben"):
        submit(tmp_path / "class", student)
    closed, kept = tmp_path / "class" / what, Store(tmp_path / "r.sqlite")
    closed.chmod(0)
    try:
        if os.access(closed, os.R_OK):
            pytest.skip("nothing is closed to this user")
        found = {r.identity.student: r for r in grade_all(plan, tmp_path / "class", kept)}
    finally:
        closed.chmod(0o755)
    assert found["ada"].verdict == Verdict.OK
    assert found["ben"].verdict == Verdict.FAULT
    assert "can't be read (Permission denied)" in found["ben"].message


@pytest.mark.parametrize("name", ["bo\nb", "bo\x1b[31m", os.fsdecode(b"bo\xff")])
def test_a_student_without_a_plain_name_is_one_clear_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name / "mine").mkdir(parents=True)
    with pytest.raises(CompeteError, match=r"the folder 'bo.* has no plain name") as raised:
        submission.find(tmp_path, "mine")
    assert str(raised.value).isprintable()


def test_feedback_explains_and_gives_nothing_away(plan: Plan, tmp_path: Path) -> None:
    answer = GOLD + "print('<script>x</script>')\n"
    graded = pipeline.grade(plan, submit(tmp_path, "zoe-99", answer), FakeSandbox())
    made = notebook.make(plan.challenge.spec, graded.result, graded.run.notebook, surplus=2)
    text = nbformat.writes(made)
    for hidden in ("compete_probe", "BEGIN HIDDEN", "probe.send", "zoe-99"):
        assert hidden not in text
    summary = made.cells[0].source
    assert f"{graded.result.points:g} of 10 points" in summary
    assert "Next tier: **expert** at accuracy 97.0%" in summary
    assert "2 code cells that you added were not run" in summary
    about = [c for c in made.cells if c.metadata.get("tinytorch_compete")]
    assert "of the images are right" in about[1].source
    position = made.cells.index(about[1])
    assert made.cells[position - 1].metadata["nbgrader"]["grade_id"] == "holdout"


def test_a_students_words_are_only_shown(plan: Plan, tmp_path: Path) -> None:
    nasty = "raise ValueError('<img src=x onerror=alert(1)> [a](http://b) `c` $d$ \\x1b]0;t\\x07')"
    graded = pipeline.grade(plan, submit(tmp_path, "eve", nasty), FakeSandbox())
    made = notebook.make(plan.challenge.spec, graded.result, graded.run.notebook)
    ours = "".join(c.source for c in made.cells if c.metadata.get("tinytorch_compete"))
    assert "ValueError" in ours
    for sign in ("<img", "](http", "`c`", "$d$", "\x1b", "http://"):
        assert sign not in ours


def test_a_fault_is_told_to_the_student_as_ours(plan: Plan, tmp_path: Path) -> None:
    graded = pipeline.grade(plan, submit(tmp_path, "ada"), FakeSandbox(faults=99))
    made = notebook.make(plan.challenge.spec, graded.result, None)
    assert "not scored" in made.cells[0].source
    assert "our fault, not yours" in made.cells[0].source
