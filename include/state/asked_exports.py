"""Exports that programs asked for through an API: what was asked, how far it is, and whose it is.

An export is made by a run (`pipeline/answers/asked_exports.py`). Its record is there before the run is, so that it is
never forgotten, whatever happens to the process that makes it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy import ColumnElement, delete, func, insert, select, update

from include.state.database import Database
from include.state.tables import ASKED_EXPORTS, Now

ID_LETTERS = "abcdefghijkmnpqrstuvwxyz0123456789"
ID_LENGTH = 24


class AskedStatus(StrEnum):
    """How far an export is: it waits, is being made, is there, or could not be made."""

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    DONE = "done"
    ERROR = "error"


_OPEN = (AskedStatus.SCHEDULED.value, AskedStatus.IN_PROGRESS.value)


class AskedExport(BaseModel):
    """One export that was asked for.

    owner: the name that all keys of one program share; only they see it. kind and asked: what was asked for, in the
    words of the API. definition: the same in ours. personal: whether personal data is in it, or decides what is in it.
    as_of: T and K of the run. attempts: how often it failed by a passing trouble. message: why it could not be made.
    """

    model_config = ConfigDict(frozen=True)

    export_id: str
    owner: str
    requested_by: str
    kind: str
    asked: dict[str, Any]
    definition: dict[str, Any]
    personal: bool
    as_of: AwareDatetime
    status: AskedStatus
    attempts: int
    run_key: str | None
    message: str | None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    deleted_at: AwareDatetime | None

    @property
    def is_open(self) -> bool:
        """Whether it is still to be made."""
        return self.status.value in _OPEN


class Page(BaseModel):
    """Some exports of a list, and how many there are in all."""

    exports: tuple[AskedExport, ...]
    total: int


def new_id(prefix: str) -> str:
    """Return an id that nobody can guess, in letters that an export's id may have."""
    return prefix + "".join(secrets.choice(ID_LETTERS) for _ in range(ID_LENGTH))


