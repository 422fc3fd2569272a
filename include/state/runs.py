"""Runs: what was asked for, with everything pinned that decides its bytes, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy import Connection, Row, case, desc, exists, func, or_, select, update

from include.acting import actor
from include.errors import BadInput, Problem
from include.state import identity, last_run
from include.state.audit import Action, append
from include.state.database import Database
from include.state.leases import upsert
from include.state.snapshots import SnapshotState
from include.state.tables import CHAIN, DELIVERIES, MICROSECOND, RUNS, SNAPSHOT_REFERENCES, SNAPSHOTS, Now

# What the audit chain says of a run's files.
_TOLD = ("name", "sha256", "bytes", "rows", "skipped")


# The stage of a run whose files could not be made together with those of others.
APART = "apart"


class RunStatus(StrEnum):
    """Where a run stands."""

    PINNED = "pinned"
    RUNNING = "running"
    RENDERED = "rendered"
    DONE = "done"
    FAILED = "failed"


class RunRecord(BaseModel):
    """One run. `as_of` is T, `known_at` is K; `[start, end)` is the reporting period where there is one.

    Keys left empty are computed when the run is pinned. `requested_by` is who asked for it by hand. `artefacts` are the
    rendered files, or one entry that says why there are none to send; `rows_done` of `rows_total` belong to `stage`,
    which began at `stage_at`.
    `files_gone_at` and `files_gone_why` (`retention`, `erasure`): when the files left the store; `artefacts` stays.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_key: str = ""
    request_key: str = ""
    definition_id: str
    definition_version: str
    definition: dict[str, Any]
    occurrence: AwareDatetime | None = None
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    as_of: AwareDatetime
    known_at: AwareDatetime
    revision: int = 0
    dry_run: bool = False
    requested_by: str | None = None
    snapshot_id: str | None = None
    artefacts: list[dict[str, Any]] | None = None
    files_gone_at: AwareDatetime | None = None
    files_gone_why: str | None = None
    status: RunStatus = RunStatus.PINNED
    stage: str = ""
    rows_done: int = 0
    rows_total: int | None = None
    summary: dict[str, Any] | None = None
    stage_at: AwareDatetime | None = None
    created_at: AwareDatetime | None = None
    updated_at: AwareDatetime | None = None

    @property
    def skipped(self) -> str | None:
        """Why nothing was sent, None where there are files or none yet."""
        reasons = [each["skipped"] for each in self.artefacts or [] if "skipped" in each]
        return str(reasons[0]) if reasons else None

    @property
    def files(self) -> list[dict[str, Any]]:
        """The rendered files, the manifest last; empty where there are none."""
        return [] if self.skipped else list(self.artefacts or [])


