"""The tier of each row's customer as of an instant (docs/ledger.md section 1: the last change before it)."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from include.reports.engine import files
from include.reports.engine.joins import Batches, Side, left_join
from include.reports.model import LocalSnapshot, Needs

NEEDS: Needs = {
    "tier_changes": ("program_id", "subledger_id", "customer_id", "changed_at", "tier_id"),
    "tiers": ("program_id", "tier_id", "name"),
}
_READ_ROWS = 32_768


def with_tiers(rows: Batches, snapshot: LocalSnapshot, as_of: int, folder: Path) -> Batches:
    """Yield rows with `tier`: its name for the row's program_id, subledger_id and customer_id, else null.

    A purse without a tier of its own has the customer's tier in subledger ''.
    """
    changes = _changes(snapshot, as_of)
    own = left_join((_keyed(batch, _own_key(batch)) for batch in rows), changes, folder)
    general = left_join((_keyed(_renamed(batch), _general_key(batch)) for batch in own), changes, folder)
    named = left_join(map(_chosen, general), _names(snapshot), folder)
    for batch in named:
        tier = pc.coalesce(batch.column("tier_name"), batch.column("chosen_tier_id"))
        yield batch.append_column("tier", tier)


def _changes(snapshot: LocalSnapshot, as_of: int) -> Side:
    columns, paths = NEEDS["tier_changes"], snapshot.files.get("tier_changes", ())

    def read() -> Batches:
        before = pa.scalar(as_of, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
        for batch in files.batches("tier_changes", paths, columns, batch_rows=_READ_ROWS):
            kept = batch.filter(pc.less(batch.column("changed_at"), before))
            purse = pc.coalesce(kept.column("subledger_id"), "")
            key = _key(kept.column("program_id"), purse, kept.column("customer_id"))
            latest_first = pc.negate(kept.column("changed_at").cast(pa.int64()))
            yield pa.RecordBatch.from_arrays([key, latest_first, kept.column("tier_id")], schema=schema)

    schema = pa.schema([("tier_key", pa.string()), ("latest_first", pa.int64()), ("tier_id", pa.string())])
    return Side("tier_key", files.row_count(paths), schema, read, "latest_first")


def _names(snapshot: LocalSnapshot) -> Side:
    columns, paths = NEEDS["tiers"], snapshot.files.get("tiers", ())

    def read() -> Batches:
        for batch in files.batches("tiers", paths, columns, batch_rows=_READ_ROWS):
            key = _key(batch.column("program_id"), batch.column("tier_id"))
            yield pa.RecordBatch.from_arrays([key, batch.column("name")], schema=schema)

    schema = pa.schema([("name_key", pa.string()), ("tier_name", pa.string())])
    return Side("name_key", files.row_count(paths), schema, read)


def _keyed(batch: pa.RecordBatch, key: pa.Array) -> pa.RecordBatch:
    return batch.append_column("tier_key", key)


def _own_key(batch: pa.RecordBatch) -> pa.Array:
    return _key(*(batch.column(name) for name in ("program_id", "subledger_id", "customer_id")))


def _general_key(batch: pa.RecordBatch) -> pa.Array:
    """Return the key of subledger '', null where the row's own was that."""
    purse = pc.if_else(pc.equal(batch.column("subledger_id"), ""), None, "")
    return _key(batch.column("program_id"), purse, batch.column("customer_id"))


def _renamed(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with the tier of the own purse, and whether there was any change, set aside."""
    names = {"tier_id": "own_tier_id", "latest_first": "own_latest_first"}
    return batch.drop_columns(["tier_key"]).rename_columns(
        [names.get(name, name) for name in batch.schema.names if name != "tier_key"]
    )


def _chosen(batch: pa.RecordBatch) -> pa.RecordBatch:
    has_own = batch.column("own_latest_first").is_valid()
    tier = pc.if_else(has_own, batch.column("own_tier_id"), batch.column("tier_id"))
    batch = batch.drop_columns(["tier_key", "tier_id", "latest_first", "own_tier_id", "own_latest_first"])
    batch = batch.append_column("chosen_tier_id", tier)
    return batch.append_column("name_key", _key(batch.column("program_id"), tier))


def _key(*parts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "\x1f")
