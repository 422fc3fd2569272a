"""Imports: what was received, what a rehearsal said, who agreed, and what was posted. Nothing is forgotten.

An import's id follows from its bytes, its choices and how often it was repeated on purpose, so the same file is
recognised whoever sends it. Every change of state says from which states it may come, so that a zombie changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy import ColumnElement, Connection, func, select, update

from include.errors import BadInput, Problem
from include.imports.effects import Receipt, Rehearsal
from include.imports.options import Mode, Options
from include.state.audit import Action, append
from include.state.database import Database
from include.state.leases import StaleFence, upsert
from include.state.tables import IMPORTS, Now

_ID_DIGITS = 16


class ImportState(StrEnum):
    """Where an import stands.

    WRONG: rows are wrong, nothing can be posted. REHEARSED: it may be posted. WAITING: a second person must agree.
    """

    RECEIVED = "received"
    REHEARSED = "rehearsed"
    WAITING = "waiting"
    POSTING = "posting"
    POSTED = "posted"
    WRONG = "wrong"
    REFUSED = "refused"
    UNDONE = "undone"


FINISHED = frozenset({ImportState.POSTED, ImportState.WRONG, ImportState.REFUSED, ImportState.UNDONE})
# What may still be posted, or was: another file of that name is asked about.
LIVE = frozenset(set(ImportState) - {ImportState.WRONG, ImportState.REFUSED, ImportState.UNDONE})
_OPEN = frozenset({ImportState.RECEIVED, ImportState.REHEARSED, ImportState.WAITING})


class ImportRecord(BaseModel):
    """One import. `repeat`: how often the same was asked for before, on purpose. `undoes`: the import it takes back.

    decision: `approved` or `refused`, by `decided_by`. rows_key: where the store keeps the rehearsed rows. files: what
    can be downloaded, each with name, key, sha256, bytes, media_type and kind (`result`, `undo`, `original`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    import_id: str
    state: ImportState
    options: Options
    file_name: str
    sha256: str
    bytes: int
    repeat: int = 0
    undoes: str | None = None
    undone_by: str | None = None
    requested_by: str
    requested_at: AwareDatetime
    rehearsal: Rehearsal | None = None
    rows_key: str | None = None
    decided_by: str | None = None
    decided_at: AwareDatetime | None = None
    decision: str | None = None
    decision_note: str | None = None
    posted_by: str | None = None
    posted_at: AwareDatetime | None = None
    receipt: Receipt | None = None
    files: list[dict[str, Any]] | None = None
    updated_at: AwareDatetime

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it unless somebody asks."""
        return self.state in FINISHED


def import_id(sha256: str, options: Options, repeat: int, undoes: str | None = None) -> str:
    """Return the id of an import of these bytes."""
    said = json.dumps([sha256, options.model_dump(mode="json"), repeat, undoes], sort_keys=True)
    return "imp-" + hashlib.sha256(said.encode()).hexdigest()[:_ID_DIGITS]


class Imports:
    """The imports of one state database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def receive(
        self,
        *,
        name: str,
        sha256: str,
        size: int,
        options: Options,
        by: str,
        repeat: int = 0,
        undoes: str | None = None,
    ) -> ImportRecord:
        """Record a file that the store holds; return the record, which is there already for the same file."""
        key = import_id(sha256, options, repeat, undoes)
        insert: Any = upsert(self._database, IMPORTS).values(
            import_id=key,
            state=ImportState.RECEIVED.value,
            options=options.model_dump(mode="json"),
            file_name=name,
            sha256=sha256,
            bytes=size,
            repeat=repeat,
            undoes=undoes,
            requested_by=by,
            requested_at=Now(),
            updated_at=Now(),
        )
        told = {"sha256": sha256, "bytes": size, **options.model_dump(mode="json"), "undoes": undoes}
        with self._database.write() as connection:
            fresh = connection.execute(insert.on_conflict_do_nothing().returning(IMPORTS.c.import_id)).first()
            record = _one(connection, key)
            if fresh is not None:
                append(connection, by, Action.IMPORT_RECEIVED, key, told)
        return record

    def rehearsed(
        self, key: str, rehearsal: Rehearsal, rows_key: str | None, state: ImportState, *, by: str
    ) -> ImportRecord:
        """Record what a rehearsal said. Whoever agreed to an earlier one has not agreed to this one."""
        values = {
            "rehearsal": rehearsal.model_dump(mode="json"),
            "rows_key": rows_key,
            **dict.fromkeys(("decided_by", "decided_at", "decision", "decision_note")),
        }
        told = {
            "rows": rehearsal.rows,
            "wrong": rehearsal.wrong,
            "state": state.value,
            "digest": rehearsal.digest,
        }
        return self._move(key, _OPEN | {ImportState.WRONG}, state, values, by, Action.IMPORT_REHEARSED, told)

    def approve(self, key: str, *, by: str, note: str) -> ImportRecord:
        """Record that a second person agreed."""
        values = {
            "decided_by": by,
            "decided_at": Now(),
            "decision": "approved",
            "decision_note": note or None,
        }
        states = frozenset({ImportState.WAITING})
        return self._move(
            key, states, ImportState.REHEARSED, values, by, Action.IMPORT_APPROVED, {"note": note}
        )

    def refuse(self, key: str, *, by: str, reason: str) -> ImportRecord:
        """Record that it will not be posted."""
        values = {
            "decided_by": by,
            "decided_at": Now(),
            "decision": "refused",
            "decision_note": reason or None,
        }
        states = _OPEN | {ImportState.WRONG}
        return self._move(
            key, states, ImportState.REFUSED, values, by, Action.IMPORT_REFUSED, {"reason": reason}
        )

    def posting(self, key: str, *, by: str) -> ImportRecord:
        """Record that posting begins; a crash is found by this state."""
        states = frozenset({ImportState.REHEARSED, ImportState.POSTING})
        return self._move(key, states, ImportState.POSTING, {"posted_by": by})

    def reopen(self, key: str) -> ImportRecord:
        """Ask for a new rehearsal: what the rehearsed one was made of has changed."""
        states = frozenset({ImportState.REHEARSED, ImportState.WAITING, ImportState.POSTING})
        return self._move(key, states, ImportState.RECEIVED, {"posted_by": None})

    def give_up(self, key: str) -> ImportRecord:
        """Record that posting failed before anything was booked: it may be posted again."""
        return self._move(key, frozenset({ImportState.POSTING}), ImportState.REHEARSED, {"posted_by": None})

    def posted(self, key: str, receipt: Receipt, files: list[dict[str, Any]], *, by: str) -> ImportRecord:
        """Record what was booked; an import that takes another one back closes that one too."""
        values = {
            "receipt": receipt.model_dump(mode="json"),
            "files": files,
            "posted_at": receipt.at,
            "posted_by": by,
        }
        told = receipt.model_dump(mode="json")
        states = frozenset({ImportState.POSTING})
        with self._database.write() as connection:
            record = self._moved(connection, key, states, ImportState.POSTED, values)
            if record.undoes is not None:
                closed = {"undone_by": key}
                self._moved(
                    connection, record.undoes, frozenset({ImportState.POSTED}), ImportState.UNDONE, closed
                )
                append(connection, by, Action.IMPORT_UNDONE, record.undoes, {"by": key})
            append(connection, by, Action.IMPORT_POSTED, key, told)
        return record

    def offered(self, key: str, files: list[dict[str, Any]]) -> ImportRecord:
        """Record files that can be downloaded."""
        with self._database.write() as connection:
            connection.execute(
                update(IMPORTS).where(IMPORTS.c.import_id == key).values(files=files, updated_at=Now())
            )
            return _one(connection, key)

    def forget_files(self, key: str) -> None:
        """Record that the store has nothing of it any more."""
        with self._database.write() as connection:
            connection.execute(
                update(IMPORTS).where(IMPORTS.c.import_id == key).values(files=[], rows_key=None)
            )

    def get(self, key: str) -> ImportRecord | None:
        """Return the import of this id, or None."""
        with self._database.read() as connection:
            row = connection.execute(select(IMPORTS).where(IMPORTS.c.import_id == key)).first()
        return None if row is None else _record(row)

    def named(self, name: str, options: Options) -> list[ImportRecord]:
        """Return what was imported under a file's name with the same choices and may still count, the newest first."""
        wanted = select(IMPORTS).where(
            IMPORTS.c.file_name == name, IMPORTS.c.state.in_([each.value for each in LIVE])
        )
        with self._database.read() as connection:
            found = [
                _record(row) for row in connection.execute(wanted.order_by(IMPORTS.c.requested_at.desc()))
            ]
        return [each for each in found if each.options == options]

    def same(self, sha256: str, options: Options) -> list[ImportRecord]:
        """Return all imports of these bytes with the same choices, in the order of their repeats."""
        with self._database.read() as connection:
            rows = connection.execute(select(IMPORTS).where(IMPORTS.c.sha256 == sha256)).all()
        found = [each for each in map(_record, rows) if each.options == options]
        return sorted(found, key=lambda each: each.repeat)

    def undoing(self, key: str) -> list[ImportRecord]:
        """Return the imports that take this one back, the newest first."""
        wanted = select(IMPORTS).where(IMPORTS.c.undoes == key).order_by(IMPORTS.c.repeat.desc())
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(wanted)]

    def list(
        self,
        states: Collection[ImportState] = (),
        *,
        mode: Mode | None = None,
        text: str = "",
        before: datetime | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[ImportRecord]:
        """Return imports, the newest first; `text` is part of the file's name or of who asked, or how the id begins."""
        wanted = select(IMPORTS).order_by(IMPORTS.c.requested_at.desc(), IMPORTS.c.import_id)
        wanted = wanted.where(*_such(states, mode))
        if text:
            found = [
                func.lower(column).contains(text.lower(), autoescape=True)
                for column in (IMPORTS.c.file_name, IMPORTS.c.requested_by)
            ]
            wanted = wanted.where(found[0] | found[1] | IMPORTS.c.import_id.startswith(text, autoescape=True))
        if before is not None:
            wanted = wanted.where(IMPORTS.c.requested_at < before)
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(wanted.limit(limit).offset(offset))]

    def count(self, states: Collection[ImportState] = (), *, mode: Mode | None = None) -> int:
        """Return how many imports `list` has."""
        wanted = select(func.count()).select_from(IMPORTS).where(*_such(states, mode))
        with self._database.read() as connection:
            return int(connection.execute(wanted).scalar_one())

    def counts(self) -> dict[ImportState, int]:
        """Return how many imports stand where; states that none is in are left out."""
        wanted = select(IMPORTS.c.state, func.count()).group_by(IMPORTS.c.state)
        with self._database.read() as connection:
            return {ImportState(state): count for state, count in connection.execute(wanted)}

    def _move(
        self,
        key: str,
        states: Collection[ImportState],
        state: ImportState,
        values: Mapping[str, Any],
        by: str = "",
        action: Action | None = None,
        told: Mapping[str, Any] | None = None,
    ) -> ImportRecord:
        with self._database.write() as connection:
            record = self._moved(connection, key, states, state, values)
            if action is not None:
                append(connection, by, action, key, told)
        return record

    def _moved(
        self,
        connection: Connection,
        key: str,
        states: Collection[ImportState],
        state: ImportState,
        values: Mapping[str, Any],
    ) -> ImportRecord:
        mine = IMPORTS.c.import_id == key, IMPORTS.c.state.in_([each.value for each in states])
        changed = update(IMPORTS).where(*mine).values(state=state.value, updated_at=Now(), **values)
        if connection.execute(changed.returning(IMPORTS.c.import_id)).first() is None:
            raise StaleFence(f"import {key} is {_one(connection, key).state}: somebody else was faster")
        return _one(connection, key)


def unknown(key: str) -> BadInput:
    """Return the error for an import that nobody knows."""
    right = "there is no such import: `loyalty imports list` shows those that there are"
    return BadInput([Problem("import", key, right, "unknown_import")])


def _one(connection: Connection, key: str) -> ImportRecord:
    row = connection.execute(select(IMPORTS).where(IMPORTS.c.import_id == key)).first()
    if row is None:
        raise unknown(key)
    return _record(row)


def _such(states: Collection[ImportState], mode: Mode | None) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if states:
        found.append(IMPORTS.c.state.in_([each.value for each in states]))
    if mode is not None:
        found.append(IMPORTS.c.options["mode"].as_string() == mode.value)
    return found


def _record(row: Any) -> ImportRecord:
    return ImportRecord.model_validate(dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name
