"""A snapshot's files on this machine, each checked against its manifest: reports read only local files."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from include.errors import Permanent
from include.snapshots.manifest import SnapshotFile, SnapshotManifest
from include.snapshots.store import Missing, Store
from include.state import State

AT_ONCE = 2


class Damaged(Permanent):
    """A file of the snapshot is missing or not what its manifest says; a new run takes a new snapshot."""


def local(
    store: Store,
    manifest: SnapshotManifest,
    relations: Collection[str],
    scratch: Path,
    *,
    since: datetime | None = None,
    before: datetime | None = None,
    state: State | None = None,
) -> dict[str, list[Path]]:
    """Return local files by relation, in order: copies in `scratch`, or the store's own where it is a folder.

    since, before: files whose rows all came about before the one, or then or later than the other, are left out,
    unread. Relations that the ledger does not have are left out too. state: where a damaged snapshot is taken
    out of use before Damaged is raised.
    """
    wanted: dict[str, list[SnapshotFile]] = {
        name: [file for file in manifest.relations[name].files if not _outside(file, since, before)]
        for name in relations
        if name in manifest.relations
    }
    files = [file for chosen in wanted.values() for file in chosen]
    try:
        with ThreadPoolExecutor(AT_ONCE, "fetch") as pool:
            paths = dict(zip(files, pool.map(lambda file: fetched(store, file, scratch), files), strict=True))
    except Damaged:
        if state is not None:
            state.snapshots.damaged(manifest.id)
        raise
    return {name: [paths[file] for file in chosen] for name, chosen in wanted.items()}


def _outside(file: SnapshotFile, since: datetime | None, before: datetime | None) -> bool:
    first, last = file.first_created_at, file.last_created_at
    late = before is not None and first is not None and first >= before
    return late or (since is not None and last is not None and last < since)


def fetched(store: Store, file: SnapshotFile, scratch: Path) -> Path:
    """Return a file on this machine; raise Damaged where it is missing, or not what it was."""
    path = store.path(file.key)
    try:
        if path is None:
            path = scratch / file.key
            if not path.exists() or _hash(path) != file.sha256:
                store.get_to(file.key, path)
        found = _hash(path)
    except (Missing, FileNotFoundError) as error:
        raise Damaged(f"{file.key} is missing from {store.url}") from error
    if found != file.sha256:
        raise Damaged(f"{file.key} has sha256 {found}, its manifest says {file.sha256}: the file is damaged")
    return path


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
