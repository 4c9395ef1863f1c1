"""One read of a submission: what it holds, what breaks it, and what changes after it."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from support.notebooks import make_notebook

from tinytorch_compete.errors import CompeteError, Fault, NotebookError
from tinytorch_compete.model import MIB
from tinytorch_compete.submissions import snapshot, submission
from tinytorch_compete.submissions.submission import MAX_FILES, MAX_MIB, MAX_NAME, Submission

NOBODY = 65534
TEXT = nbformat.writes(make_notebook("x = 1"))


def submit(folder: Path, **files: str | bytes) -> Submission:
    """Write a submission of a notebook and files; ``__`` in a name is a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.ipynb").write_text(TEXT)
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name.replace("__", ".")).write_bytes(data)
    return Submission("ada", folder / "mine.ipynb", folder)


def sha256(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def test_a_snapshot_holds_digests_and_sizes_of_all_files(tmp_path: Path) -> None:
    work = submit(tmp_path, model__py="x = 1", picture__png=b"\x89")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "layers.py").write_text("y = 2")
    loaded = snapshot.load(work)
    assert loaded.problem is None
    assert loaded.student == "ada"
    assert dict(loaded.sizes) == {
        "mine.ipynb": len(TEXT),
        "model.py": 5,
        "package/layers.py": 5,
        "picture.png": 1,
    }
    assert loaded.files.keys() == loaded.sizes.keys()
    assert loaded.files["mine.ipynb"] == sha256(TEXT)
    assert loaded.code() == {"model.py": "x = 1", "package/layers.py": "y = 2"}
    assert loaded.notebook().cells[0].source == "x = 1"
    assert loaded.sha == snapshot.digest(loaded.files)


def test_the_sha_depends_on_names_and_contents(tmp_path: Path) -> None:
    shas = {
        snapshot.load(submit(tmp_path / str(number), **files)).sha
        for number, files in enumerate(
            ({"a__py": "x"}, {"a__py": "y"}, {"b__py": "x"}, {}, {"a__py": "x", "b__py": "x"})
        )
    }
    assert len(shas) == 5


