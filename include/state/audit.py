"""The audit chain: who did what to what, when. Entries are only ever added, each naming the hash of the one before.

Numbers run from 1 without a gap. An entry's hash is the sha256 of the canonical JSON of everything else in it (see
`digest`), so whoever changes, removes, inserts or moves an entry breaks the chain from there on: `pipeline/audit/`
verifies it. Taking away the newest entries leaves a whole chain: that is seen by an anchor, a copy of the head that is
kept elsewhere.

What changes the state and is told here is one database transaction: `append` takes its connection. An entry never
holds personal data of members, and never a secret.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy import BigInteger, Connection, RowMapping, Select, func, insert, select, text, type_coerce
from sqlalchemy.types import NullType, TypeEngine

from include.state.database import Database
from include.state.tables import AUDIT, DELIVERIES, EPOCH, Now, instant

# Held until the end of the transaction, so that entries are added one after another. Any number nobody else takes.
APPEND_LOCK = 0x6175646974
_AT_ONCE = 1000
_ACTOR_CHARACTERS = 255


class Action(StrEnum):
    """What was done. The subject of an entry is what the comment says."""

    DEFINITION_CHANGED = "definition_changed"  # the definition's id
    EXPORT_CREATED = "export_created"  # in the pages; the definition's id, as for the next three
    EXPORT_EDITED = "export_edited"
    EXPORT_DELETED = "export_deleted"
    EXPORT_TAKEN_OVER = "export_taken_over"  # a YAML file came with its id
    TEST_ALLOWED = "test_allowed"  # the definition's id
    PINNED = "pinned"  # the run's key, as for the next two
    SNAPSHOT_BOUND = "snapshot_bound"
    RENDERED = "rendered"
    SNAPSHOT_TAKEN = "snapshot_taken"  # the snapshot's id
    SNAPSHOT_DAMAGED = "snapshot_damaged"
    CHECKPOINT_DIFFERS = "checkpoint_differs"
    RETIRED = "retired"
    DELIVERED = "delivered"  # the delivery's key, as for the next five
    DELIVERY_UNCERTAIN = "delivery_uncertain"
    DELIVERY_FAILED = "delivery_failed"
    DELIVERY_CONFLICT = "delivery_conflict"
    DELIVERY_REOPENED = "delivery_reopened"
    RESOLVED = "resolved"
    SENT_AGAIN = "sent_again"  # the run's key, as for the next two
    TEST_SENT = "test_sent"
    SETTLED = "settled"
    TARGET_TESTED = "target_tested"  # the name of the target or connection
    LINK_MADE = "link_made"  # the first 16 digits of the hash of the link's token, as for the next three
    CODE_SENT = "code_sent"
    CODE_REFUSED = "code_refused"
    LINK_REVOKED = "link_revoked"
    DOWNLOADED = "downloaded"  # the run's key
    NOTICE_SENT = "notice_sent"  # the notice's key
    KEY_USED = "key_used"  # the name of the connection, or of the key's file
    FILES_REMOVED = "files_removed"  # the key of the run whose files went
    ERASURE_ASKED = "erasure_asked"  # the hash that stands for the member, as for the next
    ERASED = "erased"
    ANCHORED = "anchored"  # the name of the anchor
    GRANTED = "granted"  # the role, as for the next
    GRANT_REVOKED = "grant_revoked"
    API_KEY_MADE = "api_key_made"  # the API key's id, as for the next two
    API_KEY_USED = "api_key_used"
    API_KEY_REVOKED = "api_key_revoked"
    CUSTOMERS_SEARCHED = "customers_searched"  # "search"; its detail has the people who were shown
    CUSTOMER_SEEN = "customer_seen"  # what stands for the person (`state/looked.py`), as for the next
    CUSTOMER_EXPORTED = "customer_exported"
    REPORT_READ = "report_read"  # by an API; the version of the definition that was asked for
    IMPORT_ASKED = "import_asked"  # somebody who may import wants it posted; the import's id
    IMPORT_RECEIVED = "import_received"  # the import's id, as for the next five
    IMPORT_REHEARSED = "import_rehearsed"
    IMPORT_APPROVED = "import_approved"
    IMPORT_REFUSED = "import_refused"
    IMPORT_POSTED = "import_posted"
    IMPORT_UNDONE = "import_undone"
    AUDIT_EXPORTED = "audit_exported"  # the form of the file: csv or jsonl


class Entry(BaseModel):
    """One entry. `previous_sha256` is None for the first.

    `sha256` is empty where the state holds what no entry ever was, such as a text for the instant: somebody changed it.
    What can be shown of it is in the other fields.
    """

    model_config = ConfigDict(frozen=True)

    sequence: int
    at: AwareDatetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    previous_sha256: str | None
    sha256: str

    def document(self) -> dict[str, Any]:
        """Return the entry as JSON values; all but `sha256` are as `digest` hashes them."""
        return {**self.model_dump(), "at": _stamp(self.at)}


class Head(NamedTuple):
    """The newest entry: its number is also how many there are."""

    sequence: int
    sha256: str
    at: datetime


def append(
    connection: Connection, actor: str, action: Action, subject: str, detail: Mapping[str, Any] | None = None
) -> Entry:
    """Add an entry within the transaction of `connection`, which must be one of `Database.write`.

    Do it after all other writes of the transaction: other entries wait from here until its end. Instants of `detail`
    become texts; a fraction raises TypeError (an exact text says the same everywhere).
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": APPEND_LOCK})
    newest = select(AUDIT.c.sequence, AUDIT.c.sha256).order_by(AUDIT.c.sequence.desc()).limit(1)
    before = connection.execute(newest).first()
    sequence, previous = (before.sequence + 1, before.sha256) if before else (1, None)
    values: dict[str, Any] = {
        "sequence": sequence,
        "at": instant(connection.execute(select(Now())).scalar_one()),
        "actor": _plain(actor or "unknown")[:_ACTOR_CHARACTERS],
        "action": Action(action).value,
        "subject": _plain(subject),
        "detail": _plain(dict(detail or {})),
        "previous_sha256": previous,
    }
    entry = Entry(**values, sha256=digest(values))
    connection.execute(insert(AUDIT).values(**entry.model_dump()))
    return entry


