"""Finding entries of the audit chain, the newest first, in a chain of any length.

Who did it, what was done, to exactly what, and since when have an index each. A text in a subject or detail has none,
and two of them together none either: one search looks at `WINDOW` entries then, and says how far it came, so that every
answer comes soon. Entries are numbered in the order of time; a range of time is looked up as a range of numbers.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Text, cast, func, or_, select

from include.state.audit import Entry, entries_wanted, read
from include.state.database import Database
from include.state.tables import AUDIT

WINDOW = 50_000
PER_PAGE = 50
MOST_ACTORS = 200
_AT_ONCE = 1000


@dataclass(frozen=True)
class Search:
    """What is looked for; what is None or empty does not matter.

    subjects: exactly these. text: stands somewhere in the subject or the detail, in any case of a to z.
    [since, until): when. before: only entries with a smaller number, which is how to go on.
    """

    actor: str | None = None
    action: str | None = None
    subjects: tuple[str, ...] = ()
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None

    @property
    def slow(self) -> bool:
        """Whether no index alone leads to what is meant."""
        return bool(self.text) or sum(map(bool, (self.actor, self.action, self.subjects))) > 1

    def told(self) -> dict[str, Any]:
        """Return what was asked for, as the audit chain says it."""
        return {name: value for name, value in asdict(self).items() if value}


class Found(NamedTuple):
    """Entries, the newest first.

    more: `before` of the search that goes on, None where there is nothing older to look at. looked_to: the smallest
    number that was looked at, where the search stopped before its page was full; else None.
    """

    entries: list[Entry]
    more: int | None
    looked_to: int | None


def search(database: Database, wanted: Search, limit: int = PER_PAGE) -> Found:
    """Return at most `limit` entries; of a slow search those among the next `WINDOW` numbers."""
    with database.read() as connection:
        meant = _range(connection, wanted)
        if meant is None:
            return Found([], None, None)
        first, last = meant
        low = max(first, last - WINDOW + 1) if wanted.slow else first
        chosen = entries_wanted().where(AUDIT.c.sequence.between(low, last), *_conditions(wanted))
        rows = connection.execute(chosen.order_by(AUDIT.c.sequence.desc()).limit(limit + 1)).mappings().all()
    entries = [read(row) for row in rows[:limit]]
    if len(rows) > limit:
        return Found(entries, entries[-1].sequence, None)
    return Found(entries, low if low > first else None, low if low > first else None)


def every(database: Database, wanted: Search) -> Iterator[Entry]:
    """Yield all entries that are found, the newest first; memory does not grow with them."""
    while True:
        found = search(database, wanted, _AT_ONCE)
        yield from found.entries
        if found.more is None:
            return
        wanted = replace(wanted, before=found.more)


def actors(database: Database) -> Collection[str]:
    """Return who ever did something, by name, at most `MOST_ACTORS`: one look at the index for each, not each entry."""
    names: list[str] = []
    with database.read() as connection:
        while len(names) < MOST_ACTORS:
            least = select(func.min(AUDIT.c.actor))
            if names:
                least = least.where(AUDIT.c.actor > names[-1])
            following = connection.scalar(least)
            if following is None:
                break
            names.append(following)
    return names


def _range(connection: Connection, wanted: Search) -> tuple[int, int] | None:
    """Return the smallest and the greatest number that can be meant, None where there is none."""
    forwards, backwards = (AUDIT.c.at, AUDIT.c.sequence), (AUDIT.c.at.desc(), AUDIT.c.sequence.desc())
    first = select(AUDIT.c.sequence).order_by(*(forwards if wanted.since else forwards[1:])).limit(1)
    last = select(AUDIT.c.sequence).order_by(*(backwards if wanted.until else backwards[1:])).limit(1)
    if wanted.since is not None:
        first = first.where(AUDIT.c.at >= wanted.since)
    if wanted.until is not None:
        last = last.where(AUDIT.c.at < wanted.until)
    oldest, newest = connection.scalar(first), connection.scalar(last)
    if oldest is None or newest is None:
        return None
    if wanted.before is not None:
        newest = min(newest, wanted.before - 1)
    return (oldest, newest) if oldest <= newest else None


def _conditions(wanted: Search) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.actor is not None:
        found.append(AUDIT.c.actor == wanted.actor)
    if wanted.action is not None:
        found.append(AUDIT.c.action == wanted.action)
    if wanted.subjects:
        found.append(AUDIT.c.subject.in_(wanted.subjects))
    if wanted.text:
        # In the database other letters than ASCII stand in JSON as their numbers.
        written = json.dumps(wanted.text)[1:-1]
        detail = cast(AUDIT.c.detail, Text)
        found.append(
            or_(
                AUDIT.c.subject.icontains(wanted.text, autoescape=True),
                detail.icontains(written, autoescape=True),
            )
        )
    return found
