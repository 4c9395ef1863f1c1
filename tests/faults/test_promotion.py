"""A regrade that is killed in a shadow or in its promotion leaves the old grades or the new."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.regrades import (
    ANSWERS,
    HARSH,
    change,
    feedback,
    grade,
    make,
    points,
    public,
    staged,
    stored,
    words,
)

from tinytorch_compete.cli import grade as cli_grade
from tinytorch_compete.regrading import staging
from tinytorch_compete.results.folder import ResultsFolder
from tinytorch_compete.sandbox.fake import FakeSandbox

# A process that kills itself when one of its functions is called for the given time.
DYING = """
import os, shutil, signal, sys
from pathlib import Path
from tinytorch_compete.cli import grade as cli_grade
from tinytorch_compete.cli.app import run
from tinytorch_compete.sandbox.fake import FakeSandbox
from tinytorch_compete.results.store import Store

cli_grade.LocalSandbox = FakeSandbox
what, last = sys.argv[1], int(sys.argv[2])
owner = {"_add": Store, "append": Store, "unlink": Path, "replace": Path}
owner = owner.get(what, shutil)
act, calls = getattr(owner, what), []

def dying(*words, **more):
    calls.append(what)
    if len(calls) == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return act(*words, **more)

setattr(owner, what, dying)
sys.exit(run(sys.argv[3:], "tito compete"))
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("published"))


@pytest.fixture
def root(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the class, whose grader has become harsher since."""
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(cli_grade, "LocalSandbox", FakeSandbox)
    change(tmp_path, *HARSH)
    return tmp_path


def die(root: Path, option: str, what: str, number: int) -> None:
    """Run the command in a process that dies at that call."""
    command = [sys.executable, "-c", DYING, what, str(number), *words(root, option)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr


def is_current(root: Path) -> dict[str, bool]:
    """Whether each student's feedback shows the grade that is published."""
    return {name: f"{p:g} of 10 points" in feedback(root, name) for name, p in points(root).items()}


def test_a_shadow_that_is_killed_is_resumed_and_changes_nothing_published(root: Path) -> None:
    before = public(root)
    die(root, "--shadow", "append", 3)
    assert public(root) == before
    assert grade(root, "--shadow") == 0
    assert public(root) == before
    store = staging.stored(ResultsFolder(root / "graded"), "mine", False)
    assert sorted(r.identity.student for r in store.history()) == sorted(ANSWERS)


@pytest.mark.parametrize(
    ("what", "number"),
    [("_add", 1), ("_add", 4)],
)
def test_a_kill_before_the_switch_leaves_the_old_grades(root: Path, what: str, number: int) -> None:
    before = public(root)
    old = points(root)
    assert grade(root, "--shadow") == 0
    die(root, "--promote", what, number)
    assert points(root) == old
    files = public(root)
    assert {name: files[name] for name in before} == before
    assert stored(root).check_chain() == 4
    finish(root, old)


@pytest.mark.parametrize(
    ("what", "number"),
    [("replace", 1), ("replace", 3), ("unlink", 1), ("rmtree", 1)],
)
def test_a_kill_after_the_switch_leaves_the_new_grades_whose_feedback_follows(
    root: Path, what: str, number: int
) -> None:
    old = points(root)
    assert grade(root, "--shadow") == 0
    die(root, "--promote", what, number)
    assert points(root) == {name: earned / 2 for name, earned in old.items()}
    assert stored(root).check_chain() == 8
    if what != "rmtree":  # by then there is nothing left to go on with
        assert grade(root) == 1  # nothing is published past it
        finish(root, old)
    assert all(is_current(root).values())
    assert grade(root) == 0


def finish(root: Path, old: dict[str, float | None]) -> None:
    """Promote once more, and see the new grades and feedback, each once."""
    assert grade(root, "--promote") == 0
    assert points(root) == {name: earned / 2 for name, earned in old.items()}
    assert all(is_current(root).values())
    assert stored(root).check_chain() == 8
    assert not staged(root).exists()
