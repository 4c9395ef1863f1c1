"""Results are only ever added, and a stranger's file is left alone."""

from __future__ import annotations

import datetime as dt
import sqlite3
from pathlib import Path

import msgspec
import pytest

from tinytorch_compete import store
from tinytorch_compete.errors import StoreError
from tinytorch_compete.model import CellResult, Identity, Limits, Result, Verdict
from tinytorch_compete.store import Store


def result(student: str = "ada", verdict: Verdict = Verdict.OK, points: float | None = 7.0):
    identity = Identity(
        student, "c", "aa", "bb", "cc", "dd", "shapes32:ee", Limits(memory_mib=64, wall_s=1)
    )
    return Result(
        identity=identity,
        verdict=verdict,
        message="",
        points=points,
        max_points=10.0,
        tier="expert",
        division="64 MiB",
        metrics={"accuracy": 0.91},
        cells=(CellResult("holdout", 7.0, 10.0, "fine"),),
        wall_s=1.5,
        cpu_s=1.25,
        peak_mib=32.5,
        baseline_mib=40.0,
        layers=("bubblewrap",),
        versions={"python": "3.13.0"},
        files={"c.ipynb": "ff"},
        graded_at=dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
    )


def test_a_result_comes_back_as_it_was(tmp_path: Path) -> None:
    kept = Store(tmp_path / "r.sqlite")
    kept.append(result())
    assert Store(tmp_path / "r.sqlite").history() == [result()]
    assert kept.graded() == {result().identity}


def test_regrading_adds_and_the_newest_counts(tmp_path: Path) -> None:
    kept = Store(tmp_path / "r.sqlite")
    for points in (3.0, 5.0):
        kept.append(result(points=points))
    kept.append(result(student="ben"))
    assert len(kept.history()) == 3
    assert [(r.identity.student, r.points) for r in kept.latest()] == [("ada", 5.0), ("ben", 7.0)]


def test_a_fault_is_no_grade_and_hides_none(tmp_path: Path) -> None:
    kept = Store(tmp_path / "r.sqlite")
    kept.append(result(verdict=Verdict.FAULT, points=None))
    assert kept.graded() == set()
    assert kept.latest()[0].verdict == Verdict.FAULT
    kept.append(result())
    kept.append(result(verdict=Verdict.FAULT, points=None))
    assert kept.latest() == [result()]


def test_the_table_has_a_column_for_each_figure() -> None:
    table = store.frame([result(), result(verdict=Verdict.FAULT, points=None)])
    first = table.iloc[0]
    assert (first["student"], first["verdict"], first["accuracy"]) == ("ada", "OK", 0.91)
    assert (first["peak_mib"], first["wall_s"], first["sandbox"]) == (32.5, 1.5, "bubblewrap")
    assert (first["version_python"], first["submission_sha"]) == ("3.13.0", "cc")
    assert table["points"].isna().tolist() == [False, True]


def test_the_store_gives_the_newest_as_a_table(tmp_path: Path) -> None:
    results = Store(tmp_path / "r.sqlite")
    for points in (3.0, 5.0):
        results.append(result(points=points))
    assert results.frame()["points"].tolist() == [5.0]
    assert results.frame("another").empty


def test_a_newer_versions_file_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    Store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("update facts set value = '99' where name = 'version'")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer version"):
        Store(path)
    assert path.read_bytes() == before


def test_a_strangers_database_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("create table recipes (name text)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="not one of results"):
        Store(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to look at" * 30])
def test_what_is_no_database_is_refused_and_untouched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r.sqlite"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="can't be read or written"):
        Store(path)
    assert path.read_bytes() == content


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Is the folder there"):
        Store(tmp_path / "nowhere" / "r.sqlite")


def test_identities_tell_what_would_be_graded_anew() -> None:
    one = result().identity
    other = msgspec.structs.replace(one, limits=Limits(memory_mib=65, wall_s=1))
    assert one != other
    assert len({one, other, result().identity}) == 2


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """A database with three results."""
    kept = Store(tmp_path / "r.sqlite")
    for student in ("ada", "ben", "cy"):
        kept.append(result(student))
    kept.close()
    return tmp_path / "r.sqlite"


def test_an_untouched_chain_holds(chain: Path) -> None:
    kept = Store(chain)
    assert kept.check_chain() == 3
    before = kept.last_digest()
    kept.append(result("di"))
    assert (kept.check_chain(), len(before)) == (4, 64)
    assert kept.last_digest() != before


@pytest.mark.parametrize(
    "tampering",
    [
        "update results set result = replace(cast(result as text), '7.0', '9.0') where id = 2",
        "update results set student = 'eve' where id = 2",
        "update results set verdict = 'FAULT' where id = 2",
        "update results set identity = x'7b7d' where id = 2",
        "delete from results where id = 2",
        "delete from results where id = 1",
        "update results set digest = 'x' where id = 3",
    ],
)
def test_a_changed_or_removed_row_breaks_the_chain(chain: Path, tampering: str) -> None:
    with sqlite3.connect(chain) as connection:
        connection.execute(tampering)
    with pytest.raises(StoreError, match="was changed"):
        Store(chain).check_chain()


def test_no_text_is_a_formula_to_a_spreadsheet() -> None:
    nasty = msgspec.structs.replace(result(), message="=HYPERLINK(1)")
    table = store.harmless(store.frame([nasty]))
    assert table.iloc[0]["message"] == "'=HYPERLINK(1)"
    assert table.iloc[0]["points"] == 7.0


def test_final_and_public_results_are_kept_apart(tmp_path: Path) -> None:
    kept = Store(tmp_path / "r.sqlite")
    final = msgspec.structs.replace(result(), identity=final_identity(), points=3.0)
    for made in (result(), final):
        kept.append(made)
    assert kept.latest() == [result()]
    assert kept.latest(final=True) == [final]
    assert store.frame(kept.history())["final"].tolist() == [False, True]


def final_identity() -> Identity:
    return msgspec.structs.replace(result().identity, final=True)
