"""nbgrader's own commands on a real exchange, run by two ordinary users: staff and a student."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from support.coursework import GOLD, PACK

import tinytorch_compete
from tinytorch_compete.course import folder
from tinytorch_compete.sandbox.isolation import bubblewrap

ROOT = Path(tinytorch_compete.__file__).parents[1]
STAFF, STUDENT = "daemon", "nobody"  # every Linux has these two users, and neither has any rights
COMPETE = "import sys; from tinytorch_compete.cli.app import run; sys.exit(run(sys.argv[1:], 'x'))"


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that both users can reach, with an exchange and a home for each."""
    if os.name != "posix" or os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root on Linux can run commands as two other users, with setpriv")
    root = Path(tempfile.mkdtemp(prefix="two-users-"))
    root.chmod(0o755)
    (root / "exchange").mkdir()
    (root / "exchange").chmod(0o777)
    for user in (STAFF, STUDENT):
        home = root / user
        home.mkdir(mode=0o700)
        facts = pwd.getpwnam(user)
        os.chown(home, facts.pw_uid, facts.pw_gid)
        (home / "nbgrader_config.py").write_text(
            "c = get_config()\n"
            f"c.Exchange.root = {str(root / 'exchange')!r}\n"
            f"c.Exchange.cache = {str(home / 'cache')!r}\n"
        )
    try:
        if error := run_as(root, STAFF, root, "-c", COMPETE, "--version").stderr:
            pytest.skip(f"another user can't use this Python: {error.splitlines()[-1]}")
        yield root
    finally:
        shutil.rmtree(root)


def open_doors() -> list[str]:
    """Return a command prefix that makes Python and the package readable for other users.

    Otherwise they couldn't run an interpreter below ``/root``, for example.
    """
    needed = {Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), ROOT}
    closed = {door for path in needed for door in path.parents if not door.stat().st_mode & 1}
    walls = bubblewrap.find()
    if not closed or walls is None:
        return []
    opened = [str(walls), "--dev-bind", "/", "/", "--cap-add", "CAP_SETUID"]
    opened += ["--cap-add", "CAP_SETGID"]
    for door in sorted(closed):
        opened += ["--perms", "0755", "--tmpfs", str(door)]
    for path in sorted(path for path in needed if closed & set(path.parents)):
        for parent in reversed(path.parents):
            if closed & set(parent.parents):
                opened += ["--perms", "0755", "--dir", str(parent)]
        opened += ["--ro-bind", str(path), str(path)]
    return opened


def run_as(place: Path, user: str, where: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python as one of the users, with that user's home and rights."""
    home, facts = place / user, pwd.getpwnam(user)
    become = ["setpriv", f"--reuid={facts.pw_uid}", f"--regid={facts.pw_gid}", "--clear-groups"]
    environment = {
        "PATH": folder.environment()["PATH"],
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(home),
        "USER": user,
        "LOGNAME": user,
        "JUPYTER_CONFIG_DIR": str(home),
    }
    return subprocess.run(
        [*open_doors(), *become, sys.executable, *words],
        cwd=where,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_submissions_reach_the_staff_and_feedback_reaches_only_the_student(place: Path) -> None:
    home, course = place / STUDENT, place / STAFF / "course"

    def staff(where: Path, *words: str) -> str:
        done = run_as(place, STAFF, where, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stderr

    def student(*words: str) -> None:
        done = run_as(
            place, STUDENT, home, "-m", "nbgrader", *words, "target", "--course", "course"
        )
        assert done.returncode == 0, done.stdout + done.stderr

    compete = ("-c", COMPETE, "--pack", str(PACK), "course")
    staff(place / STAFF, *compete, "init", "course", "target")
    staff(course, *compete, "release", "target")
    student("fetch_assignment")
    path = home / "target" / "target.ipynb"
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = GOLD if "predict" in cell.source else ""
    nbformat.write(notebook, path)
    student("submit")
    (sent,) = (place / "exchange" / "course" / "inbound").iterdir()
    assert sent.owner() == STUDENT
    assert "cheating" not in staff(course, "-m", "nbgrader", "collect", "target")
    for step in ("autograde", "generate_feedback", "release_feedback"):
        staff(course, "-m", "nbgrader", step, "target")
    student("fetch_feedback")
    (page,) = home.glob("target/feedback/*/target.html")
    (score,) = re.findall(r"<strong>(\w+ · .*? points)", page.read_text())
    assert score == "OK · 10 of 10 points"
    for hidden in (course / "graded" / "secret", course / "gradebook.db"):
        done = run_as(place, STUDENT, home, "-c", f"open({str(hidden)!r})")
        assert "PermissionError" in done.stderr, done.stderr
