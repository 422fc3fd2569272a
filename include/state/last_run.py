"""What the list of exports says of their last runs and deliveries: kept on their rows, so that 10,000 list quickly.

Whatever changes a run or a delivery calls these in the same transaction, before it writes into the audit chain. A
run of an export that the catalogue does not know (yet) changes nothing; `of` finds it when the export becomes known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, and_, case, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from include.state.export_records import Status
from include.state.tables import DELIVERIES, EXPORTS, LAST_DELIVERIES, RUNS, Now

if TYPE_CHECKING:
    from include.state.runs import RunRecord

NOTHING: dict[str, Any] = {
    "run_key": None,
    "run_status": None,
    "run_bytes": None,
    "run_created_at": None,
    "run_moved_at": None,
    "run_delivers": False,
}
"""The columns of an export that has never run."""
# A run whose files are made is over for the list when nobody has begun to deliver them within the first of these
# microseconds, or when nothing has happened to its deliveries within the second.
_UNTIL_DELIVERY = 60 * 1_000_000
_UNTIL_SETTLED = 24 * 3600 * 1_000_000
WORKING = ("pinned", "running")


def moved(connection: Connection, run: RunRecord) -> None:
    """Write down how a run stands, if it is the export's newest. A look back that found nothing new is no run here."""
    assert run.created_at is not None
    mine = EXPORTS.c.run_key == run.run_key
    newest = or_(EXPORTS.c.run_created_at.is_(None), EXPORTS.c.run_created_at <= run.created_at)
    newest &= EXPORTS.c.created_at <= run.created_at  # an id that was taken again begins anew
    which = mine if run.revision and not run.files else or_(mine, newest)
    values = {
        "run_key": run.run_key,
        "run_status": str(run.status.value),
        "run_bytes": size(run.files),
        "run_created_at": run.created_at,
        "run_moved_at": Now(),
        "run_delivers": case((mine, EXPORTS.c.run_delivers), else_=False),
    }
    of_export = EXPORTS.c.definition_id == run.definition_id
    connection.execute(update(EXPORTS).where(of_export, which).values(values))


def works(connection: Connection, definition_id: str, run_key: str) -> None:
    """Write down that a run is at work; cheap where that is known."""
    known = EXPORTS.c.run_key == run_key, EXPORTS.c.run_status != "running"
    changed = update(EXPORTS).where(EXPORTS.c.definition_id == definition_id, *known)
    connection.execute(changed.values(run_status="running", run_moved_at=Now()))


def delivery_moved(connection: Connection, key: str) -> None:
    """Write down how a delivery stands as the last one of its export to its target."""
    both = DELIVERIES.join(RUNS, RUNS.c.run_key == DELIVERIES.c.run_key)
    about = RUNS.c.definition_id, DELIVERIES.c.target, DELIVERIES.c.state, DELIVERIES.c.run_key
    row = connection.execute(select(*about).select_from(both).where(DELIVERIES.c.key == key)).first()
    if row is None:  # of a run that the state does not hold
        return
    values = {"state": row.state, "at": Now(), "run_key": row.run_key}
    insert: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[connection.dialect.name]
    fresh = insert(LAST_DELIVERIES).values(definition_id=row.definition_id, target=row.target, **values)
    same = [LAST_DELIVERIES.c.definition_id, LAST_DELIVERIES.c.target]
    connection.execute(fresh.on_conflict_do_update(index_elements=same, set_=values))
    mine = EXPORTS.c.definition_id == row.definition_id, EXPORTS.c.run_key == row.run_key
    connection.execute(update(EXPORTS).where(*mine).values(run_delivers=True, run_moved_at=Now()))


def of(connection: Connection, definition_id: str) -> dict[str, Any]:
    """Return the columns for an export that becomes known and may have run before."""
    wanted = select(RUNS).where(RUNS.c.definition_id == definition_id, RUNS.c.revision == 0)
    run = connection.execute(wanted.order_by(RUNS.c.created_at.desc()).limit(1)).first()
    if run is None:
        return dict(NOTHING)
    delivers = select(DELIVERIES.c.key).where(DELIVERIES.c.run_key == run.run_key).limit(1)
    files = [each for each in run.artefacts or () if "skipped" not in each]
    return {
        "run_key": run.run_key,
        "run_status": run.status,
        "run_bytes": size(files),
        "run_created_at": run.created_at,
        "run_moved_at": run.updated_at,
        "run_delivers": connection.execute(delivers).first() is not None,
    }


def size(files: Sequence[dict[str, Any]]) -> int | None:
    """Return the bytes of a run's files without its manifest, which is the last; None where there are none."""
    return sum(int(each["bytes"]) for each in files[:-1]) if files else None


def word() -> ColumnElement[str]:
    """Return the word that says how an export's last run stands, as an expression over its row."""
    status, moved_at = EXPORTS.c.run_status, EXPORTS.c.run_moved_at
    rendered_lately = or_(
        moved_at > Now() - _UNTIL_DELIVERY,
        and_(EXPORTS.c.run_delivers, moved_at > Now() - _UNTIL_SETTLED),
    )
    return case(
        (status.is_(None), Status.PENDING.value),
        (status == "failed", Status.FAILED.value),
        (or_(status.in_(WORKING), and_(status == "rendered", rendered_lately)), Status.PROCESSING.value),
        else_=Status.FINISHED.value,
    )
