"""Leases: who may do a thing now, and the fence by which everybody else's late writes are known.

A lease is one row. Taking it raises its fence; it can be taken when it was given back or has expired on the
database's clock, which is the only clock that counts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from sqlalchemy import ColumnElement, Insert, Table, delete, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from include.errors import LoyaltyError, Transient
from include.state.database import Database
from include.state.tables import LEASES, MICROSECOND, Now

ATTEMPT = timedelta(minutes=2)
"""How long a delivery or an import belongs to an attempt that gives no sign of life."""


class StaleFence(Transient):
    """Another attempt has taken over; this one must stop. Asking again shows what the other one did."""


@dataclass(frozen=True)
class Lease:
    """A lease that was taken: nobody else has it before `expires_at`."""

    name: str
    owner: str
    fence: int
    expires_at: datetime


class Leases:
    """The leases of one state database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(self, name: str, owner: str, ttl: timedelta) -> Lease | None:
        """Take the lease for `ttl`, or return None while somebody holds it. `owner` names one attempt."""
        until = Now() + ttl // MICROSECOND
        insert = upsert(self._database, LEASES).values(name=name, owner=owner, fence=1, expires_at=until)
        taken: Any = insert.on_conflict_do_update(  # type: ignore[attr-defined]
            index_elements=[LEASES.c.name],
            set_={"owner": owner, "fence": LEASES.c.fence + 1, "expires_at": until},
            where=LEASES.c.expires_at <= Now(),
        ).returning(LEASES.c.fence, LEASES.c.expires_at)
        with self._database.write() as connection:
            row = connection.execute(taken).first()
        return None if row is None else Lease(name, owner, row.fence, row.expires_at)

    def renew(self, lease: Lease, ttl: timedelta) -> Lease:
        """Hold on for another `ttl`; raise StaleFence when the lease has expired or has a new owner."""
        wanted = (
            update(LEASES)
            .where(*_held(lease), LEASES.c.expires_at > Now())
            .values(expires_at=Now() + ttl // MICROSECOND)
            .returning(LEASES.c.expires_at)
        )
        with self._database.write() as connection:
            row = connection.execute(wanted).first()
        if row is None:
            raise StaleFence(f"the lease {lease.name!r} of {lease.owner} (fence {lease.fence}) is over")
        return Lease(lease.name, lease.owner, lease.fence, row.expires_at)

    def release(self, lease: Lease) -> None:
        """Give the lease back; one that is over already is left alone."""
        over = update(LEASES).values(expires_at=literal(0, LEASES.c.fence.type))
        with self._database.write() as connection:
            connection.execute(over.where(*_held(lease)))

    def forget(self, lease: Lease) -> None:
        """Give the lease back, and its name too: for what is done once. Whoever takes it again begins at fence 1."""
        with self._database.write() as connection:
            connection.execute(delete(LEASES).where(*_held(lease)))

    def holder(self, name: str) -> Lease | None:
        """Return the lease as it is held now, or None."""
        wanted = select(LEASES).where(LEASES.c.name == name, LEASES.c.expires_at > Now())
        with self._database.read() as connection:
            row = connection.execute(wanted).first()
        return None if row is None else Lease(row.name, row.owner, row.fence, row.expires_at)

    @contextmanager
    def kept(self, lease: Lease, ttl: timedelta, *, once: bool = False) -> Iterator[Heartbeat]:
        """Renew the lease while the block runs, and give it back at its end. once: nobody needs its name again."""
        with Heartbeat(lambda: self.renew(lease, ttl), ttl / 3) as beat:
            try:
                yield beat
            finally:
                # What went wrong in the block matters more; an unreachable database lets the lease expire.
                with suppress(Transient):
                    (self.forget if once else self.release)(lease)


class Heartbeat:
    """Calls `renew` every `every` in a thread; `check` raises what made it stop, in the worker's thread."""

    def __init__(self, renew: Callable[[], object], every: timedelta) -> None:
        self._renew = renew
        self._every = every.total_seconds()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._stale: StaleFence | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        """Raise StaleFence when the lease was lost. Call it between pieces of work."""
        if self._stale:
            raise self._stale

    def confirm(self) -> None:
        """Renew now and raise when that fails. Call it before what others will see."""
        self.check()
        self._renew()

    def _beat(self) -> None:
        while not self._stop.wait(self._every):
            try:
                self._renew()
            except StaleFence as error:
                self._stale = error
                return
            except LoyaltyError:
                continue  # the database is away: the next beat may find it, or the lease expires


def _held(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    """Return what is true of the row of this lease alone; a name that was forgotten may have its fence again."""
    return LEASES.c.name == lease.name, LEASES.c.fence == lease.fence, LEASES.c.owner == lease.owner


def upsert(database: Database, table: Table) -> Insert:
    """Return the dialect's own INSERT, which knows ON CONFLICT."""
    return sqlite.insert(table) if database.dialect == "sqlite" else postgresql.insert(table)
