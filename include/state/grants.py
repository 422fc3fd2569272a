"""What an administrator granted to roles: rights on one export or on all, for which Airflow itself has no word.

Roles are those of Airflow's auth manager, told apart without regard to case. `admin` has everything and needs no grant.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy import delete, select

from include.errors import BadInput, Problem
from include.state.audit import Action, append
from include.state.database import Database
from include.state.leases import upsert
from include.state.tables import GRANTS, NAME, Now

ADMIN = "admin"
EVERY = "*"
# After that long another process sees what was granted or revoked here.
CACHED_SECONDS = 2.0


class Grantable(StrEnum):
    """The rights that can be granted."""

    EDIT = "edit"
    PERSONAL = "personal"
    IMPORT = "import"
    ADMINISTER = "administer"


# What is not about one export.
FOR_ALL = frozenset({Grantable.IMPORT, Grantable.ADMINISTER})


class Grant(BaseModel):
    """One right of one role. `definition_id` is `*` for all exports."""

    model_config = ConfigDict(frozen=True)

    role: str
    right: Grantable
    definition_id: str
    granted_by: str
    at: AwareDatetime


class Grants:
    """The grants of one state database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: tuple[float, frozenset[tuple[str, str, str]]] | None = None

    def allowed(self, roles: Collection[str], right: str, definition_id: str | None = None) -> bool:
        """Say whether one of these roles has a right for one export, or for all where none is named.

        What is asked is at most `CACHED_SECONDS` old. A right that cannot be granted is nobody's here.
        """
        if right not in set(Grantable):
            return False
        folded = {_folded(role) for role in roles}
        if ADMIN in folded:
            return True
        wanted = {EVERY} if definition_id is None else {EVERY, definition_id}
        known = self._all()
        return any((role, right, which) in known for role in folded for which in wanted)

    def list(self) -> list[Grant]:
        """Return all grants, by role, right and export."""
        wanted = select(GRANTS).order_by(GRANTS.c.role, GRANTS.c.right, GRANTS.c.definition_id)
        with self._database.read() as connection:
            return [Grant.model_validate(dict(row._mapping)) for row in connection.execute(wanted)]  # noqa: SLF001

    def grant(self, role: str, right: str, definition_id: str = EVERY, *, by: str) -> bool:
        """Give a role a right; False when it has it already. BadInput for what cannot be granted, all of it at once."""
        if problems := grant_problems(role, right, definition_id):
            raise BadInput(problems)
        row = {"role": _folded(role), "right": str(right), "definition_id": definition_id}
        insert: Any = upsert(self._database, GRANTS).values(**row, granted_by=by, at=Now())
        fresh = insert.on_conflict_do_nothing().returning(GRANTS.c.role)
        with self._database.write() as connection:
            made = connection.execute(fresh).first() is not None
            if made:
                append(connection, by, Action.GRANTED, row["role"], _told(row))
        self._known = None
        return made

    def revoke(self, role: str, right: str, definition_id: str = EVERY, *, by: str) -> bool:
        """Take a right away from a role; False when it has none such."""
        row = {"role": _folded(role), "right": str(right), "definition_id": definition_id}
        mine = [GRANTS.c[name] == value for name, value in row.items()]
        with self._database.write() as connection:
            gone = bool(connection.execute(delete(GRANTS).where(*mine)).rowcount)
            if gone:
                append(connection, by, Action.GRANT_REVOKED, row["role"], _told(row))
        self._known = None
        return gone

    def _all(self) -> frozenset[tuple[str, str, str]]:
        known = self._known
        if known is not None and time.monotonic() - known[0] < CACHED_SECONDS:
            return known[1]
        asked = time.monotonic()
        with self._database.read() as connection:
            rows = connection.execute(select(GRANTS.c.role, GRANTS.c.right, GRANTS.c.definition_id))
            found = frozenset((row.role, row.right, row.definition_id) for row in rows)
        self._known = (asked, found)
        return found


def _folded(role: str) -> str:
    return role.strip().casefold()


def _told(row: dict[str, str]) -> dict[str, str]:
    return {"right": row["right"], "export": row["definition_id"]}


def grant_problems(role: str, right: str, definition_id: str) -> list[Problem]:
    """Return all that keeps a right from being granted."""
    problems = []
    folded = _folded(role)
    longest = NAME.length or 0
    if not folded or len(folded) > longest or not folded.isprintable():
        problems.append(
            Problem("role", role, f"the name of a role, of 1 to {longest} characters", "bad_role")
        )
    elif folded == ADMIN:
        wanted = "a role other than admin, which has every right"
        problems.append(Problem("role", role, wanted, "admin_has_all"))
    if right not in set(Grantable):
        problems.append(Problem("right", right, f"one of {', '.join(Grantable)}", "unknown_right"))
    elif right in FOR_ALL and definition_id != EVERY:
        wanted = f"{EVERY}: to {right} is not about one export"
        problems.append(Problem("export", definition_id, wanted, "not_per_export"))
    if not definition_id or len(definition_id) > longest or not definition_id.isprintable():
        problems.append(Problem("export", definition_id, f"an export's id, or {EVERY} for all", "bad_export"))
    return problems