class Runs:
    """The runs of one state database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pin(self, run: RunRecord) -> RunRecord:
        """Insert the run, or return the one that was pinned earlier for the same request, with its K and all.

        Without a `request_key` the request is T, the interval and the revision: whoever asks for the same again, by
        schedule, backfill or hand, finds the first K. Who asks for another K gives another `request_key`.
        """
        run = _keyed(run)
        values = run.model_dump(mode="python", exclude={"stage_at", "created_at", "updated_at"})
        insert: Any = upsert(self._database, RUNS).values(**values, created_at=Now(), updated_at=Now())
        same = or_(RUNS.c.request_key == run.request_key, RUNS.c.run_key == run.run_key)
        # The request comes first: another request may have led to the same run.
        found = select(RUNS).where(same).order_by(desc(RUNS.c.request_key == run.request_key)).limit(1)
        with self._database.write() as connection:
            fresh = connection.execute(insert.on_conflict_do_nothing().returning(RUNS.c.run_key)).first()
            record = _record(connection.execute(found).one())
            if fresh is not None:
                last_run.moved(connection, record)
                _tell_of(connection, record)
        return record

    def of_occurrence(
        self,
        definition_id: str,
        definition_version: str,
        occurrence: datetime,
        *,
        revision: int,
        dry_run: bool,
    ) -> RunRecord | None:
        """Return the run that was pinned for an occurrence, or None."""
        wanted = select(RUNS).where(
            RUNS.c.definition_id == definition_id,
            RUNS.c.definition_version == definition_version,
            RUNS.c.occurrence == occurrence,
            RUNS.c.revision == revision,
            RUNS.c.dry_run == dry_run,
        )
        with self._database.read() as connection:
            row = connection.execute(wanted.order_by(RUNS.c.created_at).limit(1)).first()
        return None if row is None else _record(row)

    def pin_snapshot(self, run_key: str, snapshot_id: str) -> RunRecord:
        """Bind the run to a snapshot unless it is bound already; return the run as it is bound."""
        bound = {"snapshot_id": snapshot_id}
        return self._first(run_key, "snapshot_id", snapshot_id, Action.SNAPSHOT_BOUND, bound)

    def unpin_snapshot(self, run_key: str, snapshot_id: str) -> RunRecord:
        """Let go of a snapshot that was damaged or retired before anything was rendered from it; K stays."""
        held = RUNS.c.run_key == run_key, RUNS.c.snapshot_id == snapshot_id, RUNS.c.artefacts.is_(None)
        with self._database.write() as connection:
            connection.execute(update(RUNS).where(*held).values(snapshot_id=None, updated_at=Now()))
        return self.get(run_key)

    def pin_artefacts(
        self, run_key: str, artefacts: Sequence[dict[str, Any]], *, made_by: str | None = None
    ) -> RunRecord:
        """Keep the rendered files unless some are kept already; return the run with those that count.

        made_by: the run that they were made together with, for the audit chain.
        """
        made = [{name: each[name] for name in _TOLD if name in each} for each in artefacts]
        told = {"files": made} | ({"made_by": made_by} if made_by else {})
        self._first(run_key, "artefacts", list(artefacts), Action.RENDERED, told)
        # A late attempt must not open a run again that is settled.
        unsettled = RUNS.c.status.in_([RunStatus.PINNED.value, RunStatus.RUNNING.value])
        with self._database.write() as connection:
            done = update(RUNS).where(RUNS.c.run_key == run_key, unsettled)
            connection.execute(done.values(status=RunStatus.RENDERED.value, updated_at=Now()))
            row = connection.execute(select(RUNS).where(RUNS.c.run_key == run_key)).first()
            record = _record(_known(row, run_key))
            last_run.moved(connection, record)
        return record

    def progress(
        self,
        run_key: str,
        stage: str,
        rows_done: int,
        rows_total: int | None = None,
        *,
        unless_made: bool = False,
    ) -> None:
        """Say how far the run is; `rows_total` is None while nobody knows. unless_made: not once it has its files."""
        began = case((RUNS.c.stage == stage, func.coalesce(RUNS.c.stage_at, Now())), else_=Now())
        values = {"stage": stage, "rows_done": rows_done, "rows_total": rows_total, "stage_at": began}
        working = update(RUNS).where(RUNS.c.run_key == run_key).returning(RUNS.c.definition_id)
        if unless_made:
            working = working.where(RUNS.c.artefacts.is_(None))
        with self._database.write() as connection:
            changed = working.values(status=RunStatus.RUNNING.value, updated_at=Now(), **values)
            row = connection.execute(changed).first()
            if row is not None or not unless_made:
                last_run.works(connection, _known(row, run_key).definition_id, run_key)

    def finish(self, run_key: str, status: RunStatus, summary: dict[str, Any] | None = None) -> RunRecord:
        """Close the run; a later attempt may open it again by reporting progress."""
        settled = update(RUNS).where(RUNS.c.run_key == run_key).returning(RUNS)
        values = {"status": RunStatus(status).value, "summary": summary, "updated_at": Now()}
        with self._database.write() as connection:
            record = _record(_known(connection.execute(settled.values(values)).first(), run_key))
            last_run.moved(connection, record)
            detail = {**facts(record), "status": record.status.value}
            append(connection, actor(record.requested_by), Action.SETTLED, run_key, detail)
        return record

    def note(self, run_key: str, **told: Any) -> None:
        """Add to the summary of a run that is settled what became known afterwards."""
        mine = RUNS.c.run_key == run_key
        with self._database.write() as connection:
            summary = connection.scalar(select(RUNS.c.summary).where(mine)) or {}
            connection.execute(update(RUNS).where(mine).values(summary={**summary, **told}))

    def get(self, run_key: str) -> RunRecord:
        """Return the run; raise BadInput when nobody has pinned it."""
        with self._database.read() as connection:
            row = connection.execute(select(RUNS).where(RUNS.c.run_key == run_key)).first()
        return _record(_known(row, run_key))

    def list(
        self,
        *,
        definition_id: str | None = None,
        status: RunStatus | None = None,
        since: datetime | None = None,
        looks: bool = True,
        limit: int = 100,
    ) -> list[RunRecord]:
        """Return runs, the newest first. looks: also restatements that are over and found nothing new."""
        wanted = select(RUNS).order_by(RUNS.c.created_at.desc(), RUNS.c.run_key).limit(limit)
        if definition_id is not None:
            wanted = wanted.where(RUNS.c.definition_id == definition_id)
        if status is not None:
            wanted = wanted.where(RUNS.c.status == status.value)
        if since is not None:
            wanted = wanted.where(RUNS.c.created_at >= since)
        if not looks:
            made = exists().where(CHAIN.c.run_key == RUNS.c.run_key)
            wanted = wanted.where(or_(RUNS.c.revision == 0, RUNS.c.status != RunStatus.DONE.value, made))
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(wanted)]

    def of_period(self, run: RunRecord) -> Sequence[RunRecord]:
        """Return the runs of its definition about its period, or its T, in every revision, the newest first."""
        about = [RUNS.c[name] == getattr(run, name) for name in ("definition_id", "as_of", "start")]
        wanted = select(RUNS).where(*about, RUNS.c.dry_run.is_(False))
        with self._database.read() as connection:
            found = connection.execute(wanted.order_by(RUNS.c.created_at.desc(), RUNS.c.run_key))
            return [_record(row) for row in found]

    def files_gone(self, run_key: str, why: str, detail: dict[str, Any]) -> bool:
        """Write down that the run's files are removed from the store, once; its record and manifest stay."""
        kept = RUNS.c.run_key == run_key, RUNS.c.files_gone_at.is_(None)
        with self._database.write() as connection:
            gone = update(RUNS).where(*kept).values(files_gone_at=Now(), files_gone_why=why)
            if not connection.execute(gone).rowcount:
                return False
            append(connection, actor(), Action.FILES_REMOVED, run_key, {**detail, "why": why})
        return True

    def with_files(self) -> tuple[RunRecord, ...]:
        """Return all runs whose files are in the store, the oldest first."""
        wanted = select(RUNS).where(RUNS.c.artefacts.is_not(None), RUNS.c.files_gone_at.is_(None))
        with self._database.read() as connection:
            found = [_record(row) for row in connection.execute(wanted.order_by(RUNS.c.created_at))]
        return tuple(run for run in found if run.files)

    def furthest(self, definition_id: str) -> RunRecord | None:
        """Return the run with files whose T is the latest, of several the last restatement, or None."""
        mine = RUNS.c.definition_id == definition_id, RUNS.c.dry_run.is_(False)
        wanted = select(RUNS).where(*mine, RUNS.c.artefacts.is_not(None), RUNS.c.files_gone_at.is_(None))
        newest = wanted.order_by(RUNS.c.as_of.desc(), RUNS.c.revision.desc(), RUNS.c.created_at.desc()).limit(
            9
        )
        with self._database.read() as connection:
            found = (_record(row) for row in connection.execute(newest))
            return next((run for run in found if run.files), None)

    def at_work(self, within: timedelta) -> tuple[RunRecord, ...]:
        """Return the runs whose files are being made, as they said lately; not those that wait for it."""
        lately = RUNS.c.updated_at > Now() - within // MICROSECOND
        making = RUNS.c.artefacts.is_(None) & (RUNS.c.status == RunStatus.RUNNING.value)
        making &= ~RUNS.c.stage.startswith("snapshot")
        with self._database.read() as connection:
            return tuple(_record(row) for row in connection.execute(select(RUNS).where(lately, making)))

    def unrendered(self, snapshot_id: str, limit: int = 100) -> Sequence[RunRecord]:
        """Return runs that need the snapshot and whose files can be made together, the oldest first."""
        working = RUNS.c.status.in_([RunStatus.PINNED.value, RunStatus.RUNNING.value])
        needs = exists().where(
            SNAPSHOT_REFERENCES.c.holder == RUNS.c.run_key, SNAPSHOT_REFERENCES.c.snapshot_id == snapshot_id
        )
        mine = RUNS.c.snapshot_id == snapshot_id, RUNS.c.artefacts.is_(None), RUNS.c.stage != APART
        wanted = select(RUNS).where(working, needs, *mine).order_by(RUNS.c.created_at, RUNS.c.run_key)
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(wanted.limit(limit))]

    def unbound(self, limit: int = 100) -> Sequence[RunRecord]:
        """Return runs that wait for a snapshot, theirs may be out of use, and do not make one; the oldest first."""
        mine = SNAPSHOTS.c.snapshot_id == RUNS.c.snapshot_id
        out_of_use = exists().where(mine, SNAPSHOTS.c.state != SnapshotState.MADE.value)
        lacking = or_(RUNS.c.snapshot_id.is_(None), out_of_use)
        wanted = select(RUNS).where(RUNS.c.status == RunStatus.PINNED.value, lacking)
        oldest = wanted.order_by(RUNS.c.created_at, RUNS.c.run_key).limit(limit)
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(oldest)]

    def idle(self, older_than: timedelta) -> Sequence[RunRecord]:
        """Return runs that nobody settled and to which nothing has happened for so long, the oldest first.

        One whose files were made and were never to be sent is among them only as long as it keeps a snapshot.
        """
        working = RUNS.c.status.in_([RunStatus.PINNED.value, RunStatus.RUNNING.value])
        keeps = exists().where(SNAPSHOT_REFERENCES.c.holder == RUNS.c.run_key)
        sent = exists().where(DELIVERIES.c.run_key == RUNS.c.run_key)
        rendered = RUNS.c.status == RunStatus.RENDERED.value
        old = RUNS.c.updated_at <= Now() - older_than // MICROSECOND
        wanted = select(RUNS).where(old, or_(working, rendered & or_(keeps, sent)))
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(wanted.order_by(RUNS.c.created_at))]

    def _first(
        self, run_key: str, column: str, value: Any, action: Action, detail: dict[str, Any]
    ) -> RunRecord:
        """Set a column that is set once, and say so in the audit chain: the first writer's value stays."""
        empty = update(RUNS).where(RUNS.c.run_key == run_key, RUNS.c[column].is_(None))
        with self._database.write() as connection:
            written = connection.execute(empty.values({column: value, "updated_at": Now()})).rowcount
            row = connection.execute(select(RUNS).where(RUNS.c.run_key == run_key)).first()
            record = _record(_known(row, run_key))
            if written:
                append(connection, actor(record.requested_by), action, run_key, {**facts(record), **detail})
        return record


