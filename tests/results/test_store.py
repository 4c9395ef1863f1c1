"""Results are only ever added, and other programs' files are left alone."""

from __future__ import annotations

import datetime as dt
import hashlib
import sqlite3
from pathlib import Path

import msgspec
import pytest
from support.results import result

from tinytorch_compete.errors import StoreError
from tinytorch_compete.model import Identity, Limits, Verdict
from tinytorch_compete.results.store import Store
from tinytorch_compete.results.table import frame, harmless


def test_a_result_is_read_as_it_was_added(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite")
    store.append(result())
    assert Store(tmp_path / "r.sqlite").history() == [result()]
    assert store.graded() == {result().identity}


def test_flags_are_kept_and_shown_in_the_table(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite")
    store.append(msgspec.structs.replace(result(), flags=("Look here.", "And there.")))
    assert store.history()[0].flags == ("Look here.", "And there.")
    assert store.frame()["flags"].tolist() == ["Look here. And there."]


def test_the_kinds_of_findings_are_kept_and_shown_in_the_table(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite")
    store.append(msgspec.structs.replace(result(), findings=("float64", "threads")))
    store.append(result("bob"))  # nobody looked
    assert [r.findings for r in store.history()] == [("float64", "threads"), None]
    assert store.frame()["findings"].tolist() == ["float64 threads", ""]


def test_a_result_from_before_there_were_flags_is_read(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite")
    store.append(result())
    store.close()
    old = msgspec.to_builtins(result())
    del old["flags"]
    encoded = msgspec.json.encode(old)
    digest = hashlib.sha256(encoded).hexdigest()
    with sqlite3.connect(tmp_path / "r.sqlite") as database:
        database.execute("UPDATE results SET result = ?, digest = ?", (encoded, digest))
    store = Store(tmp_path / "r.sqlite")
    assert store.history() == [result()]
    assert store.check_chain() == 1


def test_regrading_adds_and_the_newest_counts(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite")
    for points in (3.0, 5.0):
        store.append(result(points=points))
    store.append(result(student="ben"))
    assert len(store.history()) == 3
    assert [(r.identity.student, r.points) for r in store.latest()] == [("ada", 5.0), ("ben", 7.0)]


def test_a_fault_is_no_grade_and_hides_none(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite")
    store.append(result(verdict=Verdict.FAULT, points=None))
    assert store.graded() == set()
    assert store.latest()[0].verdict == Verdict.FAULT
    store.append(result())
    store.append(result(verdict=Verdict.FAULT, points=None))
    assert store.latest() == [result()]


def test_the_table_has_a_column_for_each_figure() -> None:
    table = frame([result(), result(verdict=Verdict.FAULT, points=None)])
    first = table.iloc[0]
    assert (first["student"], first["verdict"], first["accuracy"]) == ("ada", "OK", 0.91)
    assert (first["peak_mib"], first["wall_s"], first["sandbox"]) == (32.5, 1.5, "bubblewrap")
    assert (first["version_python"], first["submission_sha"]) == ("3.13.0", "cc")
    assert table["points"].isna().tolist() == [False, True]


def test_the_store_gives_the_newest_as_a_table(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite")
    for points in (3.0, 5.0):
        store.append(result(points=points))
    assert store.frame()["points"].tolist() == [5.0]
    assert store.frame("another").empty


def test_a_newer_versions_file_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    Store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("update facts set value = '99' where name = 'version'")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="format 99"):
        Store(path)
    assert path.read_bytes() == before


def test_another_programs_database_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("create table recipes (name text)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="results database"):
        Store(path)
    assert path.read_bytes() == before


def test_a_database_whose_tables_are_gone_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("create table recipes (name text)")
        connection.execute("drop table recipes")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="results database"):
        Store(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to look at" * 30])
def test_a_file_that_is_no_database_is_refused_and_untouched(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "r.sqlite"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"r\.sqlite: .* not a database"):
        Store(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("broken", [b"CREATE TABLE results", b"CREATE INDEX", b"challenge VARCHAR"])
def test_a_damaged_schema_is_one_clear_error(chain: Path, broken: bytes) -> None:
    content = chain.read_bytes()
    damaged = content.replace(broken, broken[:7] + b"\xff" * 5 + broken[12:])
    chain.write_bytes(damaged)
    with pytest.raises(StoreError, match="damaged"):
        Store(chain).history()
    assert chain.read_bytes() == damaged


def test_a_missing_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere/r\.sqlite: .*folder"):
        Store(tmp_path / "nowhere" / "r.sqlite")


def test_identities_differ_where_work_would_be_graded_again() -> None:
    one = result().identity
    other = msgspec.structs.replace(one, limits=Limits(memory_mib=65, wall_s=1))
    assert one != other
    assert len({one, other, result().identity}) == 2


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """A database with three results."""
    store = Store(tmp_path / "r.sqlite")
    for student in ("ada", "ben", "cy"):
        store.append(result(student))
    store.close()
    return tmp_path / "r.sqlite"


def test_an_untouched_chain_holds(chain: Path) -> None:
    store = Store(chain)
    assert store.check_chain() == 3
    before = store.last_digest()
    store.append(result("di"))
    assert (store.check_chain(), len(before)) == (4, 64)
    assert store.last_digest() != before


def test_a_noted_digest_shows_that_the_end_was_cut_off(chain: Path) -> None:
    store = Store(chain)
    noted = store.last_digest()
    store.append(result("di"))
    assert store.check_chain(noted) == 4
    store.close()
    with sqlite3.connect(chain) as database:
        database.execute("delete from results where id > 2")
    with pytest.raises(StoreError, match=r"2 rows .*noted"):
        Store(chain).check_chain(noted)


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
    with pytest.raises(StoreError, match=r"row \d+ \(.*changed"):
        Store(chain).check_chain()


def test_a_withdrawn_result_says_so_and_stays_in_the_history(chain: Path) -> None:
    store = Store(chain)
    before = store.history()
    store.withdraw("ben", "c", "shared with cy")
    after = store.history()
    assert [r.identity.student for r in after if r.withdrawal] == ["ben"]
    assert after[1].withdrawal.reason == "shared with cy"
    assert [msgspec.structs.replace(r, withdrawal=None) for r in after] == before
    assert store.latest()[1] == after[1]
    assert store.check_chain() == 4


def test_a_withdrawn_result_has_no_points_in_the_table(chain: Path) -> None:
    store = Store(chain)
    store.withdraw("ben", "c", "shared with cy")
    table = store.frame()
    assert table["points"].isna().tolist() == [False, True, False]
    assert table["withdrawn"].tolist() == ["", "shared with cy", ""]
    assert table["accuracy"].tolist() == [0.91] * 3


def test_only_a_new_grade_counts_again_after_a_withdrawal(chain: Path) -> None:
    store = Store(chain)
    store.withdraw("ben", "c", "shared with cy")
    store.append(result("ben", verdict=Verdict.FAULT, points=None))
    assert store.latest()[1].withdrawal is not None
    assert result("ben").identity in store.graded()  # a resumed batch doesn't undo it
    store.append(result("ben", points=5.0))
    assert (store.latest()[1].points, store.latest()[1].withdrawal) == (5.0, None)
    store.withdraw("ben", "c", "again")
    assert [r.withdrawal is not None for r in store.history()][1:] == [True, False, False, True]


@pytest.mark.parametrize(
    ("student", "challenge", "message"),
    [
        ("ben", "c", "'ben' in 'c' is withdrawn"),
        ("nobody", "c", "'nobody' .* 'c'"),
        ("ada", "other", "'ada' .* 'other'"),
        ("fay", "c", "'fay' .* 'c'"),
    ],
)
def test_a_result_that_cannot_be_withdrawn_is_one_clear_error(
    chain: Path, student: str, challenge: str, message: str
) -> None:
    store = Store(chain)
    store.append(result("fay", verdict=Verdict.FAULT, points=None))
    store.withdraw("ben", "c", "shared with cy")
    before = store.last_digest()
    with pytest.raises(StoreError, match=message):
        store.withdraw(student, challenge, "why")
    assert store.last_digest() == before


@pytest.mark.parametrize(
    "tampering",
    [
        "delete from results where verdict = 'WITHDRAWN'",
        "update results set verdict = 'OK' where verdict = 'WITHDRAWN'",
        "update results set student = 'cy' where verdict = 'WITHDRAWN'",
        "update results set result = replace(cast(result as text), 'shared', 'no')"
        " where verdict = 'WITHDRAWN'",
    ],
)
def test_a_withdrawal_is_part_of_the_chain(chain: Path, tampering: str) -> None:
    store = Store(chain)
    store.withdraw("ben", "c", "shared with cy")
    store.append(result("di"))
    store.close()
    with sqlite3.connect(chain) as connection:
        connection.execute(tampering)
    with pytest.raises(StoreError, match=r"row \d+ \(.*changed"):
        Store(chain).check_chain()


def version(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        return connection.execute("select value from facts where name = 'version'").fetchone()[0]


def test_a_file_of_format_1_is_read_as_it_is_and_becomes_2_when_it_is_written(chain: Path) -> None:
    with sqlite3.connect(chain) as connection:
        connection.execute("update facts set value = '1' where name = 'version'")
        rows = connection.execute("select id, result from results").fetchall()
        for number, encoded in rows:  # format 1 knew nothing of withdrawals
            assert encoded.count(b',"withdrawal":null') == 1
            old = encoded.replace(b',"withdrawal":null', b"")
            connection.execute("update results set result = ? where id = ?", (old, number))
        digest = ""
        for number, encoded in connection.execute("select id, result from results").fetchall():
            digest = hashlib.sha256(digest.encode() + encoded).hexdigest()
            connection.execute("update results set digest = ? where id = ?", (digest, number))
    before = chain.read_bytes()
    store = Store(chain)
    assert store.check_chain() == len(store.history()) == 3
    assert chain.read_bytes() == before
    store.append(result("di"))
    assert (version(chain), store.check_chain()) == ("2", 4)


def regraded(*students: str) -> list[msgspec.Struct]:
    """Results of a later day, with fewer points."""
    later = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
    return [msgspec.structs.replace(result(s, points=2.0), graded_at=later) for s in students]


def test_results_are_adopted_once_and_follow_from_all_before_them(chain: Path) -> None:
    store = Store(chain)
    before = store.history()
    assert store.adopt(regraded("ada", "ben")) == 2
    assert store.adopt(regraded("ada", "ben", "new")) == 1
    assert store.history() == [*before, *regraded("ada", "ben", "new")]
    assert store.check_chain() == len(before) + 3


def test_results_are_adopted_all_together_or_not_at_all(
    chain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, add, added = Store(chain), Store._add, []
    before = store.history()

    def failing(self: Store, *row: object) -> None:
        added.append(row)
        if len(added) == 2:
            raise KeyboardInterrupt
        add(self, *row)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "_add", failing)
        with pytest.raises(KeyboardInterrupt):
            store.adopt(regraded("ada", "ben"))
    assert store.history() == before
    assert store.check_chain() == len(before)


def test_the_order_of_rows_decides_and_no_clock(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite")
    moment = result().graded_at
    for points, seconds in ((1.0, 0), (2.0, 0), (3.0, -86400), (4.0, -86400)):
        at = moment + dt.timedelta(seconds=seconds)
        store.append(msgspec.structs.replace(result(points=points), graded_at=at))
    assert [r.points for r in store.history()] == [1.0, 2.0, 3.0, 4.0]
    assert store.latest()[0].points == 4.0
    assert store.check_chain() == 4


def test_no_text_is_a_formula_to_a_spreadsheet() -> None:
    nasty = msgspec.structs.replace(result(), message="=HYPERLINK(1)")
    table = harmless(frame([nasty]))
    assert table.iloc[0]["message"] == "'=HYPERLINK(1)"
    assert table.iloc[0]["points"] == 7.0


def test_final_and_public_results_are_kept_apart(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite")
    final = msgspec.structs.replace(result(), identity=final_identity(), points=3.0)
    for graded in (result(), final):
        store.append(graded)
    assert store.latest() == [result()]
    assert store.latest(final=True) == [final]
    assert frame(store.history())["final"].tolist() == [False, True]


def final_identity() -> Identity:
    return msgspec.structs.replace(result().identity, final=True)
