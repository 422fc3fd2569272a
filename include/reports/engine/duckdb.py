"""DuckDB over a snapshot, for joins with customers, tiers and rewards.

A relation or column that the ledger lacks is empty, so a query is written once.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from include.ledger.catalog import RELATIONS
from include.ledger.catalog import arrow_schema as relation_schema
from include.reports.engine import files
from include.reports.model import LocalSnapshot
from include.shaping import engine

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


class Engine(engine.Engine):
    """An engine that reads relations of a snapshot."""

    def add(self, snapshot: LocalSnapshot, relation: str, columns: Sequence[str]) -> None:
        """Register `columns` of a relation under its name."""
        schema = relation_schema(RELATIONS[relation], columns)
        paths = snapshot.files.get(relation, ())
        batches = files.batches(relation, paths, columns, batch_rows=_READ_ROWS)
        self.add_reader(relation, pa.RecordBatchReader.from_batches(schema, batches))
