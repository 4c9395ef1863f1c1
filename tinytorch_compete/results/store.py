"""The results: rows that are only ever added, in SQLite or whatever database a URL names."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import pandas as pd
import sqlalchemy as sa

from tinytorch_compete.errors import StoreError
from tinytorch_compete.model import Identity, Result, Verdict, Withdrawal
from tinytorch_compete.results.table import frame

# Format 2 has withdrawals, whose rows stand among the results. Format 1 has none and is read as it
# is; the first row that is added to it makes it format 2, which an older package refuses.
VERSION = 2
WITHDRAWN = "WITHDRAWN"  # in the column of verdicts: the row is a withdrawal
BUSY_S = 30
DAMAGED = (
    "the file is damaged: a row holds what no grading wrote. It was left as it is; restore it from "
    "a copy, or name another folder and grade anew."
)
Part = TypeVar("Part", Identity, Result, Withdrawal)
_schema = sa.MetaData()
_facts = sa.Table(
    "facts",
    _schema,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.String(200), nullable=False),
)
_results = sa.Table(
    "results",
    _schema,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("challenge", sa.String(100), nullable=False, index=True),
    sa.Column("student", sa.String(200), nullable=False),
    sa.Column("verdict", sa.String(20), nullable=False),
    sa.Column("identity", sa.LargeBinary, nullable=False),
    sa.Column("result", sa.LargeBinary, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
)
_VERSION = sa.select(_facts.c.value).where(_facts.c.name == "version")


class Store:
    """An open results database: ``append``, ``adopt``, ``withdraw`` add rows, all else reads.

    ``place`` is a file, made if it isn't there, or a database URL. Raises ``StoreError`` for a
    place that can't be opened, isn't ours, or was written by a newer version of this package.
    """

    def __init__(self, place: Path | str) -> None:
        self.place = str(place)
        url = self.place if "://" in self.place else f"sqlite:///{place}"
        timeout = {"timeout": BUSY_S} if url.startswith("sqlite") else {}
        self._engine = sa.create_engine(url, connect_args=timeout)
        with self._reported():
            # Looked at first, so that a stranger's database is left as it was.
            known = sa.inspect(self._engine).get_table_names()
            if "facts" not in known and (known or self._has_pages()):
                raise StoreError(f"{self.place}: a database, but not one of results; name another.")
            if known:
                self._check_version()
            else:
                self._make()

    def append(self, result: Result) -> None:
        """Add one result; the row is on the disk when this returns."""
        with self._reported(), self._engine.begin() as connection:
            self._lock(connection)
            self._add(connection, result.identity, str(result.verdict), result)

    def adopt(self, results: Sequence[Result]) -> int:
        """Add the results that aren't here yet, all at once or none; returns how many that were.

        Which ones are here is told by ``key``.
        """
        with self._reported(), self._engine.begin() as connection:
            self._lock(connection)
            graded = _results.c.verdict != WITHDRAWN
            rows = connection.execute(sa.select(_results.c.result).where(graded))
            known = {key(self._decode(row[0], Result)) for row in rows}
            added = [result for result in results if key(result) not in known]
            for result in added:
                self._add(connection, result.identity, str(result.verdict), result)
        return len(added)

    def withdraw(self, student: str, challenge: str, reason: str) -> Result:
        """Mark a student's newest result as withdrawn; returns it as it stands now.

        Adds a row and changes none. Grading the student again adds a result that counts. Raises
        ``StoreError`` if there is no result to withdraw, or it is withdrawn already.
        """
        with self._reported(), self._engine.begin() as connection:
            self._lock(connection)
            query = sa.select(_results).order_by(_results.c.id)
            rows = connection.execute(query.where(_results.c.challenge == challenge)).all()
            own = [row for row in rows if row.student == student]
            graded = [row for row in own if row.verdict not in (WITHDRAWN, str(Verdict.FAULT))]
            if not graded:
                raise StoreError(f"{self.place}: {student!r} has no result in {challenge!r}.")
            newest = graded[-1]
            if any(row.verdict == WITHDRAWN and row.id > newest.id for row in own):
                raise StoreError(
                    f"{self.place}: the newest result of {student!r} in {challenge!r} is withdrawn "
                    "already; grading again makes a new one."
                )
            result = self._decode(newest.result, Result)
            made = Withdrawal(result.identity, newest.digest, reason, dt.datetime.now(dt.UTC))
            self._add(connection, result.identity, WITHDRAWN, made)
        return msgspec.structs.replace(result, withdrawal=made)

    def check_chain(self, noted: str = "") -> int:
        """How many rows there are, after checking that each follows from all before it.

        A row's digest is the sha256 of the previous row's digest and the row itself, so that no row
        can be changed, removed or put in between later without changing all digests after it.
        Raises ``StoreError`` that names the first row that doesn't fit, or if no row has the digest
        that was ``noted``. Without one it can't see the loss of the newest rows, nor that all were
        written anew.
        """
        query = sa.select(_results).order_by(_results.c.id)
        digest, count, met = "", 0, not noted
        with self._reported(), self._engine.connect() as connection:
            for row in connection.execute(query):
                count, met = count + 1, met or row.digest == noted
                if not _agrees(row) or row.digest != (digest := _chained(digest, row.result)):
                    raise StoreError(
                        f"{self.place}: row {row.id} ({row.student}, {row.challenge}) was changed, "
                        "or a row before it was removed. Restore the file from a copy."
                    )
        if not met:
            raise StoreError(
                f"{self.place}: none of its {count} rows has the digest that was noted: the newest "
                "ones were removed, or all written anew. Restore the file from a copy."
            )
        return count

    def last_digest(self) -> str:
        """The newest row's digest, which stands for all rows; empty if there are none."""
        with self._reported(), self._engine.connect() as connection:
            return self._last_digest(connection)

    def graded(self) -> set[Identity]:
        """The identities of all work that has a grade; faults have none."""
        query = sa.select(_results.c.identity).where(_results.c.verdict != str(Verdict.FAULT))
        with self._reported(), self._engine.connect() as connection:
            return {self._decode(row[0], Identity) for row in connection.execute(query)}

    def history(self, challenge: str | None = None) -> list[Result]:
        """All results, of one challenge or of all, in the order in which they were added.

        That order alone says what is newer: no clock does. Those that were withdrawn say so.
        """
        query = sa.select(_results.c.verdict, _results.c.result, _results.c.digest)
        query = query.order_by(_results.c.id)
        if challenge is not None:
            query = query.where(_results.c.challenge == challenge)
        found: dict[str, Result] = {}
        with self._reported(), self._engine.connect() as connection:
            for verdict, encoded, digest in connection.execute(query):
                if verdict != WITHDRAWN:
                    found[digest] = self._decode(encoded, Result)
                    continue
                later = self._decode(encoded, Withdrawal)
                if later.digest in found:
                    found[later.digest] = msgspec.structs.replace(
                        found[later.digest], withdrawal=later
                    )
        return list(found.values())

    def latest(self, challenge: str | None = None, *, final: bool = False) -> list[Result]:
        """Each student's newest result in each challenge; a fault yields to any grade before it.

        Those of the final grading are kept apart from all others.
        """
        newest: dict[tuple[str, str], Result] = {}
        for result in (r for r in self.history(challenge) if r.identity.final == final):
            key = (result.identity.challenge, result.identity.student)
            if key not in newest or result.verdict != Verdict.FAULT:
                newest[key] = result
        return [newest[key] for key in sorted(newest)]

    def frame(self, challenge: str | None = None) -> pd.DataFrame:
        """Each student's newest result in each challenge as a table; see ``frame`` below."""
        return frame(self.latest(challenge))

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def _add(
        self, connection: sa.Connection, identity: Identity, verdict: str, what: Result | Withdrawal
    ) -> None:
        """Add a row to the chain, in a transaction that keeps other writers out."""
        encoded = msgspec.json.encode(what)
        newer = _facts.update().where(_facts.c.name == "version", _facts.c.value != str(VERSION))
        connection.execute(newer.values(value=str(VERSION)))
        connection.execute(
            _results.insert().values(
                challenge=identity.challenge,
                student=identity.student,
                verdict=verdict,
                identity=msgspec.json.encode(identity),
                result=encoded,
                digest=_chained(self._last_digest(connection), encoded),
            )
        )

    def _decode(self, encoded: bytes, kind: type[Part]) -> Part:
        """What a row says; raises ``StoreError`` for bytes that are no such thing."""
        try:
            return msgspec.json.decode(encoded, type=kind)
        except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
            raise StoreError(f"{self.place}: {DAMAGED}") from None

    def _make(self) -> None:
        """Make the tables all at once: a full disk or a kill leaves none."""
        with self._engine.begin() as connection:
            if self._engine.dialect.name == "sqlite":
                self._lock(connection)
            _schema.create_all(connection)
            if connection.execute(_VERSION).scalar_one_or_none() is None:
                connection.execute(_facts.insert().values(name="version", value=str(VERSION)))

    def _has_pages(self) -> bool:
        """Whether an SQLite file without tables holds anything all the same, damaged or not."""
        if self._engine.dialect.name != "sqlite":
            return False
        with self._engine.connect() as connection:
            return bool(connection.exec_driver_sql("PRAGMA page_count").scalar())

    def _lock(self, connection: sa.Connection) -> None:
        """Keep other writers out until the transaction ends."""
        if self._engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.select(_facts).with_for_update())

    @staticmethod
    def _last_digest(connection: sa.Connection) -> str:
        query = sa.select(_results.c.digest).order_by(_results.c.id.desc()).limit(1)
        return connection.execute(query).scalar_one_or_none() or ""

    def _check_version(self) -> None:
        with self._engine.connect() as connection:
            version = connection.execute(_VERSION).scalar_one_or_none()
        if not re.fullmatch(r"[0-9]{1,9}", str(version)):
            raise StoreError(f"{self.place}: {DAMAGED}")
        if int(str(version)) > VERSION:
            raise StoreError(
                f"{self.place}: written by a newer version of tinytorch-compete (format {version}, "
                f"this one reads {VERSION}). Upgrade: pip install -U tinytorch-compete"
            )

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError:  # SQLite's own words about a damaged schema quote it
            raise StoreError(f"{self.place}: {DAMAGED}") from None
        except sa.exc.SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
            if "locked" in reason:
                raise StoreError(
                    f"{self.place}: another program holds the results, for {BUSY_S} s already. "
                    "Let it end or end it, then run the same command again; what is in is kept."
                ) from None
            if "malformed" in reason or "decode" in reason:
                raise StoreError(f"{self.place}: {DAMAGED}") from None
            raise StoreError(
                f"{self.place}: the results can't be read or written ({reason}). "
                "Is the folder there and writable, the disk not full, the file a results database?"
            ) from None


def _chained(previous: str, encoded: bytes) -> str:
    return hashlib.sha256(previous.encode() + encoded).hexdigest()


def _agrees(row: sa.Row[tuple[object, ...]]) -> bool:
    """Whether the columns that are searched say what the result itself says."""
    try:
        if not isinstance(row.result, bytes):
            return False
        kind: type[Result | Withdrawal] = Withdrawal if row.verdict == WITHDRAWN else Result
        said = msgspec.json.decode(row.result, type=kind)
        identity = msgspec.json.decode(row.identity, type=Identity)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
        return False
    return (row.challenge, row.student, row.verdict, identity) == (
        said.identity.challenge,
        said.identity.student,
        str(said.verdict) if isinstance(said, Result) else WITHDRAWN,
        said.identity,
    )


def key(result: Result) -> tuple[Identity, dt.datetime]:
    """What tells gradings apart: the work and its conditions, and when it was graded."""
    return result.identity, result.graded_at