def digest(entry: Mapping[str, Any]) -> str:
    """Return the sha256 (hex) of an entry's canonical JSON: sorted keys, no blanks, UTF-8, `at` with microseconds."""
    document = {key: value for key, value in entry.items() if key != "sha256"} | {"at": _stamp(entry["at"])}
    written = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()


def entries_wanted() -> Select[Any]:
    """Return the statement that gives all entries, as `read` takes their rows."""
    # SQLite keeps a value of any type in any column: what is read is converted in `read`, where it can be refused.
    raw: dict[str, TypeEngine[Any]] = {"at": BigInteger(), "detail": NullType()}
    columns = [type_coerce(each, raw.get(each.name, each.type)).label(each.name) for each in AUDIT.c]
    return select(*columns)


def read(row: RowMapping) -> Entry:
    """Return the entry of a row of `entries_wanted`; one that was never written so has no hash."""
    try:
        found = {**row, "at": instant(_whole(row["at"])), "detail": _parsed(row["detail"])}
        return Entry.model_validate(found, strict=True)
    except (TypeError, ValueError, OverflowError, RecursionError):
        pass
    shown = {name: str(row[name]) for name in ("actor", "action", "subject")}
    sequence = row["sequence"] if isinstance(row["sequence"], int) else 0
    return Entry(**shown, sequence=sequence, at=EPOCH, detail={}, previous_sha256=None, sha256="")


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"no instant: {value!r}")
    return value


def _parsed(value: object) -> Any:
    """Return a document, which SQLite gives as text."""
    return json.loads(value) if isinstance(value, str) else value


class Audit:
    """The audit chain of one state database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(
        self, actor: str, action: Action, subject: str, detail: Mapping[str, Any] | None = None
    ) -> Entry:
        """Add an entry in a database transaction of its own (see `append`); raise Transient when that fails."""
        with self._database.write() as connection:
            return append(connection, actor, action, subject, detail)

    def head(self) -> Head | None:
        """Return the newest entry, None before the first."""
        found = self.newest(limit=1)
        return Head(found[0].sequence, found[0].sha256, found[0].at) if found else None

    def entries(self, *, after: int = 0) -> Iterator[Entry]:
        """Yield all entries in order, from the one that follows `after`; memory does not grow with the chain."""
        while True:
            wanted = entries_wanted().where(AUDIT.c.sequence > after).order_by(AUDIT.c.sequence)
            with self._database.read() as connection:
                found = connection.execute(wanted.limit(_AT_ONCE)).mappings().all()
            yield from map(read, found)
            if len(found) < _AT_ONCE:
                return
            after = found[-1]["sequence"]

    def get(self, sequence: int) -> Entry | None:
        """Return the entry of this number, or None."""
        with self._database.read() as connection:
            row = connection.execute(entries_wanted().where(AUDIT.c.sequence == sequence)).mappings().first()
        return None if row is None else read(row)

    def untold(self) -> list[str]:
        """Return the keys of deliveries that were confirmed since the chain began, and of which it says nothing."""
        told = select(AUDIT.c.sequence).where(
            AUDIT.c.subject == DELIVERIES.c.key,
            AUDIT.c.action.in_([Action.DELIVERED.value, Action.RESOLVED.value]),
        )
        began = select(func.min(AUDIT.c.at)).scalar_subquery()
        confirmed = DELIVERIES.c.state == "confirmed", DELIVERIES.c.updated_at >= began
        wanted = select(DELIVERIES.c.key).where(*confirmed, ~told.exists()).order_by(DELIVERIES.c.created_at)
        with self._database.read() as connection:
            return list(connection.scalars(wanted))

    def newest(
        self,
        *,
        action: Action | None = None,
        subject: str | None = None,
        actor: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
    ) -> list[Entry]:
        """Return entries, the newest first; `subject` may be its first characters."""
        wanted = entries_wanted().order_by(AUDIT.c.sequence.desc()).limit(limit)
        if action is not None:
            wanted = wanted.where(AUDIT.c.action == action.value)
        if subject is not None:
            wanted = wanted.where(AUDIT.c.subject.startswith(subject, autoescape=True))
        if actor is not None:
            wanted = wanted.where(AUDIT.c.actor == actor)
        if since is not None:
            wanted = wanted.where(AUDIT.c.at >= since)
        with self._database.read() as connection:
            return [read(row) for row in connection.execute(wanted).mappings()]


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    """Return what JSON and both databases hold alike; TypeError for what they do not."""
    if isinstance(value, str):
        # Lone surrogates (of file names) and NUL cannot be stored.
        return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {_plain(str(key)): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in (sorted(value) if isinstance(value, set | frozenset) else value)]
    raise TypeError(f"an audit entry cannot hold {type(value).__name__}")
