"""A sample of a snapshot: some of its customers, with all that is theirs, so that figures about them are whole.

One customer in N is chosen by the hash of the id, the same ones in every relation; a card is its owner's, and what
names no customer is chosen by its own key. Relations that are about no customer are whole. A sample lies beside
the files of the attempt that made its snapshot, and goes when they go; it is made from them when it is first asked for.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from include.ledger.catalog import RELATIONS
from include.ledger.hashing import text_hashes
from include.snapshots.local import local
from include.snapshots.manifest import SnapshotManifest, attempt_folder
from include.snapshots.store import Store

ROWS = 40_000
"""About so many rows of the largest relation are in a sample; where it has twice as many, the sample is all."""
_EVERYTHING = 1 << 64
_BATCH_ROWS = 1 << 16
# Rows that belong to what another relation's row belongs to: by which field, of which relation.
_THROUGH = {
    "transactions": ("card_id", "cards"),
    "vouchers": ("card_id", "cards"),
    "gift_card_transactions": ("voucher_id", "vouchers"),
}
_OWNER = "customer_id"


class Counts(NamedTuple):
    """How many rows of a relation are in the sample, in the half of it, and in the snapshot."""

    rows: int
    half: int
    snapshot: int


@dataclass(frozen=True)
class Sample:
    """Files of a sample on this machine by relation: all of it, and the half of its customers.

    share: one customer in so many. counts: of the relations that are about customers and have rows in the half.
    """

    share: int
    files: Mapping[str, Sequence[Path]]
    half: Mapping[str, Sequence[Path]]
    counts: Mapping[str, Counts]

    def like(self, rows: int) -> Counts | None:
        """Return the counts of the relation with most nearly so many rows, None where there is none to go by.

        What has a row for each row of a relation grows as that one does.
        """
        usable = [each for each in self.counts.values() if each.rows > each.half > 0]
        return min(usable, key=lambda each: abs(math.log(each.rows / max(rows, 1))), default=None)


def is_of_customers(relation: str) -> bool:
    """Say whether a relation's rows belong to customers, or grow with them."""
    fields = set(RELATIONS[relation].names)
    return bool(fields & {_OWNER, "card_id", "voucher_id", "entity_id"}) or relation == "webhook_logs"


