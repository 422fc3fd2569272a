"""`loyalty ledger check`: every violation of docs/ledger.md in a ledger, with row ids, on any database.

The rows are streamed once in one database transaction into a scratch DuckDB file that may spill, so that
memory stays bounded; rules are queries there, and what only booking shows comes from booking.
"""

from __future__ import annotations

import tempfile
import zoneinfo
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from include.ledger.catalog import ARROW_TYPES, RELATIONS, FieldType, Relation
from include.snapshots import check_booking
from include.snapshots.check_rules import Rule, checked_fields, rules
from include.snapshots.reading import SENTENCES, InvalidValue, Reading
from include.snapshots.source import Source, open_read
from include.state.tables import microseconds

_MEMORY = "400MB"
_INVALID_BATCH = 10_000


@dataclass(frozen=True)
class Violation:
    """All rows that break one rule: `count` of them, the first ids in order, and whether runs stop for it."""

    rule: str
    relation: str
    row_ids: tuple[str, ...]
    count: int
    sentence: str
    blocking: bool


def check(source: Source, limit_per_rule: int = 20, *, scratch: Path | None = None) -> list[Violation]:
    """Return every violation, blocking ones first. Raises like `open_read` when the ledger cannot be read."""
    with (
        tempfile.TemporaryDirectory(prefix="loyalty-check-", dir=scratch) as folder,
        duckdb.connect(str(Path(folder) / "check.duckdb")) as connection,
        open_read(source, values=False) as reading,
    ):
        connection.execute(f"SET memory_limit = '{_MEMORY}'; SET temp_directory = '{folder}/spill'")
        connection.execute("SET preserve_insertion_order = true; SET threads = 2")
        columns = _load(connection, reading)
        found = list(_unreadable(connection, limit_per_rule))
        # A replica that cannot tell up to when it has come is checked by the clock of this machine.
        now = reading.read_at or microseconds(datetime.now(UTC))
        for rule in rules(columns, now):
            found += _broken(connection, rule, limit_per_rule)
        found += _booked(connection, columns, now, limit_per_rule)
    return sorted(found, key=lambda violation: (not violation.blocking, violation.relation, violation.rule))


def _load(connection: duckdb.DuckDBPyConnection, reading: Reading) -> dict[str, Sequence[str]]:
    """Copy what the rules need into tables; return the columns that the ledger has, by relation."""
    connection.execute("CREATE TABLE invalid (rule VARCHAR, relation VARCHAR, field VARCHAR, row_id VARCHAR)")
    connection.register("zones", pa.table({"name": sorted(zoneinfo.available_timezones())}))
    connection.execute("CREATE TABLE time_zones AS SELECT * FROM zones")
    columns: dict[str, Sequence[str]] = {}
    for name in reading.relations:
        relation = RELATIONS[name]
        fields = [field.name for field in checked_fields(relation)]
        if name == "transactions":
            fields = list(dict.fromkeys((*fields, *check_booking.NEEDED)))
        reader = pa.RecordBatchReader.from_batches(
            _plain_schema(relation, fields), map(_plain, reading.stream_lenient(name, fields))
        )
        connection.register("rows_read", reader)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM rows_read")
        connection.unregister("rows_read")
        _load_invalid(connection, reading.invalid(name))
        present = set(reading.columns(name))
        columns[name] = [field for field in fields if field in present]
    return columns


def _plain_schema(relation: Relation, fields: Sequence[str]) -> pa.Schema:
    kinds = [(name, relation.field(name).type) for name in fields]
    return pa.schema(
        [(name, pa.int64() if kind is FieldType.INSTANT else ARROW_TYPES[kind]) for name, kind in kinds]
    )


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with instants as microseconds: comparing needs no time zone then."""
    arrays = [x.cast(pa.int64()) if pa.types.is_timestamp(x.type) else x for x in batch.columns]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _load_invalid(connection: duckdb.DuckDBPyConnection, values: Iterator[InvalidValue]) -> None:
    held: list[tuple[str, str, str, str]] = []
    for value in values:
        held.append((value.rule, value.relation, value.column, value.row_id))
        if len(held) == _INVALID_BATCH:
            connection.executemany("INSERT INTO invalid VALUES (?, ?, ?, ?)", held)
            held = []
    if held:
        connection.executemany("INSERT INTO invalid VALUES (?, ?, ?, ?)", held)


def _unreadable(connection: duckdb.DuckDBPyConnection, limit: int) -> Iterator[Violation]:
    query = f"""SELECT rule, relation, field, count(*), min(row_id, {int(limit)})
                FROM invalid GROUP BY ALL ORDER BY ALL"""
    for rule, relation, field, count, row_ids in connection.execute(query).fetchall():
        yield Violation(rule, relation, tuple(row_ids), count, f"{field} {SENTENCES[rule]}", True)


def _broken(connection: duckdb.DuckDBPyConnection, rule: Rule, limit: int) -> list[Violation]:
    query = f"SELECT count(*), min(row_id, {int(limit)}) FROM ({rule.query}) AS broken (row_id)"
    row = connection.execute(query).fetchone()
    if row is None or not row[0]:
        return []
    return [Violation(rule.name, rule.relation, tuple(row[1] or ()), row[0], rule.sentence, rule.blocking)]


def _booked(
    connection: duckdb.DuckDBPyConnection, columns: dict[str, Sequence[str]], now: int, limit: int
) -> Iterator[Violation]:
    findings = check_booking.find(connection, now + 1, limit)
    for problem, row_ids in findings.row_ids.items():
        name, sentence = (problem.name or "").lower(), findings.sentence(problem)
        yield Violation(name, "transactions", tuple(row_ids), findings.counts[problem], sentence, False)
    if findings.broken_accounts:
        some = tuple(findings.broken_accounts[:limit])
        sentence = "the account that begins with this row does not add up (docs/ledger.md section 4)"
        yield Violation("identity", "transactions", some, len(findings.broken_accounts), sentence, True)
    own = "SELECT customer_id AS holder, points FROM balances WHERE COALESCE(card_id, '') = ''"
    if "customer_id" in columns.get("cards", ()):
        own += """ UNION ALL SELECT c.customer_id, b.points FROM balances b JOIN cards c USING (card_id)"""
    by_card = "SELECT card_id AS holder, points FROM balances WHERE COALESCE(card_id, '') <> ''"
    for name, key, figures in (("customers", "customer_id", own), ("cards", "card_id", by_card)):
        if "stated_balance" in columns.get(name, ()):
            query = f"""SELECT {key} FROM {name} LEFT JOIN
                (SELECT holder, sum(points) AS points FROM ({figures}) GROUP BY holder) ON holder = {key}
                WHERE stated_balance <> COALESCE(points, 0)"""
            sentence = "stated_balance is not what the rows give"
            yield from _broken(
                connection, Rule("stated_balance_differs", name, False, sentence, query), limit
            )
