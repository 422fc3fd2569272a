"""Deliveries: one row per run and target, claimed before anything is sent, so that effects happen once.

`CLAIMED -> READY -> SENDING -> CONFIRMED | UNCERTAIN | FAILED | CONFLICT`. A claim has an owner, an expiry on
the database's clock and a fence; every write checks the fence, so an overtaken attempt changes nothing.
`may_have_sent` outlives a crash: the next attempt then looks at the target before it sends.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy import ColumnElement, Connection, Row, func, literal, or_, select, update

from include.acting import actor
from include.errors import BadInput, NotYet, Problem
from include.state import last_run
from include.state.audit import Action, append
from include.state.database import Database
from include.state.leases import StaleFence, upsert
from include.state.runs import RunRecord, facts
from include.state.tables import DELIVERIES, MICROSECOND, RUNS, Now


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
# Nothing happens to these until a person has looked at the target.
WAITING = (DeliveryState.UNCERTAIN, DeliveryState.CONFLICT)
_MAY_BE_THERE = (DeliveryState.SENDING, DeliveryState.UNCERTAIN, DeliveryState.CONFIRMED)
# What the audit chain says of an outcome, in the transaction that writes it.
_OUTCOMES = {
    DeliveryState.CONFIRMED: Action.DELIVERED,
    DeliveryState.UNCERTAIN: Action.DELIVERY_UNCERTAIN,
    DeliveryState.FAILED: Action.DELIVERY_FAILED,
    DeliveryState.CONFLICT: Action.DELIVERY_CONFLICT,
}


_TOLD = ("name", "place", "bytes", "sha256", "outcome")


class Delivery(BaseModel):
    """One delivery as recorded. `rows` and `totals` are those of the file, `receipt` is the target's.

    sending: 0 for the run's own delivery, then the number of each time that somebody had it sent again.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    run_key: str
    target: str
    sending: int
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

    @property
    def is_live(self) -> bool:
        """Whether an attempt is at work, by our clock."""
        return self.expires_at > datetime.now(UTC)


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


class Rival(NamedTuple):
    """What another run of an export has at the same target, or brings there: until when it is held, and the run."""

    expires_at: datetime
    run: RunRecord

    @property
    def is_live(self) -> bool:
        """Whether an attempt is at work, by our clock."""
        return self.expires_at > datetime.now(UTC)


