"""The register of snapshots, and who still needs which. The store's manifests are the truth."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import delete, exists, func, select, update

from include.acting import actor
from include.state.audit import Action, append
from include.state.database import Database
from include.state.leases import upsert
from include.state.tables import MICROSECOND, SNAPSHOT_REFERENCES, SNAPSHOTS, Now


class SnapshotState(StrEnum):
    """Whether a snapshot may be used."""

    MADE = "made"
    DAMAGED = "damaged"
    STALE = "stale"
    """It holds somebody who was erased since, and waits to be written anew without them."""
    RETIRED = "retired"


class RegisteredSnapshot(NamedTuple):
    """One snapshot as the state knows it."""

    snapshot_id: str
    source_key: str
    generation: int
    read_at: datetime
    manifest_key: str
    state: SnapshotState


class Snapshots:
    """The snapshots of one state database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, made: RegisteredSnapshot, differs: Mapping[str, Any] | None = None) -> None:
        """Add a snapshot whose manifest is in the store; again is fine.

        differs: what the audit chain is told of rows that are not as an append-only ledger has them.
        """
        values = {**made._asdict(), "state": made.state.value}
        insert: Any = upsert(self._database, SNAPSHOTS).values(**values, created_at=Now())
        known = insert.on_conflict_do_nothing().returning(SNAPSHOTS.c.snapshot_id)
        with self._database.write() as connection:
            if connection.execute(known).first() is not None:
                detail = {name: values[name] for name in ("source_key", "generation", "read_at")}
                told = {**detail, "differs": dict(differs)} if differs else detail
                append(connection, actor(), Action.SNAPSHOT_TAKEN, made.snapshot_id, told)

    def usable(self, source_key: str) -> list[RegisteredSnapshot]:
        """Return the snapshots of a source that may be used, the newest generation first."""
        wanted = SNAPSHOTS.c.source_key == source_key, SNAPSHOTS.c.state == SnapshotState.MADE.value
        return self._select(*wanted)

    def all_of(self, source_key: str) -> list[RegisteredSnapshot]:
        """Return all snapshots of a source, retired ones too, the newest generation first."""
        return self._select(SNAPSHOTS.c.source_key == source_key)

    def get(self, snapshot_id: str) -> RegisteredSnapshot | None:
        """Return one snapshot, whatever its state, or None."""
        return next(iter(self._select(SNAPSHOTS.c.snapshot_id == snapshot_id)), None)

    def refer(self, snapshot_id: str, holder: str) -> bool:
        """Note that `holder` (a run, backfill, download) needs the snapshot; False when it is not usable."""
        insert: Any = upsert(self._database, SNAPSHOT_REFERENCES).values(
            snapshot_id=snapshot_id, holder=holder, created_at=Now()
        )
        # The row lock keeps `retire` out until the reference is written.
        wanted = select(SNAPSHOTS.c.state).where(SNAPSHOTS.c.snapshot_id == snapshot_id).with_for_update()
        with self._database.write() as connection:
            if connection.scalar(wanted) != SnapshotState.MADE.value:
                return False
            connection.execute(insert.on_conflict_do_nothing())
        return True

    def unrefer(self, snapshot_id: str, holder: str) -> None:
        """Note that `holder` is done with the snapshot; again is fine."""
        mine = SNAPSHOT_REFERENCES.c.snapshot_id == snapshot_id, SNAPSHOT_REFERENCES.c.holder == holder
        with self._database.write() as connection:
            connection.execute(delete(SNAPSHOT_REFERENCES).where(*mine))

    def references(self, snapshot_id: str) -> int:
        """Return how many holders need the snapshot."""
        count = select(func.count()).where(SNAPSHOT_REFERENCES.c.snapshot_id == snapshot_id)
        with self._database.read() as connection:
            return connection.scalar(count) or 0

    def damaged(self, snapshot_id: str) -> None:
        """Take a snapshot out of use because a file of it is not what its manifest says."""
        damaged = update(SNAPSHOTS).where(SNAPSHOTS.c.snapshot_id == snapshot_id)
        with self._database.write() as connection:
            connection.execute(damaged.values(state=SnapshotState.DAMAGED.value))
            append(connection, actor(), Action.SNAPSHOT_DAMAGED, snapshot_id)

    def checkpoint_differs(self, snapshot_id: str, accounts: int) -> None:
        """Tell that a checkpoint gave other figures of so many accounts than a full replay of this snapshot."""
        with self._database.write() as connection:
            append(connection, actor(), Action.CHECKPOINT_DIFFERS, snapshot_id, {"accounts": accounts})

    def idle(self, older_than: timedelta) -> list[RegisteredSnapshot]:
        """Return what nobody needs and is that old, except the newest usable one of each source."""
        newer = SNAPSHOTS.alias("newer")
        needed = exists().where(SNAPSHOT_REFERENCES.c.snapshot_id == SNAPSHOTS.c.snapshot_id)
        replaced = exists().where(
            newer.c.source_key == SNAPSHOTS.c.source_key,
            newer.c.generation > SNAPSHOTS.c.generation,
            newer.c.state == SnapshotState.MADE.value,
        )
        old = SNAPSHOTS.c.created_at <= Now() - older_than // MICROSECOND
        return self._select(~needed, replaced, old, SNAPSHOTS.c.state != SnapshotState.RETIRED.value)

    def retire(self, snapshot_id: str) -> bool:
        """Take a snapshot out of use for good, before its files go; False when somebody needs it."""
        lock = select(SNAPSHOTS.c.state).where(SNAPSHOTS.c.snapshot_id == snapshot_id).with_for_update()
        count = select(func.count()).where(SNAPSHOT_REFERENCES.c.snapshot_id == snapshot_id)
        out = update(SNAPSHOTS).where(SNAPSHOTS.c.snapshot_id == snapshot_id)
        with self._database.write() as connection:
            connection.execute(lock)
            if connection.scalar(count):
                return False
            connection.execute(out.values(state=SnapshotState.RETIRED.value))
            append(connection, actor(), Action.RETIRED, snapshot_id)
        return True

    def sources(self) -> list[str]:
        """Return the keys of all sources that ever had a snapshot."""
        with self._database.read() as connection:
            found = connection.execute(select(SNAPSHOTS.c.source_key).distinct())
            return sorted(row.source_key for row in found)

    def any_stale(self) -> bool:
        """Say whether a snapshot waits to be written anew."""
        return bool(self._select(SNAPSHOTS.c.state == SnapshotState.STALE.value))

    def stale(self, snapshot_id: str) -> None:
        """Take a snapshot out of use because it holds somebody who was erased."""
        made = SNAPSHOTS.c.snapshot_id == snapshot_id, SNAPSHOTS.c.state == SnapshotState.MADE.value
        with self._database.write() as connection:
            connection.execute(update(SNAPSHOTS).where(*made).values(state=SnapshotState.STALE.value))

    def drop(self, snapshot_id: str, *, renewed_as: str | None = None) -> None:
        """Take a snapshot out of use for good, whoever needs it: they find another one.

        renewed_as: the snapshot that stands in its place, and is as old as it for those that retire old ones.
        """
        mine = SNAPSHOTS.c.snapshot_id == snapshot_id
        with self._database.write() as connection:
            created = connection.scalar(select(SNAPSHOTS.c.created_at).where(mine))
            if renewed_as is not None:
                other = update(SNAPSHOTS).where(SNAPSHOTS.c.snapshot_id == renewed_as)
                connection.execute(other.values(created_at=created))
            connection.execute(
                delete(SNAPSHOT_REFERENCES).where(SNAPSHOT_REFERENCES.c.snapshot_id == snapshot_id)
            )
            out = update(SNAPSHOTS).where(mine, SNAPSHOTS.c.state != SnapshotState.RETIRED.value)
            if connection.execute(out.values(state=SnapshotState.RETIRED.value)).rowcount:
                append(connection, actor(), Action.RETIRED, snapshot_id, {"renewed_as": renewed_as})

    def _select(self, *where: Any) -> list[RegisteredSnapshot]:
        wanted = select(SNAPSHOTS).where(*where).order_by(SNAPSHOTS.c.generation.desc())
        with self._database.read() as connection:
            return [
                RegisteredSnapshot(
                    row.snapshot_id,
                    row.source_key,
                    row.generation,
                    row.read_at,
                    row.manifest_key,
                    SnapshotState(row.state),
                )
                for row in connection.execute(wanted)
            ]
