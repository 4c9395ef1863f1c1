"""Archives from an LMS: honest ones are collected and graded, hostile ones refused."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest
from support.coursework import GOLD, compete, nbgrader, submit

from tinytorch_compete.course import archives as course_archives
from tinytorch_compete.course.gradebook import CourseGradebook
from tinytorch_compete.errors import NotebookError

REGEXP = r".*/extracted/(?P<student_id>[a-z]+)/(?P<file_id>.*)"


def make(path: Path, members: dict[str | zipfile.ZipInfo, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def link(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


HOSTILE: dict[str, tuple[dict[str | zipfile.ZipInfo, bytes], str]] = {
    "absolute": ({"/tmp/compete-was-here": b"x"}, "outside"),
    "up": ({"a/../../compete-was-here": b"x"}, "outside"),
    "backslash": ({"..\\compete-was-here": b"x"}, "outside"),
    "link": ({link("target.ipynb"): b"/etc/passwd"}, "a link"),
    "bomb": ({"zeros": bytes(100 * 2**20)}, "unpacks to"),
    "crumbs": ({f"file{number}": b"" for number in range(601)}, "unpacks to"),
    "file and folder": ({"a": b"x", "a/b": b"x"}, "'a' is both"),
    "long name": ({"a" * 300: b"x"}, "printable"),
    "control characters": ({"a\x1b[2Jb": b"x"}, "printable"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    members, reason = HOSTILE[name]
    archive = make(tmp_path / "in" / "eve.zip", members)
    with pytest.raises(NotebookError, match=reason):
        course_archives.extract(archive, tmp_path / "out" / "eve")
    assert not (tmp_path / "out" / "eve").exists()
    assert not list(tmp_path.rglob("compete-was-here"))


def test_a_file_that_is_not_an_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "eve.zip").write_bytes(b"PK\x03\x04 and nothing else")
    with pytest.raises(NotebookError, match="zip file"):
        course_archives.extract(tmp_path / "eve.zip", tmp_path / "eve")


def test_a_bomb_inside_an_archive_is_refused(tmp_path: Path) -> None:
    inner = make(tmp_path / "inner.zip", {"zeros": bytes(100 * 2**20)}).read_bytes()
    archive = make(tmp_path / "eve.zip", {"inner.zip": inner})
    with pytest.raises(NotebookError, match="unpacks to"):
        course_archives.extract(archive, tmp_path / "eve")
    assert not (tmp_path / "eve").exists()


def test_archives_in_an_archive_are_unpacked_beside_each_other(tmp_path: Path) -> None:
    inner = make(tmp_path / "inner.zip", {"target.ipynb": b"{}"}).read_bytes()
    archive = make(tmp_path / "class.zip", {"ada.zip": inner, "bob/target.ipynb": b"{}"})
    course_archives.extract(archive, tmp_path / "class")
    paths = {str(path.relative_to(tmp_path / "class")) for path in tmp_path.rglob("class/*/*")}
    assert paths == {"ada/target.ipynb", "bob/target.ipynb"}


def test_zips_are_graded_without_an_exchange(course: Path) -> None:
    archives = course / "downloaded" / "target" / "archive"
    answer = "from mine import names\n" + GOLD
    notebook = submit(course.parent / "home", "ada", answer).read_bytes()
    members = {"target.ipynb": notebook, "mine/__init__.py": b"names = 10\n"}
    make(archives / "ada.zip", members)
    make(archives / "eve.zip", {"../target.ipynb": notebook})
    with (course / "nbgrader_config.py").open("a") as file:
        file.write(f"c.FileNameCollectorPlugin.named_regexp = {REGEXP!r}\n")
        file.write("c.FileNameCollectorPlugin.valid_ext = ['.ipynb', '.py']\n")
    done = nbgrader(course, "zip_collect", "target")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Refused: ") == 1 and "eve.zip" in done.stderr
    assert compete("grade", "target", "--course", course) == 0
    scores = CourseGradebook(course).scores("target")
    assert scores == {("ada", "first"): 5, ("ada", "second"): 5}