class Deliveries:
    """The deliveries of one state database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self, key: str, owner: str, ttl: timedelta, *, run_key: str, target: str, sending: int = 0
    ) -> Claim:
        """Take the delivery for `ttl`; raise NotYet while another attempt holds it.

        A confirmed or conflicting delivery is returned as it is, not taken. `owner` names one attempt.
        """
        until = Now() + ttl // MICROSECOND
        fresh = {"state": "claimed", "fence": 1, "owner": owner, "expires_at": until, "attempts": 1}
        insert: Any = upsert(self._database, DELIVERIES).values(
            key=key,
            run_key=run_key,
            target=target,
            sending=sending,
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
            if taken:
                last_run.delivery_moved(connection, key)
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
        """Let the next attempt try a delivery again; BadInput for a confirmed one, and while an attempt is at work."""
        values = {"state": DeliveryState.FAILED.value, "message": f"opened again by {by}"}
        self._by_person(key, values, Action.DELIVERY_REOPENED, by)

    def resolve(
        self, seen: Delivery, *, arrived: bool, receipt: dict[str, Any], by: str, note: str = ""
    ) -> Delivery:
        """Write down a person's word on a delivery, as they saw it: it arrived, or nothing of it did.

        receipt: what is known to be there, with their word. Afterwards it is confirmed, or open with nothing in doubt.
        BadInput when it is confirmed, when an attempt is at work, and when something happened to it since `seen`.
        """
        told = f"{by} says that it {'arrived' if arrived else 'did not arrive'}{f': {note}' if note else ''}"
        state = DeliveryState.CONFIRMED if arrived else DeliveryState.FAILED
        doubt = {} if arrived else {"may_have_sent": False}
        values = {"state": state.value, "message": told, "receipt": receipt, **doubt}
        self._by_person(seen.key, values, Action.RESOLVED, by, fence=seen.fence, arrived=arrived, note=note)
        found = self.get(seen.key)
        assert found is not None
        return found

    def _by_person(
        self,
        key: str,
        values: dict[str, Any],
        action: Action,
        by: str,
        *,
        fence: int | None = None,
        **more: Any,
    ) -> None:
        """Write what a person decided; the fence rises, so that no attempt of before can change it."""
        free = [
            DELIVERIES.c.key == key,
            DELIVERIES.c.state != DeliveryState.CONFIRMED.value,
            DELIVERIES.c.expires_at <= Now(),
        ]
        if fence is not None:
            free.append(DELIVERIES.c.fence == fence)
        raised = {"fence": DELIVERIES.c.fence + 1, "updated_at": Now()}
        with self._database.write() as connection:
            if not connection.execute(update(DELIVERIES).where(*free).values(values | raised)).rowcount:
                row = connection.execute(select(DELIVERIES).where(DELIVERIES.c.key == key)).first()
                raise BadInput([Problem("delivery", key, _not_free(row), "not_free")])
            last_run.delivery_moved(connection, key)
            tell(connection, key, action, by=by, **more)

    def get(self, key: str) -> Delivery | None:
        """Return the delivery, or None when it was never claimed."""
        with self._database.read() as connection:
            row = connection.execute(select(DELIVERIES).where(DELIVERIES.c.key == key)).first()
        return None if row is None else Delivery.model_validate(dict(row._mapping))  # noqa: SLF001

    def list(
        self,
        *,
        run_key: str | None = None,
        target: str | None = None,
        definition_ids: Collection[str] | None = None,
        states: Collection[DeliveryState] = (),
        since: datetime | None = None,
        key: str = "",
        limit: int = 1000,
        offset: int = 0,
    ) -> list[Delivery]:
        """Return deliveries in the order in which they were first claimed; of too many, the newest.

        since: something happened to them at or after it. key: how their keys begin. offset: so many newer are left out.
        """
        wanted = select(DELIVERIES).where(*_these(run_key, definition_ids, states))
        if target is not None:
            wanted = wanted.where(DELIVERIES.c.target == target)
        if since is not None:
            wanted = wanted.where(DELIVERIES.c.updated_at >= since)
        if key:
            wanted = wanted.where(DELIVERIES.c.key.startswith(key, autoescape=True))
        newest = wanted.order_by(DELIVERIES.c.created_at.desc(), DELIVERIES.c.key.desc())
        with self._database.read() as connection:
            found = connection.execute(newest.limit(limit).offset(offset)).all()
        return [Delivery.model_validate(dict(row._mapping)) for row in reversed(found)]  # noqa: SLF001

    def count(self, **which: Any) -> int:
        """Return how many there are; which: `run_key`, `definition_ids` and `states` as for `list`."""
        wanted = select(func.count()).select_from(DELIVERIES).where(*_these(**which))
        with self._database.read() as connection:
            return int(connection.execute(wanted).scalar_one())

    def rivals(self, run: RunRecord, target: str, *, later: bool) -> Sequence[Rival]:
        """Return what other runs of its export have, or may have, at the target.

        later: of runs about a later T, or the same T with a later K; else of earlier ones that are sending now.
        """
        t, k = RUNS.c.as_of, RUNS.c.known_at
        after = or_(t > run.as_of, (t == run.as_of) & (k > run.known_at))
        before = or_(t < run.as_of, (t == run.as_of) & (k < run.known_at))
        states = _MAY_BE_THERE if later else (DeliveryState.SENDING,)
        runs = DELIVERIES.join(RUNS, RUNS.c.run_key == DELIVERIES.c.run_key)
        wanted = select(DELIVERIES.c.expires_at.label("until"), RUNS).select_from(runs).where(
            RUNS.c.definition_id == run.definition_id, DELIVERIES.c.target == target, after if later else before,
            DELIVERIES.c.state.in_([state.value for state in states]),
        )  # fmt: skip
        with self._database.read() as connection:
            found = [dict(row._mapping) for row in connection.execute(wanted.order_by(t, k))]  # noqa: SLF001
        return [Rival(row.pop("until"), RunRecord.model_validate(row)) for row in found]

    def live(self) -> Sequence[Delivery]:
        """Return the deliveries at which an attempt is at work, by the database's clock."""
        wanted = select(DELIVERIES).where(DELIVERIES.c.expires_at > Now())
        with self._database.read() as connection:
            found = connection.execute(wanted).all()
        return [Delivery.model_validate(dict(row._mapping)) for row in found]  # noqa: SLF001

    def destinations(self, since: datetime) -> Sequence[tuple[str, str]]:
        """Return where something was delivered since: one run for each version of a definition, and the target."""
        runs = DELIVERIES.join(RUNS, RUNS.c.run_key == DELIVERIES.c.run_key)
        same = RUNS.c.definition_id, RUNS.c.definition_version, DELIVERIES.c.target
        wanted = select(func.min(RUNS.c.run_key), DELIVERIES.c.target).select_from(runs)
        with self._database.read() as connection:
            found = connection.execute(wanted.where(DELIVERIES.c.updated_at >= since).group_by(*same))
            return [(run_key, target) for run_key, target in found]

    def _close(self, claim: Claim, state: DeliveryState, message: str | None, **values: Any) -> None:
        """Write an outcome. It is true even if the claim expired, as long as nobody has taken over."""
        over = literal(0, DELIVERIES.c.fence.type)
        closed = {"state": state.value, "message": message, **values}
        self._write(claim, closed, alive=False, expires_at=over, action=_OUTCOMES[state])

    def _write(
        self,
        claim: Claim,
        values: dict[str, Any],
        *,
        alive: bool,
        expires_at: ColumnElement[Any] | None = None,
        action: Action | None = None,
    ) -> None:
        """Write under the fence; `alive` also demands that the claim has not expired. An action is told with it."""
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
            if not connection.execute(changed).rowcount:
                raise StaleFence(
                    f"the claim of {claim.owner} (fence {claim.fence}) on delivery {claim.key[:12]} is over"
                )
            if "state" in values:
                last_run.delivery_moved(connection, claim.key)
            if action is not None:
                tell(connection, claim.key, action)


