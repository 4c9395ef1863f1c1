"""The results store: append-only rows in SQLite, or in any database that a URL names."""

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

# Format 2 has withdrawals, whose rows stand among the results. Format 1 has none and is read
# unchanged; the first row that is added makes it format 2, which an older package refuses.
VERSION = 2
WITHDRAWN = "WITHDRAWN"  # in the column ``verdict`` of a withdrawal's row
BUSY_S = 30
DAMAGED = (
    "the file is damaged: a row has content that no grading wrote. It was left unchanged; restore "
    "it from a copy, or grade again into another folder."
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
    """An open results database: ``append``, ``adopt``, ``withdraw`` add rows, the others read.

    ``place`` is a file, created if it doesn't exist, or a database URL. Raises ``StoreError`` for a
    place that can't be opened, isn't a results database, or was written by a newer version of this
    package.
    """

    def __init__(self, place: Path | str) -> None:
        self.place = str(place)
        url = self.place if "://" in self.place else f"sqlite:///{place}"
        timeout = {"timeout": BUSY_S} if url.startswith("sqlite") else {}
        self._engine = sa.create_engine(url, connect_args=timeout)
        with self._reported():
            # Checked first, so that a database of another program is left unchanged.
            tables = sa.inspect(self._engine).get_table_names()
            if "facts" not in tables and (tables or self._has_pages()):
                raise StoreError(f"{self.place}: not a results database; name another one.")
            if tables:
                self._check_version()
            else:
                self._create()

    def append(self, result: Result) -> None:
        """Add one result; the row is on the disk when this returns."""
        with self._reported(), self._engine.begin() as connection:
            self._lock(connection)
            self._add(connection, result.identity, str(result.verdict), result)

    def adopt(self, results: Sequence[Result]) -> int:
        """Add the results that aren't stored yet, all at once or none; return how many those were.

        Results are the same if their ``key`` is.
        """
        with self._reported(), self._engine.begin() as connection:
            self._lock(connection)
            graded = _results.c.verdict != WITHDRAWN
            rows = connection.execute(sa.select(_results.c.result).where(graded))
            stored = {key(self._decode(row[0], Result)) for row in rows}
            added = [result for result in results if key(result) not in stored]
            for result in added:
                self._add(connection, result.identity, str(result.verdict), result)
        return len(added)

    def withdraw(self, student: str, challenge: str, reason: str) -> Result:
        """Mark a student's newest result as withdrawn, and return it so marked.

        Adds a row and changes none. Grading the student again adds a result that counts. Raises
        ``StoreError`` if there is no result to withdraw, or if it is withdrawn already.
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
                    "already; grading again adds a new one."
                )
            result = self._decode(newest.result, Result)
            withdrawal = Withdrawal(result.identity, newest.digest, reason, dt.datetime.now(dt.UTC))
            self._add(connection, result.identity, WITHDRAWN, withdrawal)
        return msgspec.structs.replace(result, withdrawal=withdrawal)

    def check_chain(self, noted: str = "") -> int:
        """Check that each row follows from all before it, and return the number of rows.

        A row's digest is the sha256 of the previous row's digest and the row itself, so no row can
        be changed, removed or inserted later without changing all digests after it. Raises
        ``StoreError`` that names the first row that doesn't fit, or if no row has the ``noted``
        digest. Without a noted digest the check can't detect that the newest rows were removed or
        that all rows were rewritten.
        """
        query = sa.select(_results).order_by(_results.c.id)
        digest, count, noted_seen = "", 0, not noted
        with self._reported(), self._engine.connect() as connection:
            for row in connection.execute(query):
                count, noted_seen = count + 1, noted_seen or row.digest == noted
                if not _agrees(row) or row.digest != (digest := _chained(digest, row.result)):
                    raise StoreError(
                        f"{self.place}: row {row.id} ({row.student}, {row.challenge}) was changed, "
                        "or a row before it was removed. Restore the file from a copy."
                    )
        if not noted_seen:
            raise StoreError(
                f"{self.place}: none of its {count} rows has the noted digest: the newest were "
                "removed, or all were rewritten. Restore the file from a copy."
            )
        return count

    def last_digest(self) -> str:
        """Return the newest row's digest, which covers all rows; empty if there are none."""
        with self._reported(), self._engine.connect() as connection:
            return self._last_digest(connection)

    def graded(self) -> set[Identity]:
        """Return the identities of all graded work; a fault is no grade."""
        query = sa.select(_results.c.identity).where(_results.c.verdict != str(Verdict.FAULT))
        with self._reported(), self._engine.connect() as connection:
            return {self._decode(row[0], Identity) for row in connection.execute(query)}

    def history(self, challenge: str | None = None) -> list[Result]:
        """Return all results, of one challenge or of all, in the order in which they were added.

        That order alone decides which result is newer, no clock. Withdrawn results are marked.
        """
        query = sa.select(_results.c.verdict, _results.c.result, _results.c.digest)
        query = query.order_by(_results.c.id)
        if challenge is not None:
            query = query.where(_results.c.challenge == challenge)
        by_digest: dict[str, Result] = {}
        with self._reported(), self._engine.connect() as connection:
            for verdict, encoded, digest in connection.execute(query):
                if verdict != WITHDRAWN:
                    by_digest[digest] = self._decode(encoded, Result)
                    continue
                withdrawal = self._decode(encoded, Withdrawal)
                if result := by_digest.get(withdrawal.digest):
                    by_digest[withdrawal.digest] = msgspec.structs.replace(
                        result, withdrawal=withdrawal
                    )
        return list(by_digest.values())

    def latest(self, challenge: str | None = None, *, final: bool = False) -> list[Result]:
        """Return each student's newest result in each challenge; a fault never hides a grade.

        Results of the final grading and all others are separate: ``final`` says which to return.
        """
        newest: dict[tuple[str, str], Result] = {}
        for result in (r for r in self.history(challenge) if r.identity.final == final):
            key = (result.identity.challenge, result.identity.student)
            if key not in newest or result.verdict != Verdict.FAULT:
                newest[key] = result
        return [newest[key] for key in sorted(newest)]

    def frame(self, challenge: str | None = None) -> pd.DataFrame:
        """Return each student's newest result in each challenge as a table; see ``table.frame``."""
        return frame(self.latest(challenge))

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    def _add(
        self,
        connection: sa.Connection,
        identity: Identity,
        verdict: str,
        content: Result | Withdrawal,
    ) -> None:
        """Add a row to the chain, in a transaction that keeps other writers out."""
        encoded = msgspec.json.encode(content)
        outdated = _facts.update().where(_facts.c.name == "version", _facts.c.value != str(VERSION))
        connection.execute(outdated.values(value=str(VERSION)))
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
        """Decode a row's content; raises ``StoreError`` if it is of another kind."""
        try:
            return msgspec.json.decode(encoded, type=kind)
        except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
            raise StoreError(f"{self.place}: {DAMAGED}") from None

    def _create(self) -> None:
        """Create the tables in one transaction: a full disk or a kill leaves none."""
        with self._engine.begin() as connection:
            if self._engine.dialect.name == "sqlite":
                self._lock(connection)
            _schema.create_all(connection)
            if connection.execute(_VERSION).scalar_one_or_none() is None:
                connection.execute(_facts.insert().values(name="version", value=str(VERSION)))

    def _has_pages(self) -> bool:
        """Whether an SQLite file without tables has content nevertheless, damaged or not."""
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
        except UnicodeDecodeError:  # SQLite's message quotes the damaged schema
            raise StoreError(f"{self.place}: {DAMAGED}") from None
        except sa.exc.SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
            if "locked" in reason:
                raise StoreError(
                    f"{self.place}: another program holds the results and didn't release them in "
                    f"{BUSY_S} s. Wait until it ends or stop it, then rerun the command; stored "
                    "results are kept."
                ) from None
            if "malformed" in reason or "decode" in reason:
                raise StoreError(f"{self.place}: {DAMAGED}") from None
            raise StoreError(
                f"{self.place}: the results can't be read or written ({reason}). "
                "Does the folder exist, is it writable, is there disk space, and is the file a "
                "results database?"
            ) from None


def _chained(previous: str, encoded: bytes) -> str:
    return hashlib.sha256(previous.encode() + encoded).hexdigest()


def _agrees(row: sa.Row[tuple[object, ...]]) -> bool:
    """Whether a row's searchable columns agree with its content."""
    try:
        if not isinstance(row.result, bytes):
            return False
        kind: type[Result | Withdrawal] = Withdrawal if row.verdict == WITHDRAWN else Result
        content = msgspec.json.decode(row.result, type=kind)
        identity = msgspec.json.decode(row.identity, type=Identity)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
        return False
    return (row.challenge, row.student, row.verdict, identity) == (
        content.identity.challenge,
        content.identity.student,
        str(content.verdict) if isinstance(content, Result) else WITHDRAWN,
        content.identity,
    )


def key(result: Result) -> tuple[Identity, dt.datetime]:
    """Return what identifies a grading: the work and its conditions, and when it was graded."""
    return result.identity, result.graded_at