class AskedExports:
    """The exports of one state database that programs asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        export_id: str,
        *,
        owner: str,
        requested_by: str,
        kind: str,
        asked: dict[str, Any],
        definition: dict[str, Any],
        personal: bool,
        as_of: AwareDatetime,
        most_open: int,
    ) -> AskedExport | None:
        """Keep what was asked for; None where this owner has `most_open` exports to be made already."""
        mine = ASKED_EXPORTS.c.owner == owner, ASKED_EXPORTS.c.deleted_at.is_(None)
        waiting = select(func.count()).where(*mine, ASKED_EXPORTS.c.status.in_(_OPEN))
        made = insert(ASKED_EXPORTS).values(
            export_id=export_id,
            owner=owner,
            requested_by=requested_by,
            kind=kind,
            asked=asked,
            definition=definition,
            personal=personal,
            as_of=as_of,
            status=AskedStatus.SCHEDULED.value,
            attempts=0,
            not_before=Now(),
            created_at=Now(),
            updated_at=Now(),
        )
        with self._database.write() as connection:
            if (connection.scalar(waiting) or 0) >= most_open:
                return None
            connection.execute(made)
            row = connection.execute(select(ASKED_EXPORTS).where(ASKED_EXPORTS.c.export_id == export_id))
            return _record(row.one())

    def get(self, export_id: str, *, owner: str | None = None) -> AskedExport | None:
        """Return an export that is not deleted. owner: whose it must be, None for anybody's."""
        wanted = select(ASKED_EXPORTS).where(ASKED_EXPORTS.c.export_id == export_id, *_theirs(owner))
        with self._database.read() as connection:
            row = connection.execute(wanted).first()
        return None if row is None else _record(row)

    def page(self, *, owner: str | None, personal: bool, order: str, limit: int, offset: int) -> Page:
        """Return exports that are not deleted, in order of `created_at` or `status`; a leading - is descending.

        personal: also those with personal data.
        """
        column = ASKED_EXPORTS.c[order.removeprefix("-")]
        by = column.desc() if order.startswith("-") else column.asc()
        seen = [*_theirs(owner), *([] if personal else [ASKED_EXPORTS.c.personal.is_(False)])]
        wanted = select(ASKED_EXPORTS).where(*seen).order_by(by, ASKED_EXPORTS.c.export_id)
        with self._database.read() as connection:
            total = connection.scalar(select(func.count()).select_from(ASKED_EXPORTS).where(*seen)) or 0
            rows = connection.execute(wanted.limit(limit).offset(offset))
            return Page(exports=tuple(_record(row) for row in rows), total=total)

    def waiting(self, limit: int = 100, idle: int = 0) -> Sequence[str]:
        """Return the ids of exports that are to be made now, the oldest first; some may be in work elsewhere.

        idle: only those to which nothing has happened for so many microseconds.
        """
        due = [ASKED_EXPORTS.c.status.in_(_OPEN), ASKED_EXPORTS.c.not_before <= Now()]
        if idle:
            due.append(ASKED_EXPORTS.c.updated_at <= Now() - idle)
        wanted = select(ASKED_EXPORTS.c.export_id).where(*due, *_theirs(None))
        with self._database.read() as connection:
            found = connection.scalars(wanted.order_by(ASKED_EXPORTS.c.created_at).limit(limit))
            return list(found)

    def any_open(self) -> bool:
        """Say whether any export is still to be made, now or later."""
        wanted = select(ASKED_EXPORTS.c.export_id).where(ASKED_EXPORTS.c.status.in_(_OPEN), *_theirs(None))
        with self._database.read() as connection:
            return connection.execute(wanted.limit(1)).first() is not None

    def over(self, before: AwareDatetime, limit: int = 10_000) -> Sequence[AskedExport]:
        """Return exports that were made, failed or were deleted before an instant."""
        wanted = select(ASKED_EXPORTS).where(is_over(), ASKED_EXPORTS.c.updated_at < before)
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(wanted.limit(limit))]

    def forget(self, export_id: str) -> None:
        """Remove the record of an export that is over."""
        gone = delete(ASKED_EXPORTS).where(ASKED_EXPORTS.c.export_id == export_id, is_over())
        with self._database.write() as connection:
            connection.execute(gone)

    def begin(self, export_id: str, run_key: str) -> None:
        """Say that the export is being made, by this run."""
        self._move(export_id, status=AskedStatus.IN_PROGRESS.value, run_key=run_key)

    def put_off(self, export_id: str, microseconds: int, *, failed: bool) -> None:
        """Let the export wait before it is tried again; `failed`: this attempt counts."""
        later = {"not_before": Now() + microseconds}
        self._move(export_id, **later, attempts=ASKED_EXPORTS.c.attempts + (1 if failed else 0))

    def finish(self, export_id: str, status: AskedStatus, message: str | None = None) -> None:
        """Say how it ended, once: who comes later changes nothing."""
        self._move(export_id, status=status.value, message=message)

    def delete(self, export_id: str, *, owner: str | None = None) -> AskedExport | None:
        """Delete an export for all who see it; return it as it was, None where there was none."""
        there = ASKED_EXPORTS.c.export_id == export_id, *_theirs(owner)
        gone = update(ASKED_EXPORTS).where(*there).values(deleted_at=Now(), updated_at=Now())
        with self._database.write() as connection:
            row = connection.execute(gone.returning(ASKED_EXPORTS)).first()
        return None if row is None else _record(row)

    def is_deleted(self, export_id: str) -> bool:
        """Say whether it was deleted, perhaps while it was being made."""
        return self.get(export_id) is None

    def _move(self, export_id: str, **values: Any) -> None:
        to_do = ASKED_EXPORTS.c.export_id == export_id, ASKED_EXPORTS.c.status.in_(_OPEN)
        with self._database.write() as connection:
            connection.execute(update(ASKED_EXPORTS).where(*to_do).values(**values, updated_at=Now()))


def is_over() -> ColumnElement[bool]:
    """Return the condition of exports with which nothing more will happen: made, failed or deleted."""
    return ASKED_EXPORTS.c.status.not_in(_OPEN) | ASKED_EXPORTS.c.deleted_at.is_not(None)


def _theirs(owner: str | None) -> list[ColumnElement[bool]]:
    there: list[ColumnElement[bool]] = [ASKED_EXPORTS.c.deleted_at.is_(None)]
    return there if owner is None else [*there, ASKED_EXPORTS.c.owner == owner]


def _record(row: Any) -> AskedExport:
    return AskedExport.model_validate(dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name
