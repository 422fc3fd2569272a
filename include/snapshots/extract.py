"""Taking a snapshot: one consistent read of the ledger, made once and shared by all that it serves.

One attempt at a time holds a lease; the others are told when to ask again, and hold nothing. Every attempt
writes into a folder of its own, and the snapshot exists when its manifest is created, so a crash leaves files
that nobody sees. One relation after the other comes out of one database transaction, in the order in which
the database gives its rows; reading and writing overlap, since the writer has a thread of its own.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from include.connections import Secrets
from include.errors import LoyaltyError, NotYet
from include.ledger.catalog import RELATIONS
from include.ledger.people import naming
from include.scratch import working_folder
from include.snapshots import registry
from include.snapshots.erased import Erased, everybody
from include.snapshots.local import local
from include.snapshots.manifest import (
    Needs,
    SnapshotManifest,
    SnapshotRelation,
    SnapshotTotals,
    attempt_folder,
    source_key,
)
from include.snapshots.parquet import RelationFiles
from include.snapshots.reading import Reading
from include.snapshots.replicas import retried
from include.snapshots.source import Source, open_read, public_url
from include.snapshots.store import Store
from include.state import State
from include.state.identity import code_version
from include.state.leases import Heartbeat
from include.state.tables import instant, microseconds

__all__ = ["Progress", "local", "take"]

Progress = Callable[[str, int, int | None], None]
"""Called with the stage, the rows done and the rows in all (None: unknown)."""

NO_KEYS = Secrets()
LEASE = timedelta(seconds=60)
ASK_AGAIN = timedelta(seconds=5)
BATCHES_AHEAD = 3


def take(
    source: Source,
    store: Store,
    state: State,
    *,
    needs: Needs,
    not_before: datetime,
    settle_delay: timedelta,
    scratch: Path,
    progress: Progress | None = None,
    holder: str | None = None,
    keys: Secrets = NO_KEYS,
) -> SnapshotManifest:
    """Return a snapshot that serves T and K up to `not_before` and covers `needs`; make it if there is none.

    needs: what all enabled definitions need, so that one snapshot serves all; a relation or column that the
    ledger does not have is noted as absent. holder: who will need the snapshot until it is unreferred. keys: with
    the key of erased people, where there are any; without it, BadInput.

    Raises NotYet while another attempt is at it, while `settle_delay` after `not_before` has not passed on
    the ledger's clock, or while a database transaction older than `not_before` is open (for at most another
    `settle_delay`: one that hangs must not stop every report); StaleFence when this attempt was overtaken.
    """
    asked = {name: sorted(set(columns)) for name, columns in sorted(needs.items())}
    key = source_key(public_url(source.url), source.mapping_sha256)

    def found() -> SnapshotManifest | None:
        return registry.find(
            store,
            state,
            key,
            needs=asked,
            not_before=not_before,
            settle_delay=settle_delay,
            holder=holder,
        )

    if there := found():
        return there
    attempt = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(6)}"
    lease = state.leases.acquire(f"snapshot {key}", attempt, LEASE)
    if lease is None:
        raise NotYet("another run is taking the snapshot", datetime.now(UTC) + ASK_AGAIN)
    with state.leases.kept(lease, LEASE) as beat:
        generation = registry.adopt(store, state, key) + 1
        if there := found():
            return there
        registry.sweep(store, key)
        erased = everybody(state, keys)

        def read() -> SnapshotManifest:
            with _tidy(store, key, attempt, scratch) as folder, open_read(source) as reading:
                _wait_for_writers(reading, not_before, settle_delay)
                work = _Attempt(attempt, source, store, key, folder, beat, progress, erased)
                made = work.extract(reading, asked)
                beat.confirm()
                return made

        made = retried(read)
        manifest = registry.publish(
            store,
            state,
            lambda number: made.model_copy(update={"generation": number, "id": f"{key}-{number}"}),
            first_generation=generation,
            good_enough=lambda other: (
                other.serves(not_before, settle_delay)
                and other.covers(asked)
                and other.erasures == made.erasures
            ),
        )
    if holder is not None:
        state.snapshots.refer(manifest.id, holder)
    return manifest


def _wait_for_writers(reading: Reading, not_before: datetime, settle_delay: timedelta) -> None:
    """Raise NotYet while rows before `not_before` may still be on their way into the ledger."""
    wanted, delay = microseconds(not_before), settle_delay // timedelta(microseconds=1)
    now = datetime.now(UTC)
    missing = wanted + delay - reading.read_at
    if missing > 0 and reading.is_replica:
        known = (
            instant(reading.read_at).isoformat(timespec="seconds") if reading.read_at else "no known moment"
        )
        message = f"the replica has the primary's changes up to {known}; rows up to {not_before} are wanted"
        raise NotYet(message, now + min(ASK_AGAIN, timedelta(microseconds=missing)))
    if missing > 0:
        raise NotYet("rows of the period may still be being written", now + timedelta(microseconds=missing))
    oldest = reading.oldest_open_transaction()
    patience = wanted + 2 * delay - reading.read_at
    if oldest is not None and oldest < wanted and patience > 0:
        since = instant(oldest).isoformat(timespec="seconds")
        message = f"a database transaction of the ledger is open since {since} and may still write"
        raise NotYet(message, now + min(ASK_AGAIN, timedelta(microseconds=patience)))


@dataclass(frozen=True)
class _Attempt:
    """One attempt at a snapshot: where it reads from and writes to, and whom it asks and tells on the way."""

    name: str
    source: Source
    store: Store
    key: str
    scratch: Path
    beat: Heartbeat
    progress: Progress | None
    erased: Erased | None

    def extract(self, reading: Reading, asked: dict[str, list[str]]) -> SnapshotManifest:
        """Read every relation that was asked for; return the manifest, which has no generation yet."""
        relations: dict[str, SnapshotRelation] = {}
        totals = SnapshotTotals()
        for relation, columns in asked.items():
            if not reading.has(relation):
                continue
            there = reading.columns(relation)
            # In the catalog's order, whatever order they were asked in.
            present = [name for name in RELATIONS[relation].names if name in there and name in columns]
            folder = attempt_folder(self.key, self.name)
            files = RelationFiles(relation, present, store=self.store, folder=folder, scratch=self.scratch)
            written = self._copy(reading, files) if present else files.close()
            absent = tuple(name for name in columns if name not in present)
            relations[relation] = written.model_copy(update={"absent": absent})
            if relation == "transactions":
                totals = files.totals()
        oldest = reading.oldest_open_transaction()
        recorded = reading.has("transactions") and "recorded_at" in reading.columns("transactions")
        return SnapshotManifest(
            id="",
            source=public_url(self.source.url),
            source_key=self.key,
            mapping_hash=self.source.mapping_sha256,
            generation=0,
            attempt=self.name,
            read_at=instant(reading.read_at),
            oldest_open_transaction=None if oldest is None else instant(oldest),
            has_recorded_at=recorded,
            relations=relations,
            absent=tuple(name for name in asked if name not in relations),
            totals=totals,
            code_version=code_version(),
            erasures=self.erased.digest if self.erased else None,
        )

    def _copy(self, reading: Reading, files: RelationFiles) -> SnapshotRelation:
        """Write a relation's stream, while the next batch is already being read."""
        pending, read = deque[Future[None]](), 0
        with ThreadPoolExecutor(1, "parquet") as writer:
            for batch in self._stream(reading, files.relation, files.columns):
                self.beat.check()
                while len(pending) >= BATCHES_AHEAD:
                    pending.popleft().result()
                pending.append(writer.submit(files.write, batch))
                read += len(batch)
                self._tell(files.relation, read, None)
            for last in pending:
                last.result()
            relation = writer.submit(files.close).result()
        self._tell(files.relation, relation.rows, relation.rows)
        return relation

    def _stream(self, reading: Reading, relation: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read a relation without the people who were erased; who a row is of is looked at, wanted or not."""
        if self.erased is None:
            yield from reading.stream(relation, columns)
            return
        there = reading.columns(relation)
        whose = [name for name in naming(RELATIONS[relation]) if name in there and name not in columns]
        for batch in reading.stream(relation, [*columns, *whose]):
            yield self.erased.apply(relation, batch).select(list(columns))

    def _tell(self, relation: str, rows_done: int, rows_total: int | None) -> None:
        if self.progress:
            self.progress(f"snapshot {relation}", rows_done, rows_total)


@contextmanager
def _tidy(store: Store, key: str, attempt: str, scratch: Path) -> Iterator[Path]:
    """Give a scratch folder, removed in the end; on failure, delete from the store what the attempt wrote."""
    try:
        with working_folder(scratch, f"extract-{attempt}") as folder:
            yield folder
    except BaseException:
        with suppress(LoyaltyError):  # the first error says more; what is left is swept later
            registry.discard(store, key, attempt)
        raise
