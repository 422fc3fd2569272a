"""Checkpoints: figures of all accounts at (T, K), kept beside the snapshot that they were booked from.

`snapshots/<source key>/attempts/<attempt>/checkpoints/<T>-<K>.json` says what it is and names its Parquet file; it is
created conditionally, so of two runs that make the same one the first wins. Checkpoints go when their snapshot goes.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from include.formats.hashes import file_sha256
from include.snapshots.local import Damaged
from include.snapshots.manifest import SnapshotFile, SnapshotManifest, attempt_folder
from include.snapshots.store import Missing, Store

_MICROSECOND = timedelta(microseconds=1)


class Checkpoint(BaseModel):
    """One checkpoint. as_of, known_at: T and K in us since the epoch.

    full_at: T of the last full replay that it goes back to; its own where it was one. code_version: of the code that
    booked: another one begins from none of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: int
    known_at: int
    full_at: int
    code_version: str
    file: SnapshotFile

    @property
    def key(self) -> str:
        """Return where it stands in the store."""
        return f"{self.file.key.rsplit('/', 1)[0]}/{self.as_of}-{self.known_at}.json"


def of(store: Store, manifest: SnapshotManifest) -> Iterator[Checkpoint]:
    """Yield the checkpoints of a snapshot."""
    for entry in store.list(_folder(manifest)):
        if entry.key.endswith(".json"):
            try:
                yield Checkpoint.model_validate_json(store.read(entry.key))
            except (Missing, ValueError):
                continue  # another run removes it, or another version of this product wrote it


def put(
    store: Store,
    manifest: SnapshotManifest,
    path: Path,
    *,
    as_of: int,
    known_at: int,
    full_at: int,
    rows: int,
    code_version: str,
) -> Checkpoint:
    """Keep figures as a checkpoint of a snapshot; the same T and K again change nothing."""
    key = f"{_folder(manifest)}/{as_of}-{known_at}-{secrets.token_hex(4)}.parquet"
    file = SnapshotFile(key=key, rows=rows, bytes=path.stat().st_size, sha256=file_sha256(path))
    made = Checkpoint(as_of=as_of, known_at=known_at, full_at=full_at, code_version=code_version, file=file)
    if store.exists(made.key):
        return made
    store.put_new(key, path)
    if not store.put_new(made.key, made.model_dump_json().encode()):
        store.delete(key)
    return made


def bring(store: Store, checkpoint: Checkpoint, scratch: Path) -> Path:
    """Return a copy of its figures in scratch; raise Damaged where they are missing, or not what they were.

    A copy also where the store is a folder: nobody keeps the original from going meanwhile.
    """
    path = scratch / checkpoint.file.key
    try:
        store.get_to(checkpoint.file.key, path)
    except Missing as error:
        raise Damaged(f"{checkpoint.file.key} is missing from {store.url}") from error
    if file_sha256(path) != checkpoint.file.sha256:
        raise Damaged(f"{checkpoint.file.key} is not what its manifest says: the file is damaged")
    return path


def remove(store: Store, checkpoint: Checkpoint) -> None:
    """Delete a checkpoint."""
    store.delete(checkpoint.key)  # first, so that none names a file that is gone
    store.delete(checkpoint.file.key)


def remove_all(store: Store, manifest: SnapshotManifest) -> None:
    """Delete the checkpoints of a snapshot, and what is left of such."""
    for entry in list(store.list(_folder(manifest))):
        store.delete(entry.key)


def is_due(checkpoint: Checkpoint, as_of: int, every: timedelta) -> bool:
    """Say whether a full replay is due at `as_of`, beside what begins from this one."""
    return as_of - checkpoint.full_at >= every // _MICROSECOND


def _folder(manifest: SnapshotManifest) -> str:
    return f"{attempt_folder(manifest.source_key, manifest.attempt)}/checkpoints"
