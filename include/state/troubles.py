"""What in the state waits for somebody: found by few indexed questions, and counted by export.

Runs and notices that failed longer ago than `LOOKED_BACK` are history; a delivery that nobody can be sure of waits for
ever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, or_, select

from include.state.database import Database
from include.state.deliveries import WAITING, Delivery, DeliveryState
from include.state.last_run import WORKING
from include.state.notices import NoticeState, StoredNotice
from include.state.runs import RunRecord, RunStatus
from include.state.tables import DELIVERIES, MICROSECOND, NOTICES, RUNS, Now, instant

LOOKED_BACK = timedelta(days=30)
# Of a run that is not settled Airflow may still try the deliveries again by itself.
TRIED_AGAIN = timedelta(days=1)
# A step that takes longer says so every few seconds.
STUCK = timedelta(days=1)
MOST = 500
_DONE = (NoticeState.FAILED, NoticeState.UNKNOWN)


class Open(NamedTuple):
    """A delivery that needs somebody, and what is to be known of its run."""

    delivery: Delivery
    definition_id: str
    as_of: datetime


class Last(NamedTuple):
    """When deliveries of an export to a target last arrived, and when one last did not."""

    confirmed: datetime | None
    failed: datetime | None


def deliveries(database: Database, visible: Collection[str] | None = None) -> list[Open]:
    """Return the deliveries that need somebody, the oldest first; `visible`: of these exports only."""
    wanted = _deliveries(select(DELIVERIES, RUNS.c.definition_id, RUNS.c.as_of)).order_by(
        DELIVERIES.c.created_at
    )
    with database.read() as connection:
        rows = connection.execute(_only(wanted, RUNS.c.definition_id, visible).limit(MOST)).all()
    return [
        Open(Delivery.model_validate(dict(row._mapping)), row.definition_id, row.as_of)  # noqa: SLF001
        for row in rows
    ]


def runs(database: Database, visible: Collection[str] | None = None) -> list[RunRecord]:
    """Return the runs that failed, or hang, and of whose period none is done since, the oldest first."""
    wanted = _runs(select(RUNS)).order_by(RUNS.c.created_at)
    with database.read() as connection:
        rows = connection.execute(_only(wanted, RUNS.c.definition_id, visible).limit(MOST)).all()
    return [RunRecord.model_validate(dict(row._mapping)) for row in rows]  # noqa: SLF001


def notices(database: Database) -> list[StoredNotice]:
    """Return the notices that could not be sent, or of which nobody knows, the oldest first."""
    wanted = _notices(select(NOTICES)).order_by(NOTICES.c.created_at).limit(MOST)
    with database.read() as connection:
        return [StoredNotice.model_validate(dict(row._mapping)) for row in connection.execute(wanted)]  # noqa: SLF001


def counts(database: Database) -> Counter[str | None]:
    """Return how much of all this there is by export; under None what belongs to no export."""
    found: Counter[str | None] = Counter()
    asked = [
        _deliveries(select(RUNS.c.definition_id, func.count())).group_by(RUNS.c.definition_id),
        _runs(select(RUNS.c.definition_id, func.count())).group_by(RUNS.c.definition_id),
        _notices(select(NOTICES.c.definition_id, func.count())).group_by(NOTICES.c.definition_id),
    ]
    with database.read() as connection:
        for each in asked:
            for definition_id, count in connection.execute(each):
                found[definition_id] += count
    return found


def last_deliveries(database: Database, since: datetime) -> dict[tuple[str, str], Last]:
    """Return by export and target when a delivery last arrived and last did not, as far back as `since`."""
    settled = (DeliveryState.CONFIRMED, DeliveryState.FAILED, *WAITING)
    arrived = case((DELIVERIES.c.state == DeliveryState.CONFIRMED.value, DELIVERIES.c.updated_at))
    missed = case((DELIVERIES.c.state != DeliveryState.CONFIRMED.value, DELIVERIES.c.updated_at))
    same = RUNS.c.definition_id, DELIVERIES.c.target
    wanted = (
        select(*same, func.max(arrived).label("arrived"), func.max(missed).label("missed"))
        .select_from(DELIVERIES.join(RUNS, RUNS.c.run_key == DELIVERIES.c.run_key))
        .where(DELIVERIES.c.state.in_([state.value for state in settled]), DELIVERIES.c.updated_at >= since)
        .group_by(*same)
    )
    with database.read() as connection:
        return {
            (row.definition_id, row.target): Last(_instant(row.arrived), _instant(row.missed))
            for row in connection.execute(wanted)
        }


def _instant(value: Any) -> datetime | None:
    return instant(value) if isinstance(value, int) else value


def _ago(span: timedelta) -> ColumnElement[int]:
    return Now() - span // MICROSECOND


def _deliveries(wanted: Select[Any]) -> Select[Any]:
    again = DELIVERIES.alias("again")
    arrived = exists().where(
        again.c.run_key == DELIVERIES.c.run_key,
        again.c.target == DELIVERIES.c.target,
        again.c.state == DeliveryState.CONFIRMED.value,
    )
    stopped = [state.value for state in DeliveryState if state not in (DeliveryState.CONFIRMED, *WAITING)]
    over = RUNS.c.status.in_([RunStatus.DONE.value, RunStatus.FAILED.value])
    broken = and_(
        DELIVERIES.c.state.in_(stopped),
        DELIVERIES.c.updated_at >= _ago(LOOKED_BACK),
        DELIVERIES.c.expires_at <= Now(),
        or_(over, DELIVERIES.c.updated_at <= _ago(TRIED_AGAIN)),
        RUNS.c.files_gone_at.is_(None),
        ~arrived,
    )
    waiting = DELIVERIES.c.state.in_([state.value for state in WAITING])
    joined = DELIVERIES.join(RUNS, RUNS.c.run_key == DELIVERIES.c.run_key)
    return wanted.select_from(joined).where(or_(waiting, broken))


def _runs(wanted: Select[Any]) -> Select[Any]:
    other, delivery = RUNS.alias("other"), DELIVERIES.alias("delivery")
    better = exists().where(
        other.c.definition_id == RUNS.c.definition_id,
        other.c.as_of == RUNS.c.as_of,
        other.c.start.is_not_distinct_from(RUNS.c.start),
        ~other.c.dry_run,
        or_(
            other.c.status == RunStatus.DONE.value,
            and_(other.c.created_at > RUNS.c.created_at, other.c.run_key != RUNS.c.run_key),
        ),
    )
    # A failed delivery speaks for its run.
    told = exists().where(
        delivery.c.run_key == RUNS.c.run_key, delivery.c.state != DeliveryState.CONFIRMED.value
    )
    failed = and_(RUNS.c.status == RunStatus.FAILED.value, RUNS.c.updated_at >= _ago(LOOKED_BACK), ~told)
    hangs = and_(RUNS.c.status.in_(WORKING), RUNS.c.updated_at.between(_ago(LOOKED_BACK), _ago(STUCK)))
    return wanted.select_from(RUNS).where(or_(failed, hangs), ~RUNS.c.dry_run, ~better)


def _notices(wanted: Select[Any]) -> Select[Any]:
    undone = NOTICES.c.state.in_([state.value for state in _DONE])
    return wanted.select_from(NOTICES).where(undone, NOTICES.c.updated_at >= _ago(LOOKED_BACK))


def _only(wanted: Select[Any], column: ColumnElement[str], visible: Collection[str] | None) -> Select[Any]:
    return wanted if visible is None else wanted.where(column.in_(sorted(visible)))
