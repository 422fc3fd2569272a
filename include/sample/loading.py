"""Putting the sample into a ledger database: COPY into PostgreSQL, executemany elsewhere; all or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from include.errors import BadInput, Permanent, Problem, Transient
from include.ledger.catalog import RELATIONS, FieldType
from include.sample.batches import generate
from include.sample.plan import Plan
from include.snapshots import canonical
from include.snapshots.source import engine as engine_of
from include.snapshots.source import parse_url, public_url

Progress = Callable[[str, int], None]


def load(url: str, plan: Plan | None = None, *, progress: Progress | None = None) -> dict[str, int]:
    """Make the canonical tables, fill them with the sample, and return the rows by relation.

    progress: called with a relation and its rows so far. BadInput when the ledger has transactions already;
    Permanent when the database refuses; nothing is left half loaded.
    """
    engine = engine_of(parse_url(url))
    try:
        _refuse_full(engine, url)
        rows = _counted(generate(plan), progress)
        if engine.dialect.name == "postgresql":
            from include.sample import postgres_load

            return postgres_load.load(engine, rows)
        canonical.create(engine)
        return _insert(engine, rows)
    except DBAPIError as error:
        kind = Transient if isinstance(error, sa.exc.OperationalError) else Permanent
        raise kind(f"{public_url(url)}: the sample could not be loaded: {error.orig}") from error
    finally:
        engine.dispose()


def _refuse_full(engine: sa.Engine, url: str) -> None:
    with engine.connect() as connection:
        if sa.inspect(connection).has_table("transactions"):
            some = connection.execute(sa.text("SELECT 1 FROM transactions LIMIT 1")).first()
            if some:
                right = "the sample goes into an empty ledger only; give another URL"
                raise BadInput([Problem(public_url(url), "has transactions", right, "ledger_not_empty")])


def _counted(
    batches: Iterable[tuple[str, pa.RecordBatch]], progress: Progress | None
) -> Iterator[tuple[str, pa.RecordBatch]]:
    done: Counter[str] = Counter()
    for relation, batch in batches:
        yield relation, batch
        done[relation] += batch.num_rows
        if progress:
            progress(relation, done[relation])


def _insert(engine: sa.Engine, batches: Iterable[tuple[str, pa.RecordBatch]]) -> dict[str, int]:
    done: Counter[str] = Counter()
    with engine.begin() as connection:
        for relation, batch in batches:
            table = canonical.METADATA.tables[relation]
            for start in range(0, batch.num_rows, 10_000):
                _insert_slice(connection, table, batch.slice(start, 10_000))
            done[relation] += batch.num_rows
    return dict(done)


def _insert_slice(connection: sa.Connection, table: sa.Table, rows: pa.RecordBatch) -> None:
    """Insert through the driver, with the values as the database keeps them: no conversion row by row."""
    present = [name for name in rows.schema.names if rows[name].null_count < rows.num_rows]
    statement = str(sa.insert(table).values(dict.fromkeys(present)).compile(engine := connection.engine))
    columns = [_stored(table.name, name, rows[name], connection.dialect.name) for name in present]
    values = list(zip(*columns, strict=True))
    if not engine.dialect.positional:
        keyed = [dict(zip(present, value, strict=True)) for value in values]
        connection.exec_driver_sql(statement, keyed)
    elif values:
        connection.exec_driver_sql(statement, values)


def _stored(relation: str, name: str, array: pa.Array, dialect: str) -> list[Any]:
    kind = RELATIONS[relation].field(name).type
    if dialect == "sqlite" and kind is FieldType.INSTANT:
        return list(array.cast(pa.int64()).to_pylist())
    if dialect == "sqlite" and kind in {FieldType.MONEY, FieldType.RATE}:
        scale = {FieldType.MONEY: 4, FieldType.RATE: 8}[kind]
        return [None if value is None else int(value.scaleb(scale)) for value in array.to_pylist()]
    if dialect == "sqlite" and kind is FieldType.DATE:
        return [None if value is None else value.isoformat() for value in array.to_pylist()]
    if dialect != "sqlite" and kind is FieldType.POINTS:
        return list(canonical.decimals(array).to_pylist())
    if dialect != "sqlite" and kind is FieldType.INSTANT:
        return list(array.cast(pa.timestamp("us")).to_pylist())
    return list(array.to_pylist())
