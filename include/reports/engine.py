"""DuckDB for joins with customers, tiers and rewards: bounded memory, spill to scratch, no access to anything else.

Relations of the snapshot are registered as Arrow streams, read once each by a query; DuckDB opens no file and
no URL of its own. A relation or column that the ledger lacks is empty, so a query is written once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import duckdb
import pyarrow as pa

from include.ledger.catalog import RELATIONS
from include.ledger.catalog import arrow_schema as relation_schema
from include.reports import files
from include.reports.model import SLICE_ROWS, LocalSnapshot

_MEMORY = "160MB"
_READ_ROWS = 16_384

# Tier of each customer as of $as_of: the last change before it (docs/ledger.md section 1), null where that took
# the tier away. A program with one purse has subledger ''. Reads `tier_changes` and `tiers` once each.
TIERS_AS_OF = """
    SELECT held.program_id, held.subledger_id, held.customer_id, coalesce(named.name, held.last.tier_id) AS tier
    FROM (
        SELECT program_id, coalesce(subledger_id, '') AS subledger_id, customer_id,
               arg_max(struct_pack(tier_id := tier_id), changed_at) AS last
        FROM tier_changes WHERE changed_at < make_timestamptz($as_of::BIGINT) GROUP BY ALL
    ) held
    LEFT JOIN tiers named ON named.program_id = held.program_id AND named.tier_id = held.last.tier_id
"""


class Engine:
    """One query's DuckDB. Close it, or use it as a context manager; what it spilled goes with the scratch."""

    def __init__(self, scratch: Path) -> None:
        spill = scratch / "duckdb"
        spill.mkdir(exist_ok=True)
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": _MEMORY,
            "threads": 2,
            "temp_directory": str(spill),
            "preserve_insertion_order": False,  # every query says its order
            "autoload_known_extensions": False,
            "autoinstall_known_extensions": False,
        }
        self._connection = duckdb.connect(":memory:", config=settings)
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute("SET enable_external_access = false")  # last: it locks the folder above

    def add(self, snapshot: LocalSnapshot, relation: str, columns: Sequence[str]) -> None:
        """Register `columns` of a relation under its name."""
        schema = relation_schema(RELATIONS[relation], columns)
        paths = snapshot.files.get(relation, ())
        batches = files.batches(relation, paths, columns, batch_rows=_READ_ROWS)
        self.add_reader(relation, pa.RecordBatchReader.from_batches(schema, batches))

    def add_reader(self, name: str, reader: pa.RecordBatchReader) -> None:
        """Register a stream under a name; a query reads it once."""
        self._connection.register(name, reader)

    def execute(self, sql: str) -> None:
        """Run a statement that gives no rows."""
        self._connection.execute(sql)

    def run(self, sql: str, schema: pa.Schema, **values: object) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a query as batches of `schema`; `values` are bound to $names in it."""
        result = self._connection.sql(sql, params=values)
        for batch in result.to_arrow_reader(SLICE_ROWS):
            arrays = [batch.column(field.name).cast(field.type) for field in schema]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def close(self) -> None:
        """Free everything."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
