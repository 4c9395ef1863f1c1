"""The commands as a person runs them: real processes, real kernels, real files."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import nbformat
import pandas as pd
import pytest
from nbformat import v4

from tinytorch_compete.cli.app import run
from tinytorch_compete.leaderboard import board as boards
from tinytorch_compete.results.store import Store
from tinytorch_compete.sandbox.isolation import capabilities

TITO = Path(sys.executable).parent / "tito"
GOLD = """\
def predict(train_images, train_labels, images):
    means = np.stack([train_images[train_labels == c].mean(axis=0) for c in range(10)])
    return ((images[:, None].astype("f4") - means) ** 2).sum(axis=(2, 3)).argmin(axis=1)
"""
SLEEPY = "import time\ntime.sleep(3)\n" + GOLD


def tito(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(TITO), *map(str, words)]
    env = {**os.environ, "COLUMNS": "120", "NO_COLOR": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, timeout=300)


def submit(root: Path, student: str, answer: str | None = GOLD) -> Path:
    path = root / student / "mine" / "mine.ipynb"
    path.parent.mkdir(parents=True)
    cell = v4.new_code_cell(answer or "", metadata={"nbgrader": {"grade_id": "predict"}})
    path.write_text(nbformat.writes(v4.new_notebook(cells=[cell])) if answer else "{")
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack made by ``new``."""
    folder = tmp_path_factory.mktemp("course")
    done = tito("compete", "new", "mine", "--folder", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_list_shows_what_one_must_know() -> None:
    done = tito("compete", "list")
    assert done.returncode == 0
    for words in ("efficient-training", "systems", "beginner 20.0%", "1024 MiB, 60 s", "shapes32"):
        assert words in done.stdout


def test_a_new_challenge_is_complete_and_verifies(place: Path) -> None:
    done = tito("compete", "--pack", place, "verify", "mine")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "gold" in done.stdout


def test_a_broken_promise_fails_verification(place: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", f"{place}/.", tmp_path], check=True)
    path = tmp_path / "graders" / "mine" / "submissions" / "gold.ipynb"
    sample = json.loads(path.read_text())
    sample["metadata"]["tinytorch_compete"]["tier"] = "expert"
    path.write_text(json.dumps(sample))
    done = tito("compete", "--pack", tmp_path, "verify", "mine")
    assert done.returncode == 1
    assert "tier promised expert" in done.stdout


def test_a_class_from_submissions_to_leaderboard(place: Path, tmp_path: Path) -> None:
    for name, answer in (("ada", GOLD + "import ctypes"), ("bob", "1 / 0"), ("eve", None)):
        submit(tmp_path / "class", name, answer)
    compete = ("compete", "--pack", place)
    done = tito(*compete, "grade", "mine", "class", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("ada", "OK", "advanced", "bob", "ZeroDivisionError", "eve", "not a notebook"):
        assert words in " ".join(done.stdout.split())
    assert (tmp_path / "graded" / "secret").stat().st_mode & 0o077 == 0
    assert "1 result has flags" in done.stdout
    assert "tito compete results mine --flags" in done.stdout
    flagged = tito(*compete, "results", "mine", "--flags", cwd=tmp_path).stdout
    assert "ada" in flagged and "Calls C directly: cell predict." in flagged
    assert "bob" not in flagged
    feedback = nbformat.read(tmp_path / "graded" / "feedback" / "bob" / "mine.ipynb", 4)
    assert "ZeroDivisionError" in feedback.cells[0].source

    done = tito(*compete, "grade", "mine", "class", cwd=tmp_path)
    assert "3 graded already" in done.stdout

    done = tito(*compete, "similar", "mine", "class", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "left out" in done.stderr
    assert "0 of 1 pairs" in done.stdout

    done = tito(*compete, "audit", "--submissions", "class", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 results" in done.stdout
    (tmp_path / "class" / "bob" / "mine" / "mine.ipynb").write_text("changed afterwards")
    done = tito(*compete, "audit", "--submissions", "class", cwd=tmp_path)
    assert done.returncode == 1
    assert "not the files that were graded: bob (mine)" in done.stderr

    done = tito(*compete, "results", "--csv", "r.csv", "--parquet", "r.parquet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "r.csv")
    assert table["verdict"].tolist() == ["OK", "ERROR", "ERROR"]
    assert len(pd.read_parquet(tmp_path / "r.parquet")) == 3
    assert "ada" in tito(*compete, "results", cwd=tmp_path).stdout

    done = tito(*compete, "leaderboard", "mine", "--html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    board = (tmp_path / "graded" / "leaderboard" / "mine.ipynb").read_text()
    assert "image/png" in board
    assert "ada" not in (tmp_path / "graded" / "leaderboard" / "mine.json").read_text()
    assert (tmp_path / "graded" / "leaderboard" / "mine.html").stat().st_size > 10_000


def test_a_later_finding_withdraws_a_result_until_it_is_graded_again(
    place: Path, tmp_path: Path
) -> None:
    for name in ("ada", "bob", "cy"):
        submit(tmp_path / "class", name, GOLD if name != "cy" else GOLD + "# slower\n")
    compete = ("compete", "--pack", place)
    assert tito(*compete, "grade", "mine", "class", cwd=tmp_path).returncode == 0
    why = ("withdraw", "bob", "mine", "--reason", "the same code as [red]ada's")
    done = tito(*compete, *why, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "WITHDRAWN" in done.stdout
    shown = tito(*compete, "results", cwd=tmp_path).stdout
    assert "the same code as [red]ada's" in shown
    assert "before: OK" in shown
    assert "withdrawn already" in tito(*compete, *why, cwd=tmp_path).stderr
    nobody = tito(*compete, "withdraw", "zoe", "mine", "--reason", "x", cwd=tmp_path)
    assert (nobody.returncode, "'zoe' has no result" in nobody.stderr) == (1, True)

    assert tito(*compete, "leaderboard", "mine", cwd=tmp_path).returncode == 0
    newest = boards.read(tmp_path / "graded" / "leaderboard" / "mine.json").newest
    assert len(newest) == 3
    assert [a.withdrawn for a in newest if not a.handle] == [True]
    board = (tmp_path / "graded" / "leaderboard" / "mine.ipynb").read_text()
    assert "2 submissions are ranked" in board
    assert "1 withdrawn" in board
    assert "(withdrawn)" in board
    assert "nan" not in "".join(line for line in board.splitlines() if "<td" in line)

    assert "3 graded already" in tito(*compete, "grade", "mine", "class", cwd=tmp_path).stdout
    again = tito(*compete, "grade", "mine", "class", "--again", cwd=tmp_path)
    assert "WITHDRAWN" not in again.stdout
    history = tito(*compete, "results", "--history", cwd=tmp_path).stdout
    assert history.count("WITHDRAWN") == 1
    done = tito(*compete, "audit", cwd=tmp_path)
    assert "6 results and 1 withdrawals" in done.stdout


def test_an_audit_grades_results_again_and_names_what_differs(place: Path, tmp_path: Path) -> None:
    for name, answer in (("ada", GOLD), ("bob", "1 / 0"), ("cy", GOLD)):
        submit(tmp_path / "class", name, answer)
    compete = ("compete", "--pack", place)
    assert tito(*compete, "grade", "mine", "class", cwd=tmp_path).returncode == 0
    database = tmp_path / "graded" / "results.sqlite"
    forged = Store(database)
    cy = forged.latest("mine")[2]
    forged.append(msgspec.structs.replace(cy, points=10.0, metrics={"accuracy": 1.0}))
    forged.close()
    before = database.read_bytes()
    assert "--submissions" in tito(*compete, "audit", "--rerun", 1, cwd=tmp_path).stderr
    words = ("audit", "--submissions", "class", "--rerun")
    done = tito(*compete, *words, 9, cwd=tmp_path)
    assert done.returncode == 1
    shown = {line.split()[0]: line for line in done.stdout.splitlines() if "(mine)" in line}
    assert "the same" in shown["ada"]
    assert "the same" in shown["bob"]
    assert "DIFFERS" in shown["cy"]
    assert "accuracy 1.0000, again 0." in done.stdout
    assert "1 of 3 results" in done.stderr and ": cy (mine)." in done.stderr
    assert database.read_bytes() == before
    grader = place / "graders" / "mine" / "grader.py"
    text = grader.read_text()
    try:
        grader.write_text(text + "# changed\n")
        done = tito(*compete, *words, 1, cwd=tmp_path)
    finally:
        grader.write_text(text)
    assert done.returncode == 1
    assert "graded under another grader" in done.stdout


def rows(folder: Path) -> list[str]:
    database = folder / "graded" / "results.sqlite"
    if not database.exists():
        return []
    with sqlite3.connect(database) as connection:
        table = connection.execute("select 1 from sqlite_master where name = 'results'").fetchone()
        query = "select student from results order by id"
        return [row[0] for row in connection.execute(query)] if table else []


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_batch_that_was_ended_is_resumed_with_nothing_lost_or_done_twice(
    place: Path, tmp_path: Path, how: signal.Signals
) -> None:
    students = [f"student{n}" for n in range(5)]
    for name in students:
        submit(tmp_path / "class", name, SLEEPY)
    words = ["compete", "--pack", str(place), "grade", "mine", "class", "--workers", "2"]
    batch = subprocess.Popen(
        [str(TITO), *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    deadline = time.monotonic() + 120
    while len(rows(tmp_path)) < 2 and time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            batch.wait(0.1)
    batch.send_signal(how)
    status = batch.wait(60)
    before = rows(tmp_path)
    assert 2 <= len(before) < len(students)
    assert status == (130 if how == signal.SIGINT else -signal.SIGKILL)
    done = tito(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(rows(tmp_path)) == students
    assert rows(tmp_path)[: len(before)] == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["list", "--pack"], "No such option"),
        (["grade", "nothing", "."], "there is no challenge 'nothing'"),
        (["grade", "efficient-training", "nowhere"], "no such folder of submissions"),
        (["grade", "efficient-training", "."], "no submissions for 'efficient-training'"),
        (["results"], "tito compete join SLUG"),
        (["results"], "--results"),
        (["results", "--results", "x"], "no results there; grade first"),
        (["leaderboard", "efficient-training"], "no results there; grade first"),
        (["new", "Bad Slug"], "'Bad Slug'"),
        (["--pack", "nowhere", "list"], "not a challenge pack"),
        (["release", "efficient-training", "."], "exists already"),
        (["release", "efficient-training", "x", "--dataset", "mnist"], "can't be run on"),
        (["frobnicate"], "No such command"),
    ],
)
def test_wrong_words_get_one_clear_error(tmp_path: Path, words: list[str], message: str) -> None:
    done = tito("compete", *words, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["junk " * 500, "newer"])
def test_a_results_file_that_is_not_ours_is_left_alone(
    place: Path, tmp_path: Path, content: str
) -> None:
    submit(tmp_path / "class", "ada")
    database = tmp_path / "graded" / "results.sqlite"
    database.parent.mkdir()
    if content == "newer":
        with sqlite3.connect(database) as connection:
            connection.execute("create table facts (name text primary key, value text)")
            connection.execute("insert into facts values ('version', '99')")
    else:
        database.write_text(content)
    before = database.read_bytes()
    done = tito("compete", "--pack", place, "grade", "mine", "class", cwd=tmp_path)
    assert done.returncode == 1
    assert "results.sqlite" in done.stderr
    assert "Traceback" not in done.stderr
    assert database.read_bytes() == before


def test_a_full_disk_is_said_and_the_batch_can_go_on_later(place: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system to fill")
    small = tmp_path / "graded"
    small.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(small)]
    if subprocess.run(mounted, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        for n in range(3):
            submit(tmp_path / "class", f"student{n}")
        (small / "ballast").write_bytes(bytes(90 * 1024))
        done = tito("compete", "--pack", place, "grade", "mine", "class", cwd=tmp_path)
        assert done.returncode == 1
        assert "disk" in done.stderr
        assert "Traceback" not in done.stderr
        (small / "ballast").unlink()
        subprocess.run(["mount", "-o", "remount,size=10m", str(small)], check=True)
        done = tito("compete", "--pack", place, "grade", "mine", "class", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert sorted(rows(tmp_path)) == ["student0", "student1", "student2"]
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_a_read_only_results_folder_is_said(place: Path, tmp_path: Path) -> None:
    submit(tmp_path / "class", "ada")
    (tmp_path / "file").write_text("in the way")
    done = tito(
        "compete", "--pack", place, "grade", "mine", "class", "--results", "file", cwd=tmp_path
    )
    assert done.returncode == 1
    assert "can't be written" in done.stderr


def test_isolation_can_be_required(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capabilities, "weaknesses", lambda: ["There is no hard memory cap."])
    monkeypatch.chdir(tmp_path)
    submit(tmp_path / "class", "ada")
    words = ["--pack", str(place), "grade", "mine", "class", "--require-isolation"]
    assert run(words, "tito compete") == 1
    assert not (tmp_path / "graded").exists()


def test_doctor_says_what_holds_here() -> None:
    done = tito("compete", "doctor")
    assert done.returncode == 0
    for words in ("Isolation", "bubblewrap", "memory cap", "tito", "memory_profiler"):
        assert words in done.stdout


def test_tito_says_what_it_is_where_upstream_is_missing(tmp_path: Path) -> None:
    done = tito("module", "status", cwd=tmp_path)
    assert done.returncode == 2
    assert "tinytorch-compete" in done.stderr
    assert "cs249r_book" in done.stderr


def test_tito_hands_other_words_to_upstream(tmp_path: Path) -> None:
    (tmp_path / "tito").mkdir()
    (tmp_path / "tito" / "__init__.py").write_text("")
    upstream = "import sys\ndef main():\n    print('upstream', sys.argv[1:])\n    return 7\n"
    (tmp_path / "tito" / "main.py").write_text(upstream)
    done = subprocess.run(
        [str(TITO), "module", "status"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == (7, "upstream ['module', 'status']\n")


def test_release_gives_a_student_what_they_need_and_nothing_hidden(tmp_path: Path) -> None:
    done = tito("compete", "release", "efficient-training", tmp_path / "work")
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "work").iterdir()}
    assert {"efficient-training.ipynb", "data", "tinytorch", "hints.md", "guide.md"} == names
    text = (tmp_path / "work" / "efficient-training.ipynb").read_text()
    for hidden in ("compete_probe", "HIDDEN TESTS", "BEGIN SOLUTION"):
        assert hidden not in text
    assert "raise NotImplementedError()" in text
