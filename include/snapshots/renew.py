"""Writing snapshots anew without people who were erased after they were read: same rows, same instants, new files.

Done under the lease of the source, so that nobody takes a snapshot of it meanwhile. The new one is there before the old
one goes, and names it, so whoever is killed between the two is followed by somebody who only removes the old one.
"""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from include.errors import LoyaltyError, NotYet
from include.ledger.catalog import RELATIONS
from include.ledger.people import about, names
from include.scratch import working_folder
from include.snapshots import proof, registry
from include.snapshots.erased import Erased
from include.snapshots.extract import ASK_AGAIN, LEASE
from include.snapshots.increment import rows_of
from include.snapshots.local import Damaged
from include.snapshots.manifest import FOLDER, SnapshotFile, SnapshotManifest, attempt_folder
from include.snapshots.parquet import RelationFiles
from include.snapshots.store import Missing, Store
from include.state import State
from include.state.identity import code_version
from include.state.leases import Heartbeat
from include.state.snapshots import RegisteredSnapshot, SnapshotState

# A run that has said nothing for so long reads no snapshot any more.
SILENT = timedelta(minutes=5)


def renew(store: Store, state: State, erased: Erased, scratch: Path) -> dict[str, int]:
    """Write every snapshot of every source anew that was read before an erasure; return how many, and how many went.

    What cannot be written anew (damaged, or without the ids that say whose its rows are) is removed: whoever needs it
    reads the ledger again. Raises NotYet while a run reads one, or while somebody takes a snapshot.
    """
    done = {"snapshots_renewed": 0, "snapshots_removed": 0}
    for key in sorted({*state.snapshots.sources(), *_stored(store)}):
        attempt = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(6)}"
        lease = state.leases.acquire(f"snapshot {key}", attempt, LEASE)
        if lease is None:
            raise NotYet("a snapshot of the ledger is being taken", datetime.now(UTC) + ASK_AGAIN)
        with state.leases.kept(lease, LEASE) as beat:
            registry.adopt(store, state, key)
            registry.sweep(store, key, timedelta(0))
            written: dict[str, SnapshotFile] = {}
            for row, manifest in _outdated(store, state, key, erased):
                done[_replace(store, state, row, manifest, erased, beat, scratch, written)] += 1
    return done


def _stored(store: Store) -> set[str]:
    """Return the keys of the sources whose snapshots are in the store, known to the state or not."""
    return {entry.key.split("/")[1] for entry in store.list(FOLDER)}


def _outdated(
    store: Store, state: State, key: str, erased: Erased
) -> list[tuple[RegisteredSnapshot, SnapshotManifest | None]]:
    """Return the snapshots that hold somebody who was erased, the oldest first; the manifest is None where it is gone.

    Raises NotYet while a run is being made from one.
    """
    found: list[tuple[RegisteredSnapshot, SnapshotManifest | None]] = []
    for row in reversed(state.snapshots.all_of(key)):
        try:
            manifest = registry.read(store, row.manifest_key)
        except Missing:
            if row.state is not SnapshotState.RETIRED:
                found.append((row, None))
            continue
        if manifest.erasures != erased.digest:
            state.snapshots.stale(row.snapshot_id)
            found.append((row, manifest))
    stale = {row.snapshot_id for row, _ in found}
    for run in state.runs.at_work(SILENT):
        if run.snapshot_id in stale:
            message = f"run {run.run_key[:12]} of {run.definition_id} is being made from a snapshot with them"
            raise NotYet(message, datetime.now(UTC) + ASK_AGAIN)
    return found


def _replace(
    store: Store,
    state: State,
    row: RegisteredSnapshot,
    manifest: SnapshotManifest | None,
    erased: Erased,
    beat: Heartbeat,
    scratch: Path,
    written: dict[str, SnapshotFile],
) -> str:
    """Put a new snapshot in the place of an old one and remove that; return which of the two counts it is."""
    made: SnapshotManifest | None = None
    if manifest is not None and row.state not in (SnapshotState.DAMAGED, SnapshotState.RETIRED):
        with suppress(Damaged):
            made = _there(store, state, manifest, erased) or _written(
                store, state, manifest, erased, beat, scratch, written
            )
    state.snapshots.drop(row.snapshot_id, renewed_as=made.id if made else None)
    registry.remove(store, row)
    return "snapshots_renewed" if made else "snapshots_removed"


def _there(store: Store, state: State, old: SnapshotManifest, erased: Erased) -> SnapshotManifest | None:
    """Return what an earlier attempt made of a snapshot and could not finish with."""
    for row in state.snapshots.usable(old.source_key):
        manifest = registry.read(store, row.manifest_key)
        if manifest.renews == old.id and manifest.erasures == erased.digest:
            return manifest
    return None


def _written(
    store: Store,
    state: State,
    old: SnapshotManifest,
    erased: Erased,
    beat: Heartbeat,
    scratch: Path,
    written: dict[str, SnapshotFile],
) -> SnapshotManifest | None:
    """Write a snapshot anew; None where nobody can tell whose its rows are.

    written: what was written of files, by their old keys, which several snapshots may share; it grows.
    """
    if any(_nameless(name, held.columns) for name, held in old.relations.items()):
        return None
    attempt = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(6)}"
    folder = attempt_folder(old.source_key, attempt)
    known = proof.load(store, old.proof)
    fresh: dict[str, SnapshotFile] = {}
    try:
        with working_folder(scratch, f"renew-{attempt}") as work:
            for name, held in old.relations.items():
                for number, file in enumerate(held.files, 1):
                    if file.key in written or not _named(store, file, name, erased, beat, work):
                        continue
                    rest = RelationFiles(
                        name, held.columns, store=store, folder=folder, scratch=work,
                        name=f"{name}-{number:05d}", one=True,
                    )  # fmt: skip
                    for batch in rows_of(store, file, work / "old"):
                        beat.check()
                        rest.write(erased.apply(name, batch))
                    [fresh[file.key]] = rest.close().files
        new = {**written, **fresh}
        stored = (
            known.renamed({key: file.key for key, file in new.items()}).stored(store, folder)
            if known
            else None
        )
        beat.confirm()
    except BaseException:
        with suppress(LoyaltyError):
            registry.discard(store, old.source_key, attempt)
        raise
    relations = {
        name: held.model_copy(update={"files": tuple(new.get(file.key, file) for file in held.files)})
        for name, held in old.relations.items()
    }
    written |= fresh
    same = {"relations": relations, "attempt": attempt, "code_version": code_version(), "proof": stored}
    made = old.model_copy(update={**same, "erasures": erased.digest, "renews": old.id})
    return registry.publish(
        store,
        state,
        lambda number: made.model_copy(update={"generation": number, "id": f"{old.source_key}-{number}"}),
        first_generation=registry.adopt(store, state, old.source_key) + 1,
        good_enough=lambda _: False,
    )


def _named(
    store: Store, file: SnapshotFile, relation: str, erased: Erased, beat: Heartbeat, work: Path
) -> bool:
    """Say whether a file names one of the people; one that does not stays as it is."""
    for batch in rows_of(store, file, work / "old"):
        beat.check()
        if not erased.apply(relation, batch).equals(batch):
            return True
    return False


def _nameless(relation: str, columns: tuple[str, ...]) -> bool:
    """Say whether rows hold data about people and not whose it is."""
    of = RELATIONS[relation]
    whose = "entity_id" if relation == "changes" else "customer_id"
    known = whose in columns or (whose not in of.names and not names(of))
    return bool(set(about(of)) & set(columns)) and not known
