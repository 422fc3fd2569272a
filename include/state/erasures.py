"""Who was erased, as keyed hashes of the names they had, and how far the erasing is.

Nobody can be found from a row alone: it takes the key (docs/privacy.md) and a name to try. Every row counts as soon
as it is there, whatever its state: from then on nothing new is read with that person in it.
`PLANNED -> SNAPSHOTS -> FILES -> DONE`: what is being done; each step can be done again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy import BigInteger, Connection, func, select, type_coerce, update

from include.acting import actor
from include.state.audit import Action, append
from include.state.database import Database
from include.state.leases import upsert
from include.state.snapshots import SnapshotState
from include.state.tables import ERASURES, SNAPSHOTS, Now

_DIGEST_CHARACTERS = 32
_SECOND = 1_000_000
_CHANGED = type_coerce(ERASURES.c.updated_at, BigInteger)
# Another answer means that some row is there, or was changed, since: sums, as one clock may be behind another.
_STAMP = select(func.count(), func.sum(_CHANGED // _SECOND), func.sum(_CHANGED % _SECOND))


class ErasureState(StrEnum):
    """How far an erasure is: PLANNED is recorded, the next two are being worked on."""

    PLANNED = "planned"
    SNAPSHOTS = "snapshots"
    FILES = "files"
    DONE = "done"


class ErasureDetail(BaseModel):
    """What is known of a person who is gone.

    names: the pseudonym of each name by its keyed hash. mentions: likewise for what is looked for in free texts.
    check: a keyed hash of nothing, by which another key is recognised. reason: why, for people. done: what was done.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    names: dict[str, str]
    mentions: dict[str, str]
    reason: str | None = None
    done: dict[str, int] = {}

    def knows(self, other: ErasureDetail) -> bool:
        """Say whether every name of the other is one of these."""
        return other.names.keys() <= self.names.keys() and other.mentions.keys() <= self.mentions.keys()

    def with_names_of(self, other: ErasureDetail) -> ErasureDetail:
        """Return this with the other's names too; names known already keep their pseudonyms."""
        names, mentions = {**other.names, **self.names}, {**other.mentions, **self.mentions}
        return self.model_copy(update={"names": names, "mentions": mentions})


class Erasure(BaseModel):
    """One erasure. `subject` is the keyed hash of the person's id, `pseudonym` what stands in its place."""

    model_config = ConfigDict(frozen=True)

    subject: str
    pseudonym: str
    state: ErasureState
    requested_by: str
    detail: ErasureDetail
    created_at: AwareDatetime
    updated_at: AwareDatetime


class Erasures:
    """The erasures of one state database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: tuple[tuple[Any, ...], tuple[Erasure, ...]] = (), ()

    def plan(self, subject: str, pseudonym: str, detail: ErasureDetail, *, by: str) -> Erasure:
        """Record an erasure and take every snapshot that is there out of use; return it as it stands.

        Somebody who is erased already keeps their pseudonyms; names that were not known then are added, and the
        erasure begins again.
        """
        insert: Any = upsert(self._database, ERASURES).values(
            subject=subject,
            pseudonym=pseudonym,
            state=ErasureState.PLANNED.value,
            requested_by=by,
            detail=detail.model_dump(mode="json"),
            created_at=Now(),
            updated_at=Now(),
        )
        mine = ERASURES.c.subject == subject
        made = update(SNAPSHOTS).where(SNAPSHOTS.c.state == SnapshotState.MADE.value)
        with self._database.write() as connection:
            fresh = insert.on_conflict_do_nothing().returning(ERASURES.c.subject)
            changed = connection.execute(fresh).first() is not None
            row = connection.execute(select(ERASURES).where(mine).with_for_update()).one()
            known = ErasureDetail.model_validate(row.detail)
            if not known.knows(detail):
                more = known.with_names_of(detail).model_dump(mode="json")
                again = {"state": ErasureState.PLANNED.value, "updated_at": Now()}
                connection.execute(update(ERASURES).where(mine).values(detail=more, **again))
                changed = True
            found = _erasure(connection.execute(select(ERASURES).where(mine)).one())
            if changed:
                connection.execute(made.values(state=SnapshotState.STALE.value))
                told = {"pseudonym": found.pseudonym, "names": len(found.detail.names), "requested_by": by}
                append(connection, actor(), Action.ERASURE_ASKED, subject, told)
        return found

    def advance(self, subject: str, state: ErasureState, done: Mapping[str, int]) -> Erasure:
        """Record the step that begins now, and add to what was done."""
        mine = ERASURES.c.subject == subject
        with self._database.write() as connection:
            row = connection.execute(select(ERASURES).where(mine).with_for_update()).one()
            known = ErasureDetail.model_validate(row.detail)
            total = {**known.done, **{name: known.done.get(name, 0) + count for name, count in done.items()}}
            detail = known.model_copy(update={"done": total}).model_dump(mode="json")
            values = {"state": state.value, "detail": detail, "updated_at": Now()}
            connection.execute(update(ERASURES).where(mine).values(**values))
            found = _erasure(connection.execute(select(ERASURES).where(mine)).one())
            if state is ErasureState.DONE and row.state != state.value:
                append(connection, actor(), Action.ERASED, subject, {"pseudonym": found.pseudonym, **total})
        return found

    def get(self, subject: str) -> Erasure | None:
        """Return the erasure of a subject, or None."""
        return next(iter(self._select(ERASURES.c.subject == subject)), None)

    def unfinished(self) -> list[Erasure]:
        """Return the erasures that are not done, the oldest first."""
        return self._select(ERASURES.c.state != ErasureState.DONE.value)

    def digest(self) -> str | None:
        """Return what tells one list of erased people from another; None while nobody was erased."""
        return digest(self.list())

    def _select(self, *where: Any) -> list[Erasure]:
        with self._database.read() as connection:
            return _read(connection, *where)

    def list(self) -> list[Erasure]:
        """Return all erasures, the oldest first; the state is asked each time whether they are those of the last."""
        with self._database.look() as connection:
            stamp = tuple(connection.execute(_STAMP).one())
            known, found = self._known
            if known != stamp:
                found = tuple(_read(connection))
                self._known = stamp, found
        return [*found]


def digest(erasures: Sequence[Erasure]) -> str | None:
    """Return the digest of these erasures, None for none; the order does not matter."""
    hashes = {name for each in erasures for name in (*each.detail.names, *each.detail.mentions)}
    if not hashes:
        return None
    return hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()[:_DIGEST_CHARACTERS]


def _read(connection: Connection, *where: Any) -> list[Erasure]:
    wanted = select(ERASURES).where(*where).order_by(ERASURES.c.created_at, ERASURES.c.subject)
    return [_erasure(row) for row in connection.execute(wanted)]


def _erasure(row: Any) -> Erasure:
    return Erasure.model_validate(dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name
