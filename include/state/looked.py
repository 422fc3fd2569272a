"""Who was looked at: a random text that stands for each person, under which the audit chain speaks of them.

The chain never changes, so it must name nobody: it says `9f3c...`, and only this table says who that is. When a person
is erased their name here becomes their pseudonym, and what the chain says of looks at them leads to nobody.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select, update

from include.ledger.people import Name
from include.state.audit import Action, append
from include.state.database import Database
from include.state.tables import LOOKED, Now

_RANDOM_BYTES = 16


class Person(NamedTuple):
    """A person by a name: the customer's id, or the number of a card that nobody owns."""

    kind: Name
    name: str


class Looked:
    """The people of one state database who were looked at."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, by: str, action: Action, person: Person, detail: Mapping[str, Any] | None = None) -> str:
        """Write into the audit chain that somebody looked at a person; return the subject of the entry."""
        with self._database.write() as connection:
            subject = _subject(connection, person)
            append(connection, by, action, subject, detail)
        return subject

    def note_search(self, by: str, found: Sequence[Person], detail: Mapping[str, Any]) -> None:
        """Write into the audit chain whom a search showed. What was typed is not kept: it may be a name."""
        with self._database.write() as connection:
            subjects = [_subject(connection, person) for person in found]
            append(connection, by, Action.CUSTOMERS_SEARCHED, "search", {**detail, "found": subjects})

    def subjects(self, kind: Name, name: str) -> list[str]:
        """Return what the audit chain calls a person; several where two first looks fell together."""
        wanted = select(LOOKED.c.subject).where(LOOKED.c.kind == kind.value, LOOKED.c.name == name)
        with self._database.read() as connection:
            return list(connection.scalars(wanted.order_by(LOOKED.c.created_at, LOOKED.c.subject)))

    def name(self, subject: str) -> Person | None:
        """Return whom a subject stands for, by the pseudonym where they were erased; None for no such subject."""
        with self._database.read() as connection:
            row = connection.execute(select(LOOKED).where(LOOKED.c.subject == subject)).first()
        return None if row is None else Person(Name(row.kind), row.name)

    def rename(self, new: Callable[[Name, str], str | None]) -> int:
        """Give people other names; None leaves one. Returns how many names changed."""
        with self._database.read() as connection:
            rows = connection.execute(select(LOOKED)).all()
        changed = [(row.subject, name) for row in rows if (name := new(Name(row.kind), row.name)) is not None]
        for subject, name in changed:
            with self._database.write() as connection:
                connection.execute(update(LOOKED).where(LOOKED.c.subject == subject).values(name=name))
        return len(changed)


def _subject(connection: Connection, person: Person) -> str:
    known = select(LOOKED.c.subject).where(LOOKED.c.kind == person.kind.value, LOOKED.c.name == person.name)
    found: str | None = connection.scalar(known.order_by(LOOKED.c.created_at, LOOKED.c.subject).limit(1))
    if found is not None:
        return found
    made = secrets.token_hex(_RANDOM_BYTES)
    values = {"subject": made, "kind": person.kind.value, "name": person.name, "created_at": Now()}
    connection.execute(insert(LOOKED).values(**values))
    return made
