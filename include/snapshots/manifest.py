"""What a snapshot is and holds: the document whose creation makes the snapshot exist.

Keys in the store: `snapshots/<source key>/<generation>/manifest.json` and, written before it by the attempt
that made them, `snapshots/<source key>/attempts/<attempt>/<relation>-<number>.parquet`. A file may be of several
snapshots: a later one names what an earlier attempt wrote where its rows are as they were.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict

FOLDER = "snapshots"
MANIFEST = "manifest.json"

Needs = Mapping[str, Collection[str]]
"""The columns that are needed of each relation."""


class SnapshotFile(BaseModel):
    """One Parquet file; `first_created_at` and `last_created_at` bound when its rows came about.

    That is by `Relation.moment`, where the relation has one and the file holds it. A bound is null where no row
    says when; rows that do not say so lie in any file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    rows: int
    bytes: int
    sha256: str
    first_created_at: AwareDatetime | None = None
    last_created_at: AwareDatetime | None = None


class SnapshotRelation(BaseModel):
    """One relation: `columns` are in the files; `absent` were asked for and the ledger lacks them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[str, ...]
    absent: tuple[str, ...] = ()
    rows: int
    files: tuple[SnapshotFile, ...]


class SnapshotTotals(BaseModel):
    """Control figures of `transactions`: points in hundredths, the sum of id hashes modulo 2^64 in hex."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = 0
    points: int = 0
    id_hash_total: str = "0" * 16
    first_created_at: AwareDatetime | None = None
    last_created_at: AwareDatetime | None = None


class StoredProof(BaseModel):
    """Where the proof of a snapshot stands (`proof.Proof`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    sha256: str


class Increment(BaseModel):
    """How the transactions of a snapshot differ from those of `base`, the one that it was begun from.

    late: rows that the ledger had known when `base` was read, by their own account, and that were not in it; changed,
    removed: rows of `base`; null where so many days differ that they were not compared. examples: ids of some of them.
    earliest: when the first of them came about.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    days_read: int
    late: int | None = 0
    changed: int | None = 0
    removed: int | None = 0
    examples: tuple[str, ...] = ()
    earliest: AwareDatetime | None = None

    @property
    def differs(self) -> dict[str, object] | None:
        """How many rows are not as an append-only ledger has them, with some ids; None where none is."""
        counts = {"late": self.late, "changed": self.changed, "removed": self.removed}
        return (
            {**counts, "examples": list(self.examples)}
            if any(counts.values()) or None in counts.values()
            else None
        )

    def sentence(self) -> str:
        """Return what differs in words."""
        if self.late is None:
            return f"{self.days_read} days differ from snapshot {self.base}: too many rows to compare"
        since = f", the first of {self.earliest:%Y-%m-%d}" if self.earliest else ""
        return (
            f"transactions against snapshot {self.base}: {self.late} came late, {self.changed} changed, "
            f"{self.removed} are gone{since}: {', '.join(self.examples)}"
        )


class SnapshotManifest(BaseModel):
    """A snapshot: one consistent read of a ledger at the read point `read_at` (the ledger's clock).

    source: the ledger's URL without secrets. absent: relations that were asked for and that it does not have.
    oldest_open_transaction: of the ledger's database just before the reading, where the source can tell.
    erasures: the digest of the people who are not in it, None where nobody had been erased. renews: the snapshot that
    it was written from, without people who were erased after that one was read. rows_read: how many rows came from the
    ledger. whole_at: the read point of the last snapshot before it, or itself, that read the whole ledger.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    source: str
    source_key: str
    mapping_hash: str | None
    generation: int
    attempt: str
    read_at: AwareDatetime
    oldest_open_transaction: AwareDatetime | None
    has_recorded_at: bool
    relations: dict[str, SnapshotRelation]
    absent: tuple[str, ...] = ()
    totals: SnapshotTotals
    code_version: str
    erasures: str | None = None
    renews: str | None = None
    rows_read: int | None = None
    whole_at: AwareDatetime | None = None
    proof: StoredProof | None = None
    increment: Increment | None = None

    def keys(self) -> set[str]:
        """Return the keys of everything in the store that the snapshot consists of, beside the manifest itself."""
        files = {file.key for relation in self.relations.values() for file in relation.files}
        return files | ({self.proof.key} if self.proof else set())

    def serves(self, moment: datetime, settle_delay: timedelta) -> bool:
        """Say whether T or K may be `moment`: what was still being written at R lies after it."""
        return moment <= self.read_at - settle_delay

    def covers(self, needs: Needs) -> bool:
        """Say whether every needed column was asked for when the snapshot was made."""
        for relation, columns in needs.items():
            if relation in self.absent:
                continue
            held = self.relations.get(relation)
            if held is None or not set(columns) <= {*held.columns, *held.absent}:
                return False
        return True

    def columns(self) -> dict[str, tuple[str, ...]]:
        """Return, by relation, the columns that the files hold."""
        return {name: relation.columns for name, relation in self.relations.items()}

    def key(self) -> str:
        """Return where the manifest stands in the store."""
        return manifest_key(self.source_key, self.generation)

    def encode(self) -> bytes:
        """Return the canonical JSON bytes."""
        document = self.model_dump(mode="json")
        return (json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


def source_key(public: str, mapping_hash: str | None) -> str:
    """Return the short key of a ledger as it is mapped: snapshots of one key may stand for each other."""
    return hashlib.sha256(f"{public}\0{mapping_hash or ''}".encode()).hexdigest()[:16]


def source_folder(key: str) -> str:
    """Return the folder of a ledger's snapshots."""
    return f"{FOLDER}/{key}"


def manifest_key(key: str, generation: int) -> str:
    """Return where the manifest of a generation stands in the store."""
    return f"{source_folder(key)}/{generation:08d}/{MANIFEST}"


def attempt_folder(key: str, attempt: str) -> str:
    """Return the folder into which one attempt writes."""
    return f"{source_folder(key)}/attempts/{attempt}"
