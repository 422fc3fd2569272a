"""Deliveries: one row per run and target, claimed before anything is sent, so that effects happen once.

`CLAIMED -> READY -> SENDING -> CONFIRMED | UNCERTAIN | FAILED | CONFLICT`. A claim has an owner, an expiry on
the database's clock and a fence; every write checks the fence, so an overtaken attempt changes nothing.
`may_have_sent` outlives a crash: the next attempt then looks at the target before it sends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy import ColumnElement, literal, select, update

from include.errors import BadInput, NotYet, Problem
from include.state.database import Database
from include.state.leases import StaleFence, upsert
from include.state.tables import DELIVERIES, MICROSECOND, Now


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    CLAIMED = "claimed"
    READY = "ready"
    SENDING = "sending"
    CONFIRMED = "confirmed"
    UNCERTAIN = "uncertain"
    FAILED = "failed"
    CONFLICT = "conflict"


SETTLED = (DeliveryState.CONFIRMED, DeliveryState.CONFLICT)


class Delivery(BaseModel):
    """One delivery as recorded. `rows` and `totals` are those of the file, `receipt` is the target's."""

    model_config = ConfigDict(frozen=True)

    key: str
    run_key: str
    target: str
    state: DeliveryState
    fence: int
    owner: str
    expires_at: AwareDatetime
    attempts: int
    may_have_sent: bool
    sha256: str | None
    rows: int | None
    totals: dict[str, Any] | None
    receipt: dict[str, Any] | None
    message: str | None
    created_at: AwareDatetime
    updated_at: AwareDatetime


@dataclass(frozen=True)
class Claim:
    """The answer to `claim`. `taken` is False when the delivery is settled and there is nothing to do.

    may_have_sent: an earlier attempt began to send, so look at the target first.
    """

    key: str
    owner: str
    fence: int
    ttl: timedelta
    taken: bool
    state: DeliveryState
    may_have_sent: bool
    sha256: str | None
    receipt: dict[str, Any] | None
    message: str | None


