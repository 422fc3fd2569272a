"""Finding, publishing, damaging and clearing away snapshots: the store's manifests and the state's register.

A manifest in the store is what makes a snapshot exist. The register finds it quickly and counts who needs it;
`adopt` brings the register up to date after a crash between the two, or with a new state database.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from include.snapshots.manifest import (
    MANIFEST,
    Needs,
    SnapshotManifest,
    attempt_folder,
    manifest_key,
    source_folder,
)
from include.snapshots.store import Missing, Store
from include.state import State
from include.state.snapshots import RegisteredSnapshot, SnapshotState

# An attempt that has written nothing for so long is dead: its lease was lost many times over.
ABANDONED = timedelta(hours=1)
_LEASE = timedelta(minutes=2)


def load(store: Store, state: State, snapshot_id: str) -> SnapshotManifest:
    """Return the manifest of a snapshot; raise Missing when it is not there, or not fit for use, any more.

    One that holds somebody who was erased since is taken out of use.
    """
    row = state.snapshots.get(snapshot_id)
    if row is None or row.state is not SnapshotState.MADE:
        found = "unknown" if row is None else row.state.value
        raise Missing(f"snapshot {snapshot_id} is {found} in {store.url}")
    manifest = read(store, row.manifest_key)
    if manifest.erasures != state.erasures.digest():
        state.snapshots.stale(snapshot_id)
        raise Missing(f"snapshot {snapshot_id} holds somebody who was erased")
    return manifest


def read(store: Store, key: str) -> SnapshotManifest:
    """Return the manifest under a key; raise Missing."""
    return SnapshotManifest.model_validate_json(store.read(key))


def find(
    store: Store,
    state: State,
    source_key: str,
    *,
    needs: Needs,
    not_before: datetime,
    settle_delay: timedelta,
    holder: str | None,
) -> SnapshotManifest | None:
    """Return the newest usable snapshot that serves and covers, referred to by `holder`; None without one.

    Only one without the people who are erased by now is usable.
    """
    erasures = state.erasures.digest()
    for row in state.snapshots.usable(source_key):
        if not_before > row.read_at - settle_delay:
            continue
        try:
            manifest = read(store, row.manifest_key)
        except Missing:
            state.snapshots.damaged(row.snapshot_id)
            continue
        if manifest.erasures != erasures:
            continue
        if manifest.covers(needs) and (holder is None or state.snapshots.refer(row.snapshot_id, holder)):
            return manifest
    return None


def adopt(store: Store, state: State, source_key: str) -> int:
    """Register snapshots that are in the store and not in the register; return the newest generation."""
    newest = 0
    for entry in store.list(source_folder(source_key)):
        if entry.key.endswith(f"/{MANIFEST}"):
            manifest = read(store, entry.key)
            register(state, manifest)
            newest = max(newest, manifest.generation)
    return max(newest, *(row.generation for row in state.snapshots.all_of(source_key)), 0)


def register(state: State, manifest: SnapshotManifest) -> None:
    """Note in the register what the store's manifest says."""
    state.snapshots.register(
        RegisteredSnapshot(
            manifest.id,
            manifest.source_key,
            manifest.generation,
            manifest.read_at,
            manifest.key(),
            SnapshotState.MADE,
        ),
        manifest.increment.differs if manifest.increment else None,
    )


def publish(
    store: Store,
    state: State,
    made: Callable[[int], SnapshotManifest],
    *,
    first_generation: int,
    good_enough: Callable[[SnapshotManifest], bool],
) -> SnapshotManifest:
    """Create the manifest of an attempt at the first free generation, and register it.

    made: the manifest with a given generation. Where another attempt was faster and its snapshot is
    good enough, ours is discarded and the other one returned.
    """
    generation = first_generation
    while True:
        ours = made(generation)
        if not store.put_new(ours.key(), ours.encode()):
            there = read(store, ours.key())
            # A reply may have been lost: then the manifest that is there is ours.
            if there.attempt != ours.attempt:
                register(state, there)
                if good_enough(there):
                    discard(store, ours.source_key, ours.attempt)
                    return there
                generation += 1
                continue
        register(state, ours)
        return ours


def discard(store: Store, source_key: str, attempt: str) -> None:
    """Delete what an attempt has written."""
    for entry in store.list(attempt_folder(source_key, attempt)):
        store.delete(entry.key)


def sweep(store: Store, source_key: str, older_than: timedelta | None = None) -> int:
    """Delete the files of attempts that died, and return how many; call it while holding the lease.

    older_than: since they last wrote; left out, so long that they must be dead. What a snapshot names stays, whoever
    wrote it.
    """
    kept, named = _needed(store, source_key)
    attempts: dict[str, list[tuple[str, datetime]]] = {}
    for entry in store.list(attempt_folder(source_key, "")):
        attempt = entry.key.removeprefix(attempt_folder(source_key, "")).split("/")[0]
        attempts.setdefault(attempt, []).append((entry.key, entry.modified))
    dead = datetime.now(UTC) - (ABANDONED if older_than is None else older_than)
    gone = 0
    for attempt, files in attempts.items():
        if attempt not in kept and max(modified for _, modified in files) < dead:
            for key in (key for key, _ in files if key not in named):
                store.delete(key)
                gone += 1
    return gone


def _needed(store: Store, source_key: str) -> tuple[set[str], set[str]]:
    """Return the attempts that made the snapshots of a source, and the keys of all that these name."""
    attempts: set[str] = set()
    keys: set[str] = set()
    for entry in store.list(source_folder(source_key)):
        if entry.key.endswith(f"/{MANIFEST}"):
            manifest = read(store, entry.key)
            attempts.add(manifest.attempt)
            keys |= manifest.keys()
    return attempts, keys


def retire(store: Store, state: State, *, older_than: timedelta) -> list[str]:
    """Delete snapshots that nobody needs, are that old, and have a newer one after them; return their ids.

    Those of a ledger of which a snapshot is being taken wait for the next time: it may begin from one of them.
    """
    retired = []
    rows = state.snapshots.idle(older_than)
    for source_key in dict.fromkeys(row.source_key for row in rows):
        lease = state.leases.acquire(f"snapshot {source_key}", f"retire {secrets.token_hex(6)}", _LEASE)
        if lease is None:
            continue
        with state.leases.kept(lease, _LEASE) as beat:
            for row in (row for row in rows if row.source_key == source_key):
                beat.check()
                if state.snapshots.retire(row.snapshot_id) and remove(store, row):
                    retired.append(row.snapshot_id)
    return retired


def remove(store: Store, row: RegisteredSnapshot) -> bool:
    """Delete the files of a snapshot that is out of use, but for those that another one names.

    Call it while holding the lease of the source. Returns False when there is no manifest of it.
    """
    key = manifest_key(row.source_key, row.generation)
    try:
        manifest = read(store, key)
    except Missing:
        return False
    store.delete(key)  # first, so that no manifest ever names a file that is gone
    _, named = _needed(store, row.source_key)
    own = {entry.key for entry in store.list(attempt_folder(row.source_key, manifest.attempt))}
    for old in sorted((own | manifest.keys()) - named):
        store.delete(old)
    return True
