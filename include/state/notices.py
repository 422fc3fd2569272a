"""Notices: the outbox of what people are told, one row per event, subject, way and recipient.

`WAITING -> CLAIMED -> SENDING -> SENT | UNKNOWN | FAILED`, and back to WAITING when it is known that nothing left.
A row is written before anything is sent, so a notice outlives a crash. A claim has an expiry on the database's clock
and a fence: an overtaken attempt changes nothing. `may_have_left` outlives a crash too: the next attempt knows that
the last one began to send.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy import ColumnElement, literal, select, update

from include.acting import actor
from include.errors import BadInput, Problem
from include.state.audit import Action, append
from include.state.database import Database
from include.state.leases import StaleFence, upsert
from include.state.tables import MICROSECOND, NOTICES, WATCHES, Now


class NoticeState(StrEnum):
    """Where a notice stands."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    SENDING = "sending"
    SENT = "sent"
    UNKNOWN = "unknown"
    FAILED = "failed"


OPEN = (NoticeState.WAITING, NoticeState.CLAIMED, NoticeState.SENDING)


class StoredNotice(BaseModel):
    """One notice as recorded. `way` says by which connection or notifier, `notice` what is told, without secrets."""

    model_config = ConfigDict(frozen=True)

    key: str
    event: str
    definition_id: str | None
    run_key: str | None
    channel: str
    recipient: str
    way: dict[str, Any]
    notice: dict[str, Any]
    state: NoticeState
    fence: int
    attempts: int
    may_have_left: bool
    next_at: AwareDatetime
    message: str | None
    created_at: AwareDatetime
    updated_at: AwareDatetime


