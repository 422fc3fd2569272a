"""Taking a snapshot: one consistent read of the ledger, made once and shared by all that it serves.

One attempt at a time holds a lease; the others are told when to ask again, and hold nothing. Every attempt
writes into a folder of its own, and the snapshot exists when its manifest is created, so a crash leaves files
that nobody sees. Relations come out of one state of the database, in the order in which it gives its rows;
reading and writing overlap, since the writer has a thread of its own, and transactions are read beside all others
where the database can (`Reading.beside`).

Where an earlier snapshot is there to begin from, only days that differ are read (`increment`); both are one snapshot
to whoever reads it: the same rows, in no promised order.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from include.connections import Secrets
from include.errors import LoyaltyError, NotYet
from include.scratch import working_folder
from include.snapshots import increment, registry
from include.snapshots.attempt import Attempt, Progress
from include.snapshots.erased import everybody
from include.snapshots.local import local
from include.snapshots.manifest import Needs, SnapshotManifest, source_key
from include.snapshots.reading import Reading
from include.snapshots.replicas import retried
from include.snapshots.source import Source, open_read, public_url
from include.snapshots.store import Store
from include.state import State
from include.state.tables import instant, microseconds

__all__ = ["Progress", "local", "take"]

LOG = logging.getLogger(__name__)
NO_KEYS = Secrets()
LEASE = timedelta(seconds=60)
ASK_AGAIN = timedelta(seconds=5)
NEVER_BEGIN = timedelta(0)


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
    whole_every: timedelta = NEVER_BEGIN,
    proof_days: int = 0,
) -> SnapshotManifest:
    """Return a snapshot that serves T and K up to `not_before` and covers `needs`; make it if there is none.

    needs: what all enabled definitions need, so that one snapshot serves all; a relation or column that the
    ledger does not have is noted as absent. holder: who will need the snapshot until it is unreferred. keys: with
    the key of erased people, where there are any; without it, BadInput. whole_every: begin from an earlier snapshot
    unless the last whole reading is that old; zero: read the ledger whole, and prove nothing. proof_days: of so many
    last days each is proven every time, and of those before a part in turn; 0: every day, every time.

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
                base = None
                if whole_every:
                    base = increment.begin(
                        store,
                        state,
                        key,
                        erasures=erased.digest if erased else None,
                        read_at=instant(reading.read_at),
                        whole_every=whole_every,
                        scratch=folder,
                    )
                work = Attempt(
                    attempt,
                    source,
                    store,
                    key,
                    folder,
                    beat,
                    progress,
                    erased,
                    bool(whole_every),
                    proof_days,
                    base,
                )
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
    if manifest.increment and manifest.increment.differs:
        LOG.warning("snapshot %s: %s", manifest.id, manifest.increment.sentence())
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