class Deliveries:
    """The deliveries of one state database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, key: str, owner: str, ttl: timedelta, *, run_key: str, target: str) -> Claim:
        """Take the delivery for `ttl`; raise NotYet while another attempt holds it.

        A confirmed or conflicting delivery is returned as it is, not taken. `owner` names one attempt.
        """
        until = Now() + ttl // MICROSECOND
        fresh = {"state": "claimed", "fence": 1, "owner": owner, "expires_at": until, "attempts": 1}
        insert: Any = upsert(self._database, DELIVERIES).values(
            key=key,
            run_key=run_key,
            target=target,
            may_have_sent=False,
            created_at=Now(),
            updated_at=Now(),
            **fresh,
        )
        free = DELIVERIES.c.expires_at <= Now(), DELIVERIES.c.state.not_in(SETTLED)
        again = {"state": "claimed", "owner": owner, "expires_at": until, "updated_at": Now()}
        counted = {"fence": DELIVERIES.c.fence + 1, "attempts": DELIVERIES.c.attempts + 1}
        take = insert.on_conflict_do_update(
            index_elements=[DELIVERIES.c.key], set_=again | counted, where=free[0] & free[1]
        ).returning(DELIVERIES.c.fence)
        with self._database.write() as connection:
            taken = connection.execute(take).first() is not None
            row = connection.execute(select(DELIVERIES).where(DELIVERIES.c.key == key)).one()
        if not taken and row.state not in SETTLED:
            raise NotYet(f"{row.owner} is delivering to {target} now", row.expires_at)
        state = DeliveryState(row.state)
        known = row.may_have_sent, row.sha256, row.receipt, row.message
        return Claim(key, owner, row.fence if taken else -1, ttl, taken, state, *known)

    def renew(self, claim: Claim) -> None:
        """Hold the claim for another `ttl`; raise StaleFence when it is over."""
        self._write(claim, {}, alive=True)

    def ready(self, claim: Claim, *, sha256: str, rows: int, totals: dict[str, Any]) -> None:
        """Record the file that will be sent."""
        self._write(claim, {"state": "ready", "sha256": sha256, "rows": rows, "totals": totals}, alive=True)

    def sending(self, claim: Claim) -> None:
        """Record, before the first byte leaves, that the target may see something from now on."""
        self._write(claim, {"state": "sending", "may_have_sent": True}, alive=True)

    def record(self, claim: Claim, receipt: dict[str, Any]) -> None:
        """Keep what the target has taken so far; the next attempt gets it."""
        self._write(claim, {"receipt": receipt}, alive=True)

    def confirmed(self, claim: Claim, receipt: dict[str, Any]) -> None:
        """Record that the target holds exactly our bytes."""
        self._close(claim, DeliveryState.CONFIRMED, None, receipt=receipt)

    def uncertain(self, claim: Claim, message: str) -> None:
        """Record that the target may or may not have taken it."""
        self._close(claim, DeliveryState.UNCERTAIN, message)

    def failed(self, claim: Claim, message: str, *, nothing_sent: bool = False) -> None:
        """Record a failure. nothing_sent: the target is known to hold nothing of this delivery."""
        sent = {"may_have_sent": False} if nothing_sent else {}
        self._close(claim, DeliveryState.FAILED, message, **sent)

    def conflict(self, claim: Claim, message: str) -> None:
        """Record that the target holds something else under our name; a person must look."""
        self._close(claim, DeliveryState.CONFLICT, message)

    def reopen(self, key: str, *, by: str) -> None:
        """Let the next attempt try a delivery again that a person has looked at; a confirmed one stays."""
        held = DELIVERIES.c.key == key, DELIVERIES.c.state.in_(["conflict", "uncertain", "failed"])
        values = {"state": "failed", "message": f"opened again by {by}", "updated_at": Now()}
        with self._database.write() as connection:
            written = connection.execute(update(DELIVERIES).where(*held).values(values)).rowcount
        if not written:
            right = "the key of a delivery in conflict, uncertain or failed"
            raise BadInput([Problem("delivery", key, right, "not_reopened")])

    def get(self, key: str) -> Delivery | None:
        """Return the delivery, or None when it was never claimed."""
        with self._database.read() as connection:
            row = connection.execute(select(DELIVERIES).where(DELIVERIES.c.key == key)).first()
        return None if row is None else Delivery.model_validate(dict(row._mapping))  # noqa: SLF001

    def list(
        self, *, run_key: str | None = None, state: DeliveryState | None = None, limit: int = 1000
    ) -> list[Delivery]:
        """Return deliveries in the order in which they were first claimed."""
        wanted = select(DELIVERIES).order_by(DELIVERIES.c.created_at, DELIVERIES.c.key).limit(limit)
        if run_key is not None:
            wanted = wanted.where(DELIVERIES.c.run_key == run_key)
        if state is not None:
            wanted = wanted.where(DELIVERIES.c.state == state.value)
        with self._database.read() as connection:
            found = connection.execute(wanted)
            return [Delivery.model_validate(dict(row._mapping)) for row in found]  # noqa: SLF001

    def _close(self, claim: Claim, state: DeliveryState, message: str | None, **values: Any) -> None:
        """Write an outcome. It is true even if the claim expired, as long as nobody has taken over."""
        over = literal(0, DELIVERIES.c.fence.type)
        self._write(claim, {"state": state.value, "message": message, **values}, alive=False, expires_at=over)

    def _write(
        self,
        claim: Claim,
        values: dict[str, Any],
        *,
        alive: bool,
        expires_at: ColumnElement[Any] | None = None,
    ) -> None:
        """Write under the fence; `alive` also demands that the claim has not expired."""
        ours = [
            DELIVERIES.c.key == claim.key,
            DELIVERIES.c.fence == claim.fence,
            DELIVERIES.c.state.not_in(SETTLED),
        ]
        if alive:
            ours.append(DELIVERIES.c.expires_at > Now())
        until = Now() + claim.ttl // MICROSECOND if expires_at is None else expires_at
        changed = update(DELIVERIES).where(*ours).values(**values, expires_at=until, updated_at=Now())
        with self._database.write() as connection:
            written = connection.execute(changed).rowcount
        if not written:
            raise StaleFence(
                f"the claim of {claim.owner} (fence {claim.fence}) on delivery {claim.key[:12]} is over"
            )