def _these(
    run_key: str | None = None,
    definition_ids: Collection[str] | None = None,
    states: Collection[DeliveryState] = (),
) -> Iterator[ColumnElement[bool]]:
    if run_key is not None:
        yield DELIVERIES.c.run_key == run_key
    if definition_ids is not None:
        yield DELIVERIES.c.run_key.in_(select(RUNS.c.run_key).where(RUNS.c.definition_id.in_(definition_ids)))
    if states:
        yield DELIVERIES.c.state.in_([state.value for state in states])


def _not_free(row: Row[Any] | None) -> str:
    """Return why a person cannot decide about a delivery now."""
    if row is None:
        return "the key of a delivery"
    if row.state == DeliveryState.CONFIRMED.value:
        return "it is confirmed; to send its files once more: loyalty export send EXPORT --run RUN --again"
    if row.expires_at > datetime.now(UTC):
        return f"{row.owner} is delivering it now; look again after {row.expires_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"something happened to it since you looked ({row.state}: {row.message}); look again"


def tell(connection: Connection, key: str, action: Action, *, by: str | None = None, **more: Any) -> None:
    """Write into the audit chain what became of a delivery; last in the transaction that changed its row.

    by: who did it, where that is not who acts for the run. more: what else to say of it.
    """
    row = connection.execute(select(DELIVERIES).where(DELIVERIES.c.key == key)).one()
    found = connection.execute(select(RUNS).where(RUNS.c.run_key == row.run_key)).first()
    run = None if found is None else RunRecord.model_validate(dict(found._mapping))  # noqa: SLF001
    receipt = row.receipt or {}
    detail = {
        **({"run_key": row.run_key} if run is None else facts(run)),
        "target": row.target,
        "sending": row.sending,
        "attempts": row.attempts,
        "sha256": row.sha256,
        "rows": row.rows,
        "files": [{name: each.get(name) for name in _TOLD} for each in receipt.get("files", ())],
        "recipients": [
            {"address": each.get("address"), "answer": each.get("answer")}
            for each in receipt.get("recipients", ())
        ],
        **more,
    }
    append(connection, by or actor(run.requested_by if run else None), action, key, detail)