@dataclass(frozen=True)
class Address:
    """To whom, and by which way. `arguments` tell apart two uses of one Airflow notifier."""

    channel: str
    recipient: str
    way: Mapping[str, Any]

    def key(self, event: str, subject: str) -> str:
        """Return the notice's key: sha256 (hex) of event, subject, channel, recipient and arguments."""
        parts = ["notice", event, subject, self.channel, self.recipient, self.way.get("arguments")]
        text = json.dumps(parts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


class Notices:
    """The notices of one state database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        event: str,
        subject: str,
        address: Address,
        notice: Mapping[str, Any],
        *,
        definition_id: str | None = None,
        run_key: str | None = None,
    ) -> str:
        """Put a notice into the outbox and return its key; one that is there stays as it is.

        subject: what it is about: a run's key, or what stands for it where there is no run.
        """
        key = address.key(event, subject)
        insert: Any = upsert(self._database, NOTICES).values(
            key=key,
            event=event,
            definition_id=definition_id,
            run_key=run_key,
            channel=address.channel,
            recipient=address.recipient,
            way=dict(address.way),
            notice=dict(notice),
            state=NoticeState.WAITING.value,
            fence=0,
            attempts=0,
            may_have_left=False,
            next_at=Now(),
            created_at=Now(),
            updated_at=Now(),
        )
        with self._database.write() as connection:
            connection.execute(insert.on_conflict_do_nothing())
        return key

    def due(self, keys: Sequence[str] | None, channels: Sequence[str], limit: int = 200) -> Sequence[str]:
        """Return the keys of what can be sent now by these channels, the oldest first; of `keys` only, where given."""
        free = [*_free(), NOTICES.c.channel.in_(channels)]
        wanted = select(NOTICES.c.key).where(*free).order_by(NOTICES.c.created_at, NOTICES.c.key)
        if keys is not None:
            wanted = wanted.where(NOTICES.c.key.in_(keys))
        with self._database.read() as connection:
            return connection.scalars(wanted.limit(limit)).all()

    def claim(self, key: str, ttl: timedelta) -> StoredNotice | None:
        """Take a notice for `ttl`; None when somebody holds it, it is not due, or there is nothing to do."""
        values = {"state": "claimed", "fence": NOTICES.c.fence + 1, "attempts": NOTICES.c.attempts + 1}
        take = update(NOTICES).where(NOTICES.c.key == key, *_free())
        until = Now() + ttl // MICROSECOND
        with self._database.write() as connection:
            taken = connection.execute(take.values(**values, next_at=until, updated_at=Now())).rowcount
            row = connection.execute(select(NOTICES).where(NOTICES.c.key == key)).first()
        return _stored(row) if taken else None

    def sending(self, claimed: StoredNotice, ttl: timedelta) -> None:
        """Record, before it leaves, that the recipient may see something from now on."""
        values = {"state": "sending", "may_have_left": True, "next_at": Now() + ttl // MICROSECOND}
        self._write(claimed, values, alive=True)

    def sent(self, claimed: StoredNotice, said: str) -> None:
        """Record that the receiver took it."""
        self._write(claimed, {"state": "sent", "message": said}, told={"said": "taken"})

    def unknown(self, claimed: StoredNotice, message: str) -> None:
        """Record that nobody knows whether it was taken, and that it is not sent again."""
        self._write(claimed, {"state": "unknown", "message": message}, told={"said": "unknown"})

    def later(self, claimed: StoredNotice, message: str, wait: timedelta, *, nothing_left: bool) -> None:
        """Record a failure that may pass. nothing_left: the receiver is known not to have taken it."""
        left = {"may_have_left": False} if nothing_left else {}
        values = {"state": "waiting", "message": message, "next_at": Now() + wait // MICROSECOND}
        self._write(claimed, values | left)

    def failed(self, claimed: StoredNotice, message: str) -> None:
        """Record that it cannot be sent as it is."""
        self._write(claimed, {"state": "failed", "message": message})

    def retry(self, key: str) -> None:
        """Let a notice be sent that failed, is unknown or waits; BadInput for one that was sent or is not there."""
        held = NOTICES.c.key == key, NOTICES.c.state.in_(["failed", "unknown", "waiting"])
        now = literal(0, NOTICES.c.fence.type)
        values = {
            "state": "waiting",
            "attempts": 0,
            "next_at": now,
            "updated_at": Now(),
            "may_have_left": False,
        }
        with self._database.write() as connection:
            written = connection.execute(update(NOTICES).where(*held).values(values)).rowcount
        if not written:
            right = "the key of a notice that failed, is unknown or waits"
            raise BadInput([Problem("notice", key, right, "not_retried")])

    def get(self, key: str) -> StoredNotice | None:
        """Return a notice, or None."""
        with self._database.read() as connection:
            row = connection.execute(select(NOTICES).where(NOTICES.c.key == key)).first()
        return None if row is None else _stored(row)

    def list(
        self,
        *,
        run_key: str | None = None,
        state: NoticeState | None = None,
        event: str | None = None,
        since: datetime | None = None,
        limit: int = 1000,
    ) -> list[StoredNotice]:
        """Return notices, the newest first."""
        wanted = select(NOTICES).order_by(NOTICES.c.created_at.desc(), NOTICES.c.key).limit(limit)
        for column, value in (
            (NOTICES.c.run_key, run_key),
            (NOTICES.c.state, state),
            (NOTICES.c.event, event),
        ):
            if value is not None:
                wanted = wanted.where(column == value)
        if since is not None:
            wanted = wanted.where(NOTICES.c.created_at >= since)
        with self._database.read() as connection:
            return [_stored(row) for row in connection.execute(wanted)]

    def watched_since(self, definition_id: str, schedule: str) -> datetime:
        """Return since when this schedule of a definition is watched: from now, when it is new or was changed."""
        insert: Any = upsert(self._database, WATCHES).values(
            definition_id=definition_id, schedule=schedule, since=Now()
        )
        changed = {"schedule": schedule, "since": Now()}
        key = [WATCHES.c.definition_id]
        put = insert.on_conflict_do_update(
            index_elements=key, set_=changed, where=WATCHES.c.schedule != schedule
        )
        wanted = select(WATCHES.c.since).where(WATCHES.c.definition_id == definition_id)
        with self._database.write() as connection:
            connection.execute(put)
            since: datetime = connection.execute(wanted).scalar_one()
        return since

    def watched(self) -> dict[str, tuple[str, datetime]]:
        """Return by definition the schedule that is watched and since when, changing nothing."""
        wanted = select(WATCHES.c.definition_id, WATCHES.c.schedule, WATCHES.c.since)
        with self._database.read() as connection:
            return {row.definition_id: (row.schedule, row.since) for row in connection.execute(wanted)}

    def _write(
        self,
        claimed: StoredNotice,
        values: dict[str, Any],
        *,
        alive: bool = False,
        told: Mapping[str, Any] | None = None,
    ) -> None:
        """Write under the fence. alive: the claim must not have expired; told: what the audit chain is told."""
        ours = [NOTICES.c.key == claimed.key, NOTICES.c.fence == claimed.fence, NOTICES.c.state.in_(OPEN)]
        if alive:
            ours.append(NOTICES.c.next_at > Now())
        changed = update(NOTICES).where(*ours).values(**values, updated_at=Now())
        with self._database.write() as connection:
            written = connection.execute(changed).rowcount
            if written and told is not None:
                about = {"event": claimed.event, "channel": claimed.channel, "recipient": claimed.recipient}
                detail = {**about, "run": claimed.run_key, **told}
                append(connection, actor(), Action.NOTICE_SENT, claimed.key, detail)
        if not written:
            raise StaleFence(f"the claim (fence {claimed.fence}) on notice {claimed.key[:12]} is over")


def _free() -> list[ColumnElement[bool]]:
    return [NOTICES.c.state.in_(OPEN), NOTICES.c.next_at <= Now()]


def _stored(row: Any) -> StoredNotice:
    return StoredNotice.model_validate(dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name