def share_of(manifest: SnapshotManifest, relations: Collection[str]) -> int:
    """Return N where one customer in N is a sample of these relations; 1 where all of them are."""
    asked = [name for name in relations if is_of_customers(name) and name in manifest.relations]
    if max((manifest.relations[name].rows for name in asked), default=0) <= 2 * ROWS:
        return 1
    # The same for all relations of a snapshot, so that a customer is in the sample of each or of none.
    every = [held.rows for name, held in manifest.relations.items() if is_of_customers(name)]
    return max(1, max(every) // ROWS)


def missing(store: Store, manifest: SnapshotManifest, relations: Collection[str], share: int) -> int:
    """Return how many rows must be read before these relations have their sample; 0 where it is there."""
    if share == 1:
        return 0
    maker = _Maker(store, manifest, share, Path())
    wanted = {name for name in relations if name in manifest.relations and is_of_customers(name)}
    wanted |= {
        other for name, (_, other) in _THROUGH.items() if name in wanted and other in manifest.relations
    }
    return sum(manifest.relations[name].rows for name in wanted if not maker.is_there(name))


def sample(
    store: Store, manifest: SnapshotManifest, relations: Collection[str], share: int, scratch: Path
) -> Sample:
    """Return one customer in `share` of these relations, made now where it is not there yet.

    Raises `local.Damaged` for a file of the snapshot that is not what it was.
    """
    wanted = [name for name in relations if name in manifest.relations]
    own = [name for name in wanted if is_of_customers(name) and manifest.relations[name].files]
    whole = local(store, manifest, [name for name in wanted if name not in own], scratch)
    maker = _Maker(store, manifest, share, scratch)
    files: dict[str, list[Path]] = {name: list(paths) for name, paths in whole.items()}
    half = dict(files)
    for name in own:
        files[name], half[name] = [maker.file(name, "all")], [maker.file(name, "half")]
    counts = {
        name: Counts(_rows(files[name]), _rows(half[name]), manifest.relations[name].rows) for name in own
    }
    return Sample(share, files, half, counts)


class _Maker:
    def __init__(self, store: Store, manifest: SnapshotManifest, share: int, scratch: Path) -> None:
        self._store = store
        self._manifest = manifest
        self._share = share
        self._scratch = scratch
        self._limit = _EVERYTHING // share
        self._theirs: dict[str, pa.Array] = {}

    def file(self, relation: str, which: str) -> Path:
        """Return a file of the sample on this machine."""
        key = self._key(relation, which)
        if not self._store.exists(key):
            self._make(relation)
        return self._store.path(key) or self._store.get_to(key, self._scratch / key)

    def is_there(self, relation: str) -> bool:
        """Say whether a relation has its sample, or needs none since it has no rows."""
        held = self._manifest.relations[relation].files
        return not held or all(self._store.exists(self._key(relation, which)) for which in ("half", "all"))

    def _key(self, relation: str, which: str) -> str:
        folder = attempt_folder(self._manifest.source_key, self._manifest.attempt)
        return f"{folder}/sample-{self._share}-{relation}-{which}.parquet"

    def _make(self, relation: str) -> None:
        self._scratch.mkdir(parents=True, exist_ok=True)
        paths = {which: self._scratch / f"{relation}-{which}.parquet" for which in ("half", "all")}
        columns = list(self._manifest.relations[relation].columns)
        writers: dict[str, pq.ParquetWriter] = {}
        for batch in self._batches(relation, columns):
            hashes = self._hashes(relation, batch)
            for which, path in paths.items():
                if which not in writers:
                    writers[which] = pq.ParquetWriter(path, batch.schema, compression="zstd")
                limit = self._limit if which == "all" else self._limit // 2
                kept = batch.filter(pa.array(hashes < np.uint64(limit)))
                if len(kept):
                    writers[which].write_batch(kept)
        for writer in writers.values():
            writer.close()
        for which, path in paths.items():
            self._store.put_new(self._key(relation, which), path, move=True)

    def _batches(self, relation: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        for path in local(self._store, self._manifest, [relation], self._scratch)[relation]:
            with pq.ParquetFile(path, pre_buffer=False) as file:
                yield from file.iter_batches(_BATCH_ROWS, columns=list(columns), use_threads=False)

    def _hashes(self, relation: str, batch: pa.RecordBatch) -> NDArray[np.uint64]:
        """Return what decides on each row: the hash of whose it is; of what is another's, 0 where that one is in."""
        through, other = _THROUGH.get(relation, (None, None))
        names = [name for name in (_OWNER, *RELATIONS[relation].key) if name in batch.schema.names]
        hashes = text_hashes(_texts(batch, names)) if names else np.zeros(len(batch), np.uint64)
        if through is None or other not in self._manifest.relations or through not in batch.schema.names:
            return hashes
        held = batch.column(through)
        is_other = pc.and_(held.is_valid(), pc.greater(pc.binary_length(held), 0))
        mask = is_other.fill_null(False).to_numpy(zero_copy_only=False)
        if not mask.any():
            return hashes
        kept, half = self._keys_of(other, "all"), self._keys_of(other, "half")
        decided = np.full(len(batch), np.iinfo(np.uint64).max, np.uint64)
        decided[pc.is_in(held, value_set=kept).to_numpy(zero_copy_only=False)] = np.uint64(self._limit - 1)
        decided[pc.is_in(held, value_set=half).to_numpy(zero_copy_only=False)] = np.uint64(0)
        return np.where(mask, decided, hashes)

    def _keys_of(self, relation: str, which: str) -> pa.Array:
        """Return the keys of the rows of a relation that are in the sample."""
        name = f"{relation} {which}"
        if name not in self._theirs:
            [key] = RELATIONS[relation].key
            table = pq.read_table(self.file(relation, which), columns=[key], use_threads=False)
            self._theirs[name] = table.column(key).combine_chunks().cast(pa.string())
        return self._theirs[name]


def _texts(batch: pa.RecordBatch, names: Sequence[str]) -> pa.Array:
    """Return the first text of each row that is not null."""
    texts = [batch.column(name) for name in names]
    texts = [text.cast(pa.string()) for text in texts]
    return texts[0] if len(texts) == 1 or not texts[0].null_count else pc.coalesce(*texts)


def _rows(paths: Sequence[Path]) -> int:
    return sum(int(pq.read_metadata(path).num_rows) for path in paths)
