"""Reading a ledger from PostgreSQL: binary COPY in one database transaction, decoded by `copy_decode`.

COPY takes no bound parameters, so the only value in the SQL is an instant that we render; texts are bound to a setting
of the database transaction, which COPY reads. Columns are selected as they are where their bytes can be decoded: what
the server need not convert, it sends sooner.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
from numpy.typing import NDArray
from psycopg import errors
from sqlalchemy.engine import URL

from include.errors import BadInput, LoyaltyError, Permanent, Problem, Transient
from include.ledger.catalog import ARROW_TYPES, PLACES, RELATIONS, Field, FieldType
from include.snapshots import postgres_days, postgres_some, postgres_types
from include.snapshots import postgres_session as session
from include.snapshots.copy_decode import CopyDecoder, Decoded, WireColumn
from include.snapshots.copy_stream import CopyStream
from include.snapshots.days import Days, DayTotals
from include.snapshots.reading import (
    InvalidValue,
    Origin,
    Which,
    assemble,
    no_right,
    null_problem,
    nulls_query,
    refuse,
    refuse_all,
    resolve,
    row_id,
    shape_problems,
)
from include.snapshots.replicas import ReplicaCancelled
from include.snapshots.source import Source, public_url
from include.snapshots.wire import from_last_places

LOG = logging.getLogger(__name__)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INVALID_ROWS = 10_000


class PostgresReading:
    """The `Reading` of PostgreSQL."""

    reads_days = True

    def __init__(self, connect: Callable[[], psycopg.Connection], source: Source) -> None:
        self._connect, self._connection, self._seconds = connect, connect(), source.statement_seconds
        self._where, self._mapped, self._trusted = source.where, source.mapping is not None, source.trusted
        self._streaming = self.is_replica = False
        self._copy: CopyStream | None = None
        try:
            self._begin()
        except BaseException:
            self.close()
            raise
        self._origins: dict[str, Origin] = {}
        self._wires: dict[tuple[str, str], WireColumn] = {}
        self._inexact: set[tuple[str, str]] = set()
        self._types: dict[tuple[str, str], str] = {}
        self.relations: tuple[str, ...] = ()

    def inspect(self, queries: dict[str, str], *, values: bool) -> None:
        """Find the relations and check them against the catalog; BadInput, or Permanent, lists all problems."""
        problems: list[Problem] = []
        unread: set[str] = set()
        for name, clause in self._clauses(queries).items():
            origin = Origin(RELATIONS[name], clause, self._mapped)
            place = f"{self._where}, {'query' if self._mapped else 'table'} {name}"
            described = self._described(place, clause)
            if isinstance(described, Problem):
                problems.append(described)
                unread.add(name)
                continue
            known = [column for column in described if column.name in origin.relation.names]
            origin.unknown = tuple(column.name for column in described if column not in known)
            for column in known:
                field = origin.relation.field(column.name)
                origin.expressions[field.name] = self._expression(name, field, column) or "NULL"
                if (name, field.name) not in self._wires:
                    at, right = (
                        f"{place}, column {field.name}",
                        f"select it as {postgres_types.EXPECTED[field.type]}",
                    )
                    problems.append(Problem(at, column.type_display, right, "wrong_type"))
            self._origins[name] = origin
        problems += shape_problems(
            self._where, self._origins, mapped=self._mapped, trusted=self._trusted, unread=unread
        )
        if self._mapped and values and not problems:
            problems += self._null_problems()
        refuse_all(problems)
        self.relations = tuple(self._origins)

    def _described(self, place: str, clause: str) -> Sequence[psycopg.Column] | Problem:
        """Return the columns of a relation, or why it cannot be read; the database transaction goes on."""
        try:
            with self._connection.transaction():
                return self._connection.execute(f"SELECT * FROM {clause} LIMIT 0").description or ()
        except psycopg.OperationalError as error:
            raise self._failure(error) from error
        except errors.InsufficientPrivilege as error:
            return no_right(place, _first_line(error), self._connection.info.user)
        except psycopg.Error as error:
            return Problem(place, _first_line(error), "write a query that runs", "bad_query")

    def _clauses(self, queries: dict[str, str]) -> dict[str, str]:
        if self._mapped:
            return {name: f"(\n{queries[name]}\n) AS mapped" for name in RELATIONS if name in queries}
        names = ", ".join(f"('{name}')" for name in RELATIONS)
        found = self._rows(
            f"SELECT name FROM (VALUES {names}) AS v (name) WHERE to_regclass(name) IS NOT NULL"
        )
        return {name: f'"{name}"' for name in RELATIONS if (name,) in found}

    def _null_problems(self) -> list[Problem]:
        problems = []
        for name, origin in self._origins.items():
            names, sql = nulls_query(origin, {column: f'"{column}"' for column in origin.expressions})
            for column, null in zip(names, self._rows(sql)[0], strict=True):
                if null:
                    problems.append(null_problem(self._where, name, column))
        return problems

    def _expression(self, relation: str, field: Field, column: psycopg.Column) -> str | None:
        """Return what to select for a field, and note how it is sent; None when its type cannot hold it."""
        self._types[relation, field.name] = postgres_types.name_of(column) or ""
        sent = postgres_types.sent(field, column)
        if sent is None:
            return None
        self._wires[relation, field.name] = sent.wire
        if sent.inexact:
            self._inexact.add((relation, field.name))
        return sent.expression

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    @contextmanager
    def beside(self) -> Iterator[PostgresReading | None]:
        """Give another reading of the same state of the ledger; see `Reading`."""
        other = self._other()
        try:
            yield other
        finally:
            if other is not None:
                other.close()

    def _other(self) -> PostgresReading | None:
        """Return a reading on a connection of its own; None where the server, or what pools for it, gives none."""
        if self.is_replica:
            return None
        ((exported,),) = self._rows("SELECT pg_export_snapshot()")
        other, connection = copy(self), None
        try:
            connection = other._connection = self._connect()  # noqa: SLF001
            connection.execute(f"{session.SESSION}'{self._seconds}s'")
            connection.execute(f"SET TRANSACTION SNAPSHOT '{exported}'")
        except psycopg.Error as error:
            LOG.info("%s: one connection reads everything: %s", self._where, _first_line(error))
            if connection is not None:
                connection.close()
            return None
        return other

    def rest(self) -> None:
        """End the database transaction; see `Reading`."""
        self._end_copy()
        self._connection.rollback()

    def again(self) -> None:
        """Begin another database transaction; see `Reading`."""
        self._begin()

    def _begin(self) -> None:
        """Begin a database transaction, note when, and the oldest other one; a standby does not know the primary's."""
        replayed = self._rows(session.REPLAYED)
        self._connection.rollback()
        try:
            self._connection.execute(f"{session.SESSION}'{self._seconds}s'")
        except psycopg.Error as error:
            raise self._failure(error) from error
        row = self._rows(session.OPEN)[0]
        self.read_at: int = row[0]
        self._oldest = None if row[1] else (self.read_at if row[2] is None else int(row[2]))
        self.is_replica = bool(replayed)
        if self.is_replica:
            self.read_at, self._oldest = replayed[0][0] or 0, None

    def has(self, relation: str) -> bool:
        """Whether the ledger has the relation."""
        return relation in self._origins

    def columns(self, relation: str) -> tuple[str, ...]:
        """Return the canonical columns that the relation really has."""
        origin = resolve(self._origins, self._where, relation, ())
        return tuple(name for name in origin.relation.names if name in origin.expressions)

    def oldest_open_transaction(self) -> int | None:
        """Return the start of the oldest other open database transaction; see `Reading`."""
        return self._oldest

    def stream(
        self, relation: str, columns: Sequence[str], *, created_before: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows; see `Reading`."""
        condition = ""
        if created_before is not None:
            moment = _EPOCH + timedelta(microseconds=created_before)
            condition = f" WHERE created_at < TIMESTAMPTZ '{moment.isoformat()}'"
        return self._stream(relation, columns, condition, strict=True)

    def day_totals(self, relation: str, columns: Sequence[str], days: Days | None = None) -> DayTotals | None:
        """Return the control totals; see `Reading`."""
        origin = resolve(self._origins, self._where, relation, columns)
        wires = {name: self._wires[relation, name] for name in columns if name in origin.expressions}
        self._end_copy()
        try:
            return postgres_days.totals(self._connection, origin, wires, days)
        except psycopg.Error as error:
            raise self._failure(error) from error

    def stream_days(
        self, relation: str, columns: Sequence[str], days: Days, by: str | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of some days; see `Reading`."""
        origin = resolve(self._origins, self._where, relation, columns)
        condition = postgres_days.condition(origin, columns, days, by)
        return self._stream(relation, columns, f" WHERE {condition}", strict=True)

    def count(self, relation: str) -> int:
        """Return how many rows there are; see `Reading`."""
        origin = resolve(self._origins, self._where, relation, ())
        return int(self._rows(f"SELECT count(*) FROM {origin.clause}")[0][0])

    def stream_lenient(self, relation: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows, invalid values as nulls; see `Reading`."""
        return self._stream(relation, columns, "", strict=False)

    def stream_some(self, relation: str, columns: Sequence[str], which: Which) -> Iterator[pa.RecordBatch]:
        """Yield some rows; see `Reading`."""
        origin = resolve(self._origins, self._where, relation, columns)
        if which.column not in origin.expressions:
            return
        condition = postgres_some.condition(origin, self._types[relation, which.column], which)
        limit = "" if which.limit is None else f" LIMIT {which.limit}"
        self._bind(json.dumps(which.bound, ensure_ascii=False))
        for batch in self._stream(relation, columns, f" WHERE {condition}{limit}", strict=True):
            yield which.exactly(batch)

    def _bind(self, values: str) -> None:
        self._end_copy()
        try:
            self._connection.execute(f"SELECT set_config('{postgres_some.SETTING}', %s, true)", [values])
        except psycopg.Error as error:
            raise self._failure(error) from error

    def _stream(
        self, relation: str, columns: Sequence[str], condition: str, *, strict: bool
    ) -> Iterator[pa.RecordBatch]:
        origin = resolve(self._origins, self._where, relation, columns)
        present = [name for name in columns if name in origin.expressions]
        fields = [origin.relation.field(name) for name in present]
        listed = ", ".join(origin.expressions[name] for name in present)
        decoder = CopyDecoder([self._wires[relation, name] for name in present])
        for block in self._blocks(f"SELECT {listed} FROM {origin.clause}{condition}"):
            decoded = decoder.decode(block)
            arrays = {
                field.name: _physical(field, array)
                for field, array in zip(fields, decoded.arrays, strict=True)
            }
            if strict and decoded.refused:
                raise _refusal(origin, fields, arrays, decoded)
            if decoded.rows:
                yield assemble(origin.relation, columns, arrays, decoded.rows, strict=strict)

    def _blocks(self, sql: str) -> Iterator[NDArray[np.uint8]]:
        self._end_copy()
        try:
            self._copy = CopyStream(self._connection, sql)
            self._streaming = True
            yield from self._copy.blocks()
        except psycopg.Error as error:
            raise self._failure(error) from error
        finally:
            self._streaming = False

    def _end_copy(self) -> None:
        """Read to its end a stream that was left early; RuntimeError when one is still being read."""
        if self._streaming:
            raise RuntimeError("a stream is still open on this reading: one connection has one at a time")
        if self._copy is not None:
            copy, self._copy = self._copy, None
            try:
                copy.drain()
            except psycopg.Error as error:
                raise self._failure(error) from error

    def invalid(self, relation: str) -> Iterator[InvalidValue]:
        """Yield numbers that do not fit, and instants and dates that are infinite; see `Reading`."""
        origin = resolve(self._origins, self._where, relation, ())
        tests = [
            (f"('{name}', '{rule}', \"{name}\"::text, {wrong})", wrong)
            for name in origin.expressions
            for rule, wrong in postgres_types.refused(
                name, self._wires[relation, name], inexact=(relation, name) in self._inexact
            )
        ]
        if not tests:
            return
        keys = [
            f"COALESCE(\"{name}\"::text, '')" for name in origin.relation.key if name in origin.expressions
        ]
        key = " || '/' || ".join(keys) or "'?'"
        rows = f"SELECT * FROM {origin.clause} WHERE {' OR '.join(wrong for _, wrong in tests)}"
        values = f"(VALUES {', '.join(row for row, _ in tests)}) AS found (_column, _rule, _value, _wrong)"
        sql = f"SELECT _rule, _column, {key}, _value FROM ({rows}) AS wrong CROSS JOIN LATERAL {values} WHERE _wrong"
        self._end_copy()
        try:
            with self._connection.cursor(name="invalid") as cursor:  # on the server: there may be many
                cursor.itersize = _INVALID_ROWS
                for rule, column, row, value in cursor.execute(sql):
                    yield InvalidValue(rule, relation, column, row, value)
        except psycopg.Error as error:
            raise self._failure(error) from error

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            self._end_copy()
            return self._connection.execute(sql).fetchall()
        except psycopg.Error as error:
            raise self._failure(error) from error

    def _failure(self, error: psycopg.Error) -> LoyaltyError:
        text, state = _first_line(error), error.sqlstate or ""
        # It ends idle ones unheard.
        if self.is_replica and state in {"", errors.SerializationFailure.sqlstate}:
            return ReplicaCancelled(f"{self._where}: the replica ended the read: {text}")
        if state.startswith(("08", "40", "53", "55", "57")) or not state:
            return Transient(f"{self._where}: reading was interrupted: {text}")
        return Permanent(f"{self._where}: {text}")


def _physical(field: Field, array: pa.Array) -> pa.Array:
    if field.type in PLACES:
        return from_last_places(field, array)
    if field.type is FieldType.DATE:
        array = array.cast(pa.int32())
    kind = ARROW_TYPES[field.type]
    return array if array.type == kind else array.cast(kind)


def _refusal(
    origin: Origin, fields: Sequence[Field], arrays: Mapping[str, pa.Array], decoded: Decoded
) -> LoyaltyError:
    """Return the error for the first value of a block that its type cannot hold."""
    first = min(decoded.refused, key=lambda each: each.row)
    key = row_id(origin.relation, arrays, first.row)
    column = fields[first.column].name
    return refuse(InvalidValue(first.rule, origin.relation.name, column, key, first.value))


def _first_line(error: BaseException) -> str:
    return str(error).split("\n")[0].strip()


@contextmanager
def reading(source: Source, url: URL, *, values: bool) -> Iterator[PostgresReading]:
    """Open the transaction; see `source.open_read`."""
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    where = public_url(source.url)
    connect = partial(psycopg.connect, plain, client_encoding="utf8", prepare_threshold=None)
    try:
        opened = PostgresReading(connect, source)
    except psycopg.Error as error:
        text = " ".join(str(error).split())  # one line for each address that the host has
        if any(word in text for word in ("FATAL:  database", "authentication", "role", "pg_hba")):
            raise BadInput([Problem(where, text, "give a ledger URL that connects", "bad_url")]) from error
        raise Transient(f"{where} cannot be reached: {text}") from error
    try:
        opened.inspect(dict(source.mapping.queries) if source.mapping else {}, values=values)
        yield opened
    finally:
        opened.close()
