"""Reading a ledger from PostgreSQL: ADBC's record-batch stream over COPY, in one database transaction.

Bound parameters would turn streaming off, so the only value in the SQL is an instant that we render. What
ADBC gives as text (NUMERIC) is selected as a 64-bit count of the last place instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
from sqlalchemy.engine import URL

from include.errors import BadInput, LedgerViolation, LoyaltyError, Permanent, Problem, Transient
from include.ledger.catalog import ARROW_TYPES, PLACES, RELATIONS, Field, FieldType
from include.snapshots.reading import (
    InvalidValue,
    Origin,
    assemble,
    null_problem,
    nulls_query,
    resolve,
    shape_problems,
)
from include.snapshots.source import Source, public_url
from include.snapshots.wire import TEXTUAL, from_last_places

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAY_BE_INFINITE = frozenset({"expires_at", "valid_until", "ends_at"})
_SESSION = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    "SET LOCAL client_connection_check_interval = '1s'",
    "SET LOCAL synchronize_seqscans = off",
    # Rows in the order in which they were written: parallel workers would shuffle them.
    "SET LOCAL max_parallel_workers_per_gather = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
)
# Other sessions whose start we may not see make the answer unknown; prepared transactions count too.
_OPEN = """
SELECT (EXTRACT(EPOCH FROM transaction_timestamp()) * 1000000)::bigint,
       bool_or(hidden), (EXTRACT(EPOCH FROM min(start)) * 1000000)::bigint
FROM (SELECT query = '<insufficient privilege>' AS hidden, xact_start AS start FROM pg_stat_activity
      WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
      UNION ALL SELECT false, prepared FROM pg_prepared_xacts WHERE database = current_database()) AS open"""


class PostgresReading:
    """The `Reading` of PostgreSQL."""

    def __init__(self, connection: Any, where: str, mapped: bool) -> None:
        self._connection, self._where, self._mapped = connection, where, mapped
        self._streaming = False
        row = self._rows(_OPEN)[0]
        self.read_at: int = row[0]
        self._oldest = None if row[1] else (self.read_at if row[2] is None else int(row[2]))
        self._origins: dict[str, Origin] = {}
        self._inexact: dict[tuple[str, str], int] = {}
        self.relations: tuple[str, ...] = ()

    def inspect(self, queries: dict[str, str], *, values: bool) -> None:
        """Find the relations and check them against the catalog; BadInput lists all problems."""
        problems: list[Problem] = []
        for name, clause in self._clauses(queries).items():
            origin = Origin(RELATIONS[name], clause, self._mapped)
            place = f"{self._where}, {'query' if self._mapped else 'table'} {name}"
            try:
                with self._connection.cursor() as cursor:
                    schema = cursor.adbc_execute_schema(f"SELECT * FROM {clause}")
            except adbc_driver_manager.Error as error:
                problems.append(Problem(place, _first_line(error), "write a query that runs", "bad_query"))
                break  # the transaction is over: what follows would only repeat it
            origin.unknown = tuple(column for column in schema.names if column not in origin.relation.names)
            for column in schema:
                if column.name in origin.unknown:
                    continue
                field = origin.relation.field(column.name)
                expression = self._expression(name, field, column)
                if expression:
                    origin.expressions[field.name] = expression
                else:
                    origin.expressions[field.name] = "NULL"
                    right = f"select it as {_EXPECTED[field.type]}"
                    problems.append(
                        Problem(f"{place}, column {field.name}", _type(column), right, "wrong_type")
                    )
            self._origins[name] = origin
        problems += [] if problems else shape_problems(self._where, self._origins, mapped=self._mapped)
        if self._mapped and values and not problems:
            problems += self._null_problems()
        if problems:
            raise BadInput(problems)
        self.relations = tuple(self._origins)

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

    def _expression(self, relation: str, field: Field, column: pa.Field) -> str | None:
        """Return what to select for a field, None when the column's type cannot hold it."""
        name, kind = f'"{field.name}"', column.type
        if field.type in TEXTUAL:
            if pa.types.is_string(kind):
                return name
            bad = pa.types.is_floating(kind) or pa.types.is_binary(kind)
            return None if bad else f"{name}::text"
        if field.type in PLACES:
            return self._last_places(relation, field, column)
        if field.type is FieldType.INSTANT:
            fits = pa.types.is_timestamp(kind) and kind.tz is not None
            expression = f"NULLIF({name}, 'infinity')" if field.name in _MAY_BE_INFINITE else name
        elif field.type is FieldType.INTEGER:
            fits, expression = pa.types.is_integer(kind), f"{name}::bigint"
        else:
            fits, expression = kind == ARROW_TYPES[field.type], name
        return expression if fits else None

    def _last_places(self, relation: str, field: Field, column: pa.Field) -> str | None:
        """Return the SQL of a 64-bit count of the last decimal place."""
        name, places = f'"{field.name}"', PLACES[field.type]
        if pa.types.is_integer(column.type):
            return f"{name}::bigint * {10**places}"
        if _type(column) != "numeric":
            return None
        if _scale(column) <= places:
            return f"({name} * {10**places})::bigint"
        self._inexact[relation, field.name] = places
        return f"trim_scale({name} * {10**places})::text::bigint"  # fails on a fraction instead of rounding

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

    def stream_lenient(self, relation: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows, invalid values as nulls; see `Reading`."""
        return self._stream(relation, columns, "", strict=False)

    def _stream(
        self, relation: str, columns: Sequence[str], condition: str, *, strict: bool
    ) -> Iterator[pa.RecordBatch]:
        origin = resolve(self._origins, self._where, relation, columns)
        present = [name for name in columns if name in origin.expressions]
        chosen = {name: origin.expressions[name] for name in present}
        for name in present if not strict else ():
            places = self._inexact.get((relation, name))
            if places is not None:
                chosen[name] = f'CASE WHEN "{name}" = round("{name}", {places}) THEN {chosen[name]} END'
        listed = ", ".join(f'{sql} AS "{name}"' for name, sql in chosen.items()) or "1 AS nothing"
        fields = [origin.relation.field(name) for name in present]
        for batch in self._batches(f"SELECT {listed} FROM {origin.clause}{condition}"):
            arrays = {
                field.name: _physical(field, array)
                for field, array in zip(fields, batch.columns if fields else (), strict=True)
            }
            yield assemble(origin.relation, columns, arrays, batch.num_rows, strict=strict)

    def _batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        if self._streaming:
            raise RuntimeError("a stream is still open on this reading; ADBC would end it")
        self._streaming = True
        cursor = self._connection.cursor()
        complete = False
        try:
            cursor.execute(sql)
            yield from cursor.fetch_record_batch()
            complete = True
        except (adbc_driver_manager.Error, OSError, pa.ArrowException) as error:
            raise self._failure(error) from error
        finally:
            self._streaming = False
            if not complete:
                with suppress(adbc_driver_manager.Error):  # the connection may be gone already
                    cursor.adbc_cancel()
            cursor.close()

    def invalid(self, relation: str) -> Iterator[InvalidValue]:
        """Yield values with too many decimals, the only ones that PostgreSQL's types let through."""
        origin = resolve(self._origins, self._where, relation, ())
        keys = [
            f"COALESCE(\"{name}\"::text, '')" for name in origin.relation.key if name in origin.expressions
        ]
        key = " || '/' || ".join(keys) or "'?'"
        for (name, column), places in self._inexact.items():
            if name == relation:
                wrong = f'"{column}" IS DISTINCT FROM round("{column}", {places})'
                for batch in self._batches(
                    f'SELECT {key}, "{column}"::text FROM {origin.clause} WHERE {wrong}'
                ):
                    for row in zip(*(array.to_pylist() for array in batch.columns), strict=True):
                        yield InvalidValue("too_many_decimals", relation, column, *row)

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql)
                rows: list[tuple[Any, ...]] = cursor.fetchall()
                return rows
        except adbc_driver_manager.Error as error:
            raise self._failure(error) from error

    def _failure(self, error: BaseException) -> LoyaltyError:
        text, state = _first_line(error), getattr(error, "sqlstate", None) or ""
        if "invalid input syntax for type bigint" in text:
            message = f"{self._where}: a value has more decimals than are kept ({text})"
            return LedgerViolation(message + "; `loyalty ledger check` lists them all")
        if state.startswith(("08", "40", "53", "55", "57")) or not state:
            return Transient(f"{self._where}: reading was interrupted: {text}")
        return Permanent(f"{self._where}: {text}")


