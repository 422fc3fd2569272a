"""Definitions as the state knows them: every version that ever ran, by the hash of what decides its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy import select, update

from include.acting import actor
from include.state.audit import Action, append
from include.state.database import Database
from include.state.leases import upsert
from include.state.tables import DEFINITIONS, Now


class StoredDefinition(BaseModel):
    """One version of one definition; `document` is the definition in its JSON form."""

    model_config = ConfigDict(frozen=True)

    definition_id: str
    version: str
    document: dict[str, Any]
    created_by: str
    created_at: AwareDatetime
    enabled: bool
    current: bool


class Definitions:
    """The definitions of one state database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(
        self,
        definition_id: str,
        version: str,
        document: Mapping[str, Any],
        *,
        created_by: str = "",
        enabled: bool = True,
    ) -> str:
        """Keep this version and make it the current one; return the version. Again is fine.

        The document is replaced where the version is known: parts of it (its description) may change without
        changing bytes.
        """
        kept = {"document": dict(document), "enabled": enabled, "current": True}
        fresh = {"created_by": created_by, "created_at": Now()}
        insert: Any = upsert(self._database, DEFINITIONS).values(
            definition_id=definition_id, version=version, **kept, **fresh
        )
        key = [DEFINITIONS.c.definition_id, DEFINITIONS.c.version]
        others = DEFINITIONS.c.definition_id == definition_id, DEFINITIONS.c.version != version
        before = select(DEFINITIONS).where(
            DEFINITIONS.c.definition_id == definition_id, DEFINITIONS.c.current
        )
        with self._database.write() as connection:
            last = connection.execute(before).first()
            connection.execute(insert.on_conflict_do_update(index_elements=key, set_=kept))
            connection.execute(
                update(DEFINITIONS).where(*others, DEFINITIONS.c.current).values(current=False)
            )
            if last is None or (last.version, last.document, last.enabled) != (
                version,
                dict(document),
                enabled,
            ):
                told = {"version": version, "before": last and last.version, "enabled": enabled}
                append(connection, created_by or actor(), Action.DEFINITION_CHANGED, definition_id, told)
        return version

    def get(self, definition_id: str, version: str | None = None) -> StoredDefinition | None:
        """Return one version, or the current one; None when there is none."""
        which = DEFINITIONS.c.current if version is None else DEFINITIONS.c.version == version
        wanted = select(DEFINITIONS).where(DEFINITIONS.c.definition_id == definition_id, which)
        with self._database.read() as connection:
            row = connection.execute(wanted).first()
        return None if row is None else StoredDefinition.model_validate(dict(row._mapping))  # noqa: SLF001

    def list(self, *, enabled: bool | None = None) -> list[StoredDefinition]:
        """Return the current version of every definition, by id."""
        wanted = select(DEFINITIONS).where(DEFINITIONS.c.current).order_by(DEFINITIONS.c.definition_id)
        if enabled is not None:
            wanted = wanted.where(DEFINITIONS.c.enabled == enabled)
        with self._database.read() as connection:
            found = connection.execute(wanted)
            return [StoredDefinition.model_validate(dict(row._mapping)) for row in found]  # noqa: SLF001