def facts(run: RunRecord) -> dict[str, Any]:
    """Return what the audit chain says of a run: what it is of, with everything that decides its bytes."""
    return {
        "definition_id": run.definition_id,
        "definition_version": run.definition_version,
        "run_key": run.run_key,
        "as_of": run.as_of,
        "known_at": run.known_at,
        "start": run.start,
        "end": run.end,
        "revision": run.revision,
        "dry_run": run.dry_run,
    }


def _tell_of(connection: Connection, run: RunRecord) -> None:
    """Write a new run into the audit chain, and whether its definition is another one than that of the last run."""
    same = RUNS.c.definition_id == run.definition_id, RUNS.c.run_key != run.run_key
    last = select(RUNS.c.definition_version).where(*same).order_by(RUNS.c.created_at.desc()).limit(1)
    before = connection.scalar(last)
    by = actor(run.requested_by)
    if before != run.definition_version:
        versions = {"version": run.definition_version, "before": before}
        append(connection, by, Action.DEFINITION_CHANGED, run.definition_id, versions)
    append(connection, by, Action.PINNED, run.run_key, facts(run))


def _keyed(run: RunRecord) -> RunRecord:
    """Fill in the keys that the caller left empty."""
    request = run.request_key or identity.request_key(
        run.definition_id,
        run.definition_version,
        as_of=run.as_of,
        start=run.start,
        end=run.end,
        known_at=None,
        revision=run.revision,
        dry_run=run.dry_run,
    )
    key = run.run_key or identity.run_key(
        run.definition_id,
        run.definition_version,
        as_of=run.as_of,
        known_at=run.known_at,
        start=run.start,
        end=run.end,
        revision=run.revision,
        dry_run=run.dry_run,
    )
    return run.model_copy(update={"run_key": key, "request_key": request})


def _known(row: Row[Any] | None, run_key: str) -> Row[Any]:
    if row is None:
        raise BadInput([Problem("run", run_key, "the key of a run that was pinned", "unknown_run")])
    return row


def _record(row: Row[Any]) -> RunRecord:
    return RunRecord.model_validate(dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name