def test_the_data_set_and_byproducts_of_tools_are_no_part_of_a_submission(tmp_path: Path) -> None:
    work = submit(tmp_path)
    for folder in ("data", "__pycache__", ".ipynb_checkpoints"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text("x")
    assert set(snapshot.load(work).files) == {"mine.ipynb"}


def test_registration_and_time_of_sending_are_read(tmp_path: Path) -> None:
    sent = "2026-03-01 12:00:00.000000 UTC"
    loaded = snapshot.load(submit(tmp_path, compete__json="{}", timestamp__txt=sent))
    assert loaded.registration == b"{}"
    assert loaded.sent_at == dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    for path in ("compete.json", "timestamp.txt"):
        (tmp_path / path).unlink()
    loaded = snapshot.load(loaded.work)
    assert (loaded.registration, loaded.sent_at) == (None, None)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-03-01 12:00 UTC" + " " * MAX_NAME])
def test_an_unclear_time_of_sending_is_none(tmp_path: Path, text: str) -> None:
    assert snapshot.load(submit(tmp_path, timestamp__txt=text)).sent_at is None


def test_of_a_notebook_that_came_alone_nothing_else_is_digested(tmp_path: Path) -> None:
    work = submit(tmp_path, model__py="x = 1", compete__json="{}")
    loaded = snapshot.load(Submission("ada", work.notebook))
    assert set(loaded.files) == {"mine.ipynb"}
    assert loaded.registration == b"{}"
    assert loaded.code() == {}


def add_link(folder: Path) -> None:
    (folder / "passwd").symlink_to("/etc/passwd")


def add_link_to_a_folder(folder: Path) -> None:
    (folder / "etc").symlink_to("/etc")


def add_fifo(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


def add_too_many_files(folder: Path) -> None:
    for number in range(MAX_FILES):
        (folder / f"{number}.txt").touch()


def add_too_large_a_file(folder: Path) -> None:
    with (folder / "weights.bin").open("wb") as file:
        file.truncate(MAX_MIB * MIB + 1)


def add_large_files(folder: Path) -> None:
    for name in ("a.bin", "b.bin"):
        with (folder / name).open("wb") as file:
            file.truncate(MAX_MIB // 2 * MIB)


def replace_notebook_by_link(folder: Path) -> None:
    (folder / "mine.ipynb").unlink()
    (folder / "mine.ipynb").symlink_to("/etc/passwd")


@pytest.mark.parametrize(
    ("harm", "fact"),
    [
        (add_link, "passwd"),
        (add_link_to_a_folder, "etc"),
        (add_fifo, "pipe"),
        (add_too_many_files, str(MAX_FILES)),
        (add_too_large_a_file, f"{MAX_MIB} MiB"),
        (add_large_files, f"{MAX_MIB} MiB"),
        (replace_notebook_by_link, "mine.ipynb"),
    ],
)
def test_a_broken_submission_is_the_students_problem(tmp_path: Path, harm, fact: str) -> None:
    work = submit(tmp_path, compete__json="{}")
    harm(tmp_path)
    loaded = snapshot.load(work)
    assert type(loaded.problem) is NotebookError
    assert fact in str(loaded.problem)
    assert dict(loaded.files) == {}
    assert loaded.registration == b"{}"


def test_as_many_files_and_bytes_as_allowed_are_no_problem(tmp_path: Path) -> None:
    work = submit(tmp_path)
    add_too_many_files(tmp_path)
    (tmp_path / "0.txt").unlink()
    with (tmp_path / "1.txt").open("wb") as file:
        file.truncate(MAX_MIB * MIB - len(TEXT))
    loaded = snapshot.load(work)
    assert loaded.problem is None
    assert len(loaded.files) == MAX_FILES
    assert sum(loaded.sizes.values()) == MAX_MIB * MIB


class Entries(list):
    """What ``os.scandir`` returns, counting the entries that are taken from it."""

    taken = 0

    def __enter__(self) -> Entries:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[os.DirEntry[str]]:
        for entry in super().__iter__():
            self.taken += 1
            yield entry


def test_a_folder_with_far_too_many_files_is_not_listed_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = submit(tmp_path)
    entries = Entries(list(os.scandir(tmp_path)) * 10 * MAX_FILES)
    monkeypatch.setattr(submission.os, "scandir", lambda folder: entries)
    assert type(snapshot.load(work).problem) is NotebookError
    assert MAX_FILES < entries.taken < 2 * MAX_FILES


class UnknownKind:
    """An entry of a file system that says no kinds, in a folder that may not be searched."""

    name, path = "model.py", "mine/model.py"

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        raise PermissionError(13, "Permission denied")

    is_file = is_symlink = is_dir


def test_an_entry_that_cannot_be_looked_at_is_our_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = submit(tmp_path)
    monkeypatch.setattr(submission.os, "scandir", lambda folder: Entries([UnknownKind()]))
    loaded = snapshot.load(work)
    assert type(loaded.problem) is Fault
    assert UnknownKind.path in str(loaded.problem)


@pytest.mark.parametrize("name", ["compete.json", "timestamp.txt"])
@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_a_registration_that_is_no_plain_file_is_neither_followed_nor_waited_for(
    tmp_path: Path, name: str, kind: str
) -> None:
    work = submit(tmp_path / "mine")
    (tmp_path / "secret").write_text("2026-03-01 12:00:00 UTC")
    if kind == "link":
        (tmp_path / "mine" / name).symlink_to(tmp_path / "secret")
    elif kind == "fifo":
        os.mkfifo(tmp_path / "mine" / name)
    else:
        (tmp_path / "mine" / name).mkdir()
    assert dict(snapshot.cover(work)) == {}


def test_a_file_that_turns_into_a_pipe_after_the_listing_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = submit(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(snapshot, "walk", lambda folder: iter([folder / "pipe"]))
    assert type(snapshot.load(work).problem) is NotebookError


@pytest.fixture
def ordinary_folder() -> Iterator[Path]:
    """A folder of an ordinary user, as whom the test runs."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "ada")
        folder.mkdir()
        if os.geteuid() != 0:
            yield folder
            return
        for path in (Path(place), folder):
            os.chown(path, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            os.seteuid(0)


@pytest.mark.parametrize("name", [".", "mine.ipynb", "model.py", "package"])
def test_a_submission_that_may_not_be_read_is_our_fault(ordinary_folder: Path, name: str) -> None:
    work = submit(ordinary_folder, model__py="x = 1")
    (ordinary_folder / "package").mkdir()
    closed = ordinary_folder / name
    mode = closed.stat().st_mode
    closed.chmod(0)
    loaded = snapshot.load(work)
    closed.chmod(mode)
    assert type(loaded.problem) is Fault
    assert str(closed) in str(loaded.problem)
    assert snapshot.load(work).problem is None


def test_an_absent_notebook_is_the_students_error(tmp_path: Path) -> None:
    work = submit(tmp_path, model__py="x = 1")
    work.notebook.unlink()
    loaded = snapshot.load(work)
    assert loaded.problem is None
    with pytest.raises(NotebookError):
        loaded.notebook()


def test_a_later_change_of_a_file_is_not_seen(tmp_path: Path) -> None:
    work = submit(tmp_path, model__py="x = 1", compete__json="{}")
    loaded = snapshot.load(work)
    sha = loaded.sha
    work.notebook.write_text(nbformat.writes(make_notebook("x = 2")))
    (tmp_path / "model.py").write_text("x = 2")
    (tmp_path / "compete.json").unlink()
    (tmp_path / "extra.py").write_text("x = 2")
    assert loaded.notebook().cells[0].source == "x = 1"
    assert loaded.code() == {"model.py": "x = 1"}
    assert (loaded.registration, loaded.sha) == (b"{}", sha)


def test_little_of_a_submission_stays_in_memory(tmp_path: Path) -> None:
    files = {f"m{number}__py": "#" * (snapshot.MAX_HELD // 3) for number in range(9)}
    loaded = snapshot.load(submit(tmp_path, compete__json="{}", **files, weights__bin="0" * 99))
    registration_size = len("{}")
    held = sum(map(len, loaded.contents.values()))
    assert held <= snapshot.MAX_HELD + registration_size
    assert loaded.registration == b"{}"
    assert len(loaded.code()) == 9
    assert {len(text) for text in loaded.code().values()} == {snapshot.MAX_HELD // 3}
    assert loaded.notebook().cells[0].source == "x = 1"


def test_a_change_of_a_file_that_has_to_be_read_again_is_a_fault(tmp_path: Path) -> None:
    big = "#" * snapshot.MAX_HELD
    work = submit(tmp_path, big__py=big + "x = 1")
    work.notebook.write_text(nbformat.writes(make_notebook(big)))
    loaded = snapshot.load(work)
    assert loaded.notebook().cells[0].source == big
    assert loaded.code() == {"big.py": big + "x = 1"}
    work.notebook.write_text(nbformat.writes(make_notebook(big + "x = 2")))
    (tmp_path / "big.py").write_text(big + "x = 2")
    for read in (loaded.notebook, loaded.code):
        with pytest.raises(Fault):
            read()


@pytest.mark.parametrize("name", ["mine.ipynb", "extra.py"])
def test_changed_files_are_noticed(tmp_path: Path, name: str) -> None:
    loaded = snapshot.load(submit(tmp_path))
    snapshot.check_unchanged(loaded)
    (tmp_path / name).write_text("changed")
    with pytest.raises(Fault):
        snapshot.check_unchanged(loaded)


def test_a_link_that_appears_later_is_no_error_of_the_student(tmp_path: Path) -> None:
    loaded = snapshot.load(submit(tmp_path))
    add_link(tmp_path)
    with pytest.raises(CompeteError) as raised:
        snapshot.check_unchanged(loaded)
    assert type(raised.value) is Fault
