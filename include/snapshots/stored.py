"""Who is in the snapshots that are stored: looked at, and nothing changed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq

from include.ledger.catalog import RELATIONS
from include.ledger.people import naming
from include.scratch import working_folder
from include.snapshots import registry
from include.snapshots.erased import Erased
from include.snapshots.local import Damaged, local
from include.snapshots.store import Missing, Store
from include.state import State


def rows_of(store: Store, state: State, erased: Erased, scratch: Path) -> dict[str, int]:
    """Return, for every snapshot by its id, how many rows name one of these people."""
    found: dict[str, int] = {}
    for key in state.snapshots.sources():
        for row in state.snapshots.all_of(key):
            with suppress(Missing, Damaged), working_folder(scratch, "look") as folder:
                manifest = registry.read(store, row.manifest_key)
                found[row.snapshot_id] = 0
                for name, held in manifest.relations.items():
                    columns = [each for each in naming(RELATIONS[name]) if each in held.columns]
                    for path in local(store, manifest, [name], folder)[name] if columns else ():
                        for batch in pq.ParquetFile(path).iter_batches(columns=columns):
                            found[row.snapshot_id] += erased.count(name, batch)
    return found
