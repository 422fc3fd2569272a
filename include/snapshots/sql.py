"""Reading a ledger from any other database: SQLAlchemy's server-side streaming in one database transaction.

Values arrive as Python objects and are converted by `wire`. Canonical tables on SQLite hold scaled integers
and microseconds; MySQL's DATETIME is UTC there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError

from include.errors import BadInput, LoyaltyError, Permanent, Problem, Transient
from include.ledger.catalog import PLACES, RELATIONS, FieldType, Relation
from include.snapshots import dialects, replicas
from include.snapshots.canonical import Instant
from include.snapshots.days import Days, DayTotals
from include.snapshots.reading import (
    SENTENCES,
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
from include.snapshots.source import Source, public_url
from include.snapshots.sql_connection import MYSQL, connect
from include.snapshots.sql_days import SqlDays
from include.snapshots.sql_some import SqlSome
from include.snapshots.wire import Invalid, from_values

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BATCH_ROWS = 20_000
# Errors of MySQL that say a right is missing: to read a table, a column, to call a function.
_DENIED = frozenset({1142, 1143, 1370})


class SqlReading:
    """The `Reading` of every database but PostgreSQL."""

    beside = staticmethod(nullcontext[None])  # there is none

    def __init__(self, connection: Connection, source: Source) -> None:
        self._connection, self._seconds = connection, source.statement_seconds
        self._where, self._mapped, self._trusted = source.where, source.mapping is not None, source.trusted
        self._dialect = dialects.of(connection.dialect.name)
        self.reads_days = connection.dialect.name in {*MYSQL, "sqlite"}
        self._scaled = connection.dialect.name == "sqlite" and not self._mapped
        self._origins: dict[str, Origin] = {}
        self._some = SqlSome(self._dialect, self._escaped)
        self._begin()
        self.relations: tuple[str, ...] = ()

    def _begin(self) -> None:
        """Begin a database transaction, note when, and the oldest other one; a replica does not know the primary's."""
        if self._dialect.travel:
            self._some.forget()  # its statements name the read point
        channels = self._channels()
        behind_at = self._clock() if channels else 0
        for statement in self._dialect.begin(self._connection, self._seconds):
            self._connection.exec_driver_sql(statement)
        self.is_replica = bool(channels)
        self.read_at = (replicas.mysql_read_point(channels, behind_at) or 0) if channels else self._clock()
        self._oldest = None if channels else self._oldest_open()

    def _channels(self) -> list[Any]:
        """Return what a server of MySQL or MariaDB says of the primaries that it follows."""
        if self._connection.dialect.name not in MYSQL:
            return []
        sql = replicas.MARIADB if dialects.is_mariadb(self._connection) else replicas.MYSQL
        try:
            return list(self._connection.exec_driver_sql(sql).mappings())
        except DBAPIError:  # needs the REPLICATION CLIENT privilege, on MariaDB SLAVE MONITOR
            only_read = self._connection.exec_driver_sql("SELECT @@global.read_only").scalar_one()
            return [{}] if only_read else []

    def _clock(self) -> int:
        if self._dialect.clock:
            return int(self._connection.exec_driver_sql(self._dialect.clock).scalar_one())
        now = self._connection.execute(sa.select(sa.func.current_timestamp())).scalar_one()
        aware = now if now.tzinfo else now.replace(tzinfo=UTC)
        return int((aware - _EPOCH) // timedelta(microseconds=1))

    def _oldest_open(self) -> int | None:
        if self._connection.dialect.name not in MYSQL:
            return None  # they do not show other writers, or not to everybody
        sql = """SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', MIN(trx_started))
                 FROM information_schema.innodb_trx WHERE trx_mysql_thread_id <> CONNECTION_ID()"""
        try:
            oldest = self._connection.exec_driver_sql(sql).scalar()
        except DBAPIError:
            return None  # needs the PROCESS privilege
        return self.read_at if oldest is None else int(oldest)

    def inspect(self, queries: dict[str, str], *, values: bool) -> None:
        """Find the relations and check them against the catalog; BadInput, or Permanent, lists all problems."""
        problems: list[Problem] = []
        unread: set[str] = set()
        for name, clause in self._clauses(queries).items():
            relation = RELATIONS[name]
            place = f"{self._where}, {'query' if self._mapped else 'table'} {name}"
            if self._dialect.travel and dialects.READ_AT not in clause:
                right = f"read every table as of the read point, as in `FROM points{self._dialect.travel}`"
                problems.append(Problem(place, "", right, "not_of_read_point"))
                unread.add(name)
                continue
            try:
                result = self._connection.execute(self._text(f"SELECT * FROM {clause} WHERE 1 = 0"))
                found = tuple(x.lower() if self._dialect.upper and x.isupper() else x for x in result.keys())  # noqa: SIM118
                codes = [str(column[1]) for column in result.cursor.description] if result.cursor else []
                result.close()
            except DBAPIError as error:
                problems.append(self._unreadable(place, error))
                unread.add(name)
                continue
            origin = Origin(relation, clause, self._mapped)
            origin.unknown = tuple(column for column in found if column not in relation.names)
            origin.expressions = {x: self._quote(x) for x in found if x in relation.names}
            self._origins[name] = origin
            problems += self._float_problems(place, relation, dict(zip(found, codes, strict=False)))
        problems += shape_problems(
            self._where, self._origins, mapped=self._mapped, trusted=self._trusted, unread=unread
        )
        if self._mapped and values and not problems:
            problems += self._value_problems()
        refuse_all(problems)
        self.relations = tuple(self._origins)

    def _unreadable(self, place: str, error: DBAPIError) -> Problem:
        codes = getattr(error.orig, "args", ())
        if self._connection.dialect.name in MYSQL and codes and codes[0] in _DENIED:
            return no_right(place, str(error.orig), str(self._connection.engine.url.username))
        return Problem(place, str(error.orig), "write a query that runs", "bad_query")

    def _float_problems(self, place: str, relation: Relation, codes: Mapping[str, str]) -> list[Problem]:
        """Refuse floats for numbers; `codes` are the drivers' type codes by column. SQLite has no other type."""
        problems = []
        for column, code in codes.items():
            if column not in relation.names or code not in self._dialect.floats:
                continue
            kind = relation.field(column).type
            if kind in PLACES or kind is FieldType.INTEGER:
                right = f"select it as {'DECIMAL or ' if kind in PLACES else ''}an integer type, not a float"
                at = f"{place}, column {column}"
                problems.append(Problem(at, self._dialect.floats[code], right, "wrong_type"))
        return problems

    def _clauses(self, queries: dict[str, str]) -> dict[str, str]:
        if self._mapped:
            return {name: f"(\n{queries[name]}\n) mapped" for name in RELATIONS if name in queries}
        inspector = sa.inspect(self._connection)
        tables = {*inspector.get_table_names(), *inspector.get_view_names()}
        return {name: self._quote(name) + self._dialect.travel for name in RELATIONS if name in tables}

    def _quote(self, name: str) -> str:
        stored = name.upper() if self._dialect.upper and name.islower() else name
        return self._connection.dialect.identifier_preparer.quote_identifier(stored)

    def _text(self, sql: str) -> sa.TextClause:
        """Return a statement without parameters."""
        return sa.text(self._escaped(sql))

    def _escaped(self, sql: str) -> str:
        """Return SQL in which a colon is a colon, not a parameter; but for the read point, which is written out."""
        if self._dialect.travel:
            sql = sql.replace(dialects.READ_AT, self._dialect.literal(self.read_at))
        return sql.replace(":", r"\:")

    def _value_problems(self) -> list[Problem]:
        """Check nulls in all rows, and types in the first ones, as these databases type no query."""
        problems = []
        for name, origin in self._origins.items():
            names, sql = nulls_query(origin, origin.expressions)
            row = self._connection.execute(self._text(sql)).one()
            problems += [
                null_problem(self._where, name, x) for x, null in zip(names, row, strict=True) if null
            ]
            columns = tuple(origin.expressions)
            listed = ", ".join(origin.expressions.values())
            result = self._connection.execute(self._text(f"SELECT {listed} FROM {origin.clause}"))
            _, invalid = self._convert(origin, columns, result.fetchmany(1000))
            result.close()
            for column, wrong in dict(reversed(invalid)).items():
                at = f"{self._where}, query {name}, column {column}"
                kind = origin.relation.field(column).type
                right = f"it {SENTENCES[wrong.rule]}; this column holds {kind}"
                problems.append(Problem(at, wrong.value, right, "wrong_type"))
        return problems

    def rest(self) -> None:
        """End the database transaction; see `Reading`."""
        if self._dialect.ends:
            self._connection.exec_driver_sql("ROLLBACK")

    def again(self) -> None:
        """Begin another database transaction; see `Reading`."""
        self._begin()

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
        origin = resolve(self._origins, self._where, relation, columns)
        for arrays, invalid, rows in self._rows(origin, columns, created_before):
            _refuse_first(origin, arrays, invalid)
            yield assemble(origin.relation, columns, arrays, rows, strict=True)

    def stream_some(self, relation: str, columns: Sequence[str], which: Which) -> Iterator[pa.RecordBatch]:
        """Yield some rows; see `Reading`."""
        origin = resolve(self._origins, self._where, relation, columns)
        if which.column not in origin.expressions:
            return
        for arrays, invalid, rows in self._fetched(origin, *self._some.asking(origin, columns, which)):
            _refuse_first(origin, arrays, invalid)
            yield which.exactly(assemble(origin.relation, columns, arrays, rows, strict=True))

    def day_totals(self, relation: str, columns: Sequence[str], days: Days | None = None) -> DayTotals | None:
        """Return the control totals; see `Reading`."""
        try:
            return self._days(relation, columns).totals(self._connection, days)
        except DBAPIError as error:
            raise self._failure(error) from error

    def stream_days(
        self, relation: str, columns: Sequence[str], days: Days, by: str | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of some days; see `Reading`."""
        origin = resolve(self._origins, self._where, relation, columns)
        present = tuple(name for name in columns if name in origin.expressions)
        listed = ", ".join(origin.expressions[name] for name in present)
        condition = self._days(relation, columns, by).condition(days)
        statement = self._text(f"SELECT {listed} FROM {origin.clause} WHERE {condition}")
        for arrays, invalid, rows in self._fetched(origin, present, statement):
            _refuse_first(origin, arrays, invalid)
            yield assemble(origin.relation, columns, arrays, rows, strict=True)

    def count(self, relation: str) -> int:
        """Return how many rows there are; see `Reading`."""
        origin = resolve(self._origins, self._where, relation, ())
        try:
            counted = self._connection.execute(self._text(f"SELECT COUNT(*) FROM {origin.clause}"))
        except DBAPIError as error:
            raise self._failure(error) from error
        return int(counted.scalar_one())

    def _days(self, relation: str, columns: Sequence[str], by: str | None = None) -> SqlDays:
        origin = resolve(self._origins, self._where, relation, columns)
        name = self._connection.dialect.name
        return SqlDays(origin, columns, "mysql" if name in MYSQL else name, by, scaled=self._scaled)

    def stream_lenient(self, relation: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows, invalid values as nulls; see `Reading`."""
        origin = resolve(self._origins, self._where, relation, columns)
        for arrays, _, rows in self._rows(origin, columns, None):
            yield assemble(origin.relation, columns, arrays, rows, strict=False)

    def invalid(self, relation: str) -> Iterator[InvalidValue]:
        """Yield every value that the catalog's type cannot hold; see `Reading`."""
        origin = resolve(self._origins, self._where, relation, ())
        for arrays, invalid, _ in self._rows(origin, origin.relation.names, None):
            for column, wrong in invalid:
                key = row_id(origin.relation, arrays, wrong.row)
                yield InvalidValue(wrong.rule, relation, column, key, wrong.value)

    def _rows(
        self, origin: Origin, columns: Sequence[str], created_before: int | None
    ) -> Iterator[tuple[dict[str, pa.Array], list[tuple[str, Invalid]], int]]:
        """Yield arrays by column, the invalid values by column, and the number of rows, batch by batch."""
        limited = created_before is not None
        wanted = dict.fromkeys((*columns, "created_at") if limited else columns)
        present = tuple(name for name in wanted if name in origin.expressions)
        listed = ", ".join(origin.expressions[name] for name in present) or "1"
        statement = self._text(f"SELECT {listed} FROM {origin.clause}")
        if limited and not self._mapped:  # a mapped instant may be text: it is compared once converted
            moment = _EPOCH + timedelta(microseconds=created_before or 0)
            earlier = f" WHERE {origin.expressions['created_at']} < :created_before"
            statement = sa.text(self._escaped(f"SELECT {listed} FROM {origin.clause}") + earlier)
            statement = statement.bindparams(sa.bindparam("created_before", moment, Instant()))
        for arrays, invalid, rows in self._fetched(origin, present, statement):
            if limited and self._mapped and not invalid:
                earlier = pc.less(arrays["created_at"].cast(pa.int64()), created_before)
                arrays = {name: array.filter(earlier) for name, array in arrays.items()}  # noqa: PLW2901
                yield arrays, [], len(arrays["created_at"])
                continue
            yield arrays, invalid, rows

    def _fetched(
        self,
        origin: Origin,
        columns: Sequence[str],
        statement: sa.TextClause,
        values: Mapping[str, str] | None = None,
    ) -> Iterator[tuple[dict[str, pa.Array], list[tuple[str, Invalid]], int]]:
        """Yield what a statement gives, as `_rows` does."""
        try:
            streaming = self._connection.execution_options(stream_results=True, max_row_buffer=_BATCH_ROWS)
            result = streaming.execute(statement, values)
            fetch = _driver_rows if self._connection.dialect.name == "sqlite" else _rows
            try:
                while rows := fetch(result):
                    yield *self._convert(origin, columns, rows), len(rows)
            finally:
                result.close()
        except DBAPIError as error:
            raise self._failure(error) from error

    def _convert(
        self, origin: Origin, columns: Sequence[str], rows: Sequence[Any]
    ) -> tuple[dict[str, pa.Array], list[tuple[str, Invalid]]]:
        arrays: dict[str, pa.Array] = {}
        invalid: list[tuple[str, Invalid]] = []
        by_column = zip(*rows, strict=True) if rows else [()] * len(columns)
        for name, values in zip(columns, by_column, strict=False):
            field = origin.relation.field(name)
            arrays[name], wrong = from_values(
                field, values, scaled=self._scaled, naive_is_utc=self._dialect.naive_is_utc
            )
            invalid += [(name, value) for value in wrong]
        return arrays, invalid

    def _failure(self, error: DBAPIError) -> LoyaltyError:
        lost = error.connection_invalidated or isinstance(
            error, sa.exc.OperationalError | sa.exc.InterfaceError
        )
        return (Transient if lost else Permanent)(f"{self._where}: reading failed: {error.orig}")


def _rows(result: sa.CursorResult[Any]) -> Sequence[Any]:
    return result.fetchmany(_BATCH_ROWS)


def _driver_rows(result: sa.CursorResult[Any]) -> Sequence[Any]:
    """Return rows as SQLite's driver gives them: to make SQLAlchemy's of them takes as long again as reading them."""
    try:
        rows: Sequence[Any] = result.cursor.fetchmany(_BATCH_ROWS) if result.cursor else []
    except sqlite3.Error as error:
        raise DBAPIError.instance(None, None, error, sqlite3.Error) from error
    return rows


def _refuse_first(
    origin: Origin, arrays: dict[str, pa.Array], invalid: Sequence[tuple[str, Invalid]]
) -> None:
    """Raise the error for the first value that its type cannot hold."""
    if invalid:
        column, first = invalid[0]
        key = row_id(origin.relation, arrays, first.row)
        raise refuse(InvalidValue(first.rule, origin.relation.name, column, key, first.value))


@contextmanager
def reading(source: Source, url: URL, *, values: bool) -> Iterator[SqlReading]:
    """Open the transaction; see `source.open_read`."""
    connection = connect(source, url)
    try:
        try:
            opened = SqlReading(connection, source)
        except sa.exc.DatabaseError as error:
            right = "this is not a database that can be read"
            raise BadInput([Problem(public_url(source.url), str(error.orig), right, "bad_url")]) from error
        opened.inspect(dict(source.mapping.queries) if source.mapping else {}, values=values)
        yield opened
    finally:
        with suppress(DBAPIError):
            if dialects.of(connection.dialect.name).ends:
                connection.exec_driver_sql("ROLLBACK")
        connection.close()
        connection.engine.dispose()