_EXPECTED = {
    **dict.fromkeys(TEXTUAL, "text"),
    **dict.fromkeys(PLACES, "numeric or an integer type, not a float"),
    FieldType.INSTANT: "timestamp with time zone (for example created_at AT TIME ZONE 'UTC')",
    FieldType.DATE: "date",
    FieldType.INTEGER: "an integer type",
    FieldType.BOOLEAN: "boolean",
}


def _physical(field: Field, array: pa.Array) -> pa.Array:
    if field.type in PLACES:
        return from_last_places(field, array)
    kind = ARROW_TYPES[field.type]
    return array if array.type == kind else array.cast(kind)


def _type(column: pa.Field) -> str:
    metadata = column.metadata or {}
    declared: bytes = metadata.get(b"POSTGRESQL:type", str(column.type).encode())
    return declared.decode()


def _scale(column: pa.Field) -> int:
    """Return the declared decimal places of a NUMERIC column; without a declaration, as many as there can be."""
    modifier = int((column.metadata or {}).get(b"POSTGRESQL:typmod", b"-1"))
    return (modifier - 4) & 0x7FF if modifier >= 4 else 16383


def _first_line(error: BaseException) -> str:
    return str(error).split("\n")[0].removeprefix("IO: ").strip()


@contextmanager
def reading(source: Source, url: URL, *, values: bool) -> Iterator[PostgresReading]:
    """Open the transaction; see `source.open_read`."""
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    where = public_url(source.url)
    try:
        connection = adbc.connect(plain)
    except adbc_driver_manager.Error as error:
        text = _first_line(error)
        if any(word in text for word in ("FATAL:  database", "authentication", "role", "pg_hba")):
            raise BadInput([Problem(where, text, "give a ledger URL that connects", "bad_url")]) from error
        raise Transient(f"{where} cannot be reached: {text}") from error
    try:
        with connection.cursor() as cursor:
            for statement in (*_SESSION, f"SET LOCAL statement_timeout = '{source.statement_seconds}s'"):
                cursor.execute(statement)
        opened = PostgresReading(connection, source.where, source.mapping is not None)
        opened.inspect(dict(source.mapping.queries) if source.mapping else {}, values=values)
        yield opened
    finally:
        connection.close()
