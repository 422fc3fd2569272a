"""The sample into PostgreSQL by binary COPY, the tables' keys and indexes made afterwards."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
import sqlalchemy as sa

from include.errors import Permanent
from include.ledger.catalog import RELATIONS, FieldType
from include.snapshots import canonical

_AHEAD = 3


def load(engine: sa.Engine, batches: Iterable[tuple[str, pa.RecordBatch]]) -> dict[str, int]:
    """Fill the canonical tables in one database transaction; return the rows by relation."""
    made = canonical.create_bare(engine)
    done: Counter[str] = Counter()
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        with adbc.connect(url) as connection, connection.cursor() as cursor:
            for relation, batch in _ahead(batches):
                cursor.adbc_ingest(relation, _stored(relation, batch), mode="append")
                done[relation] += batch.num_rows
            connection.commit()
    except adbc_driver_manager.Error as error:
        raise Permanent(f"the sample could not be loaded: {error}") from error
    canonical.add_keys(engine, made)
    return dict(done)


def _ahead(batches: Iterable[tuple[str, pa.RecordBatch]]) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Make the next batches while the server takes this one."""
    source = iter(batches)
    with ThreadPoolExecutor(1) as maker:
        waiting = deque(maker.submit(next, source, None) for _ in range(_AHEAD))
        while (made := waiting.popleft().result()) is not None:
            waiting.append(maker.submit(next, source, None))
            yield made


def _stored(relation: str, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with points as decimals, and without columns that hold nothing."""
    columns = {}
    for field in RELATIONS[relation].fields:
        array = batch[field.name]
        if array.null_count < batch.num_rows:
            columns[field.name] = canonical.decimals(array) if field.type is FieldType.POINTS else array
    return pa.RecordBatch.from_pydict(columns)
