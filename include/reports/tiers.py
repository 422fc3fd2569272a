"""The tier of each row's customer as of an instant (docs/ledger.md section 1: the last change before it)."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from include.reports.engine import files
from include.reports.engine.joins import Batches, Side, left_join, left_joins
from include.reports.model import LocalSnapshot, Needs

NEEDS: Needs = {
    "tier_changes": ("program_id", "subledger_id", "customer_id", "changed_at", "tier_id"),
    "tiers": ("program_id", "tier_id", "name"),
}
_READ_ROWS = 32_768
_OWN, _GENERAL = "own purse", "any purse"


def with_tiers(rows: Batches, snapshot: LocalSnapshot, as_of: int, folder: Path) -> Batches:
    """Yield rows with `tier`: its name for the row's program_id, subledger_id and customer_id, else null.

    A purse without a tier of its own has the customer's tier in subledger ''.
    """
    changes = [_changes(snapshot, as_of, key) for key in (_OWN, _GENERAL)]
    found = left_joins(map(_keyed, rows), changes, folder)
    for batch in left_join(map(_chosen, found), _names(snapshot), folder):
        tier = pc.coalesce(batch.column("tier_name"), batch.column("chosen_tier_id"))
        yield batch.append_column("tier", tier)


def _changes(snapshot: LocalSnapshot, as_of: int, key: str) -> Side:
    """Return the changes before an instant, the last of each key first; the key, and what is found, called by `key`."""
    columns, paths = NEEDS["tier_changes"], snapshot.files.get("tier_changes", ())

    def read() -> Batches:
        before = pa.scalar(as_of, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
        for batch in files.batches("tier_changes", paths, columns, batch_rows=_READ_ROWS):
            kept = batch.filter(pc.less(batch.column("changed_at"), before))
            purse = pc.coalesce(kept.column("subledger_id"), "")
            keys = _key(kept.column("program_id"), purse, kept.column("customer_id"))
            latest_first = pc.negate(kept.column("changed_at").cast(pa.int64()))
            yield pa.RecordBatch.from_arrays([keys, latest_first, kept.column("tier_id")], schema=schema)

    first_by = f"{key} first"
    schema = pa.schema([(key, pa.string()), (first_by, pa.int64()), (f"{key} tier", pa.string())])
    return Side(key, files.row_count(paths), schema, read, first_by)


def _names(snapshot: LocalSnapshot) -> Side:
    columns, paths = NEEDS["tiers"], snapshot.files.get("tiers", ())

    def read() -> Batches:
        for batch in files.batches("tiers", paths, columns, batch_rows=_READ_ROWS):
            key = _key(batch.column("program_id"), batch.column("tier_id"))
            yield pa.RecordBatch.from_arrays([key, batch.column("name")], schema=schema)

    schema = pa.schema([("name_key", pa.string()), ("tier_name", pa.string())])
    return Side("name_key", files.row_count(paths), schema, read)


def _keyed(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with the key of its own purse, and that of purse '', null where its own is that."""
    program, purse, customer = (batch.column(name) for name in ("program_id", "subledger_id", "customer_id"))
    no_purse = pc.if_else(pc.equal(purse, ""), None, "")
    own, general = _key(program, purse, customer), _key(program, no_purse, customer)
    return batch.append_column(_OWN, own).append_column(_GENERAL, general)


def _chosen(batch: pa.RecordBatch) -> pa.RecordBatch:
    has_own = batch.column(f"{_OWN} first").is_valid()
    tier = pc.if_else(has_own, batch.column(f"{_OWN} tier"), batch.column(f"{_GENERAL} tier"))
    batch = batch.drop_columns(
        [f"{key}{what}" for key in (_OWN, _GENERAL) for what in ("", " first", " tier")]
    )
    batch = batch.append_column("chosen_tier_id", tier)
    return batch.append_column("name_key", _key(batch.column("program_id"), tier))


def _key(*parts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "\x1f")
