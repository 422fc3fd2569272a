"""API keys: how programs without a login of Airflow ask, what each of them may do, and how often.

A key is `loy_<id>_<secret>`. The state holds the sha256 of the whole; a secret has 256 bits, so nobody can find it from
there. Every limit is measured on the database's clock. What is asked of the state about a key is at most
`CACHED_SECONDS` old, so a key that is revoked here is refused everywhere that long after.

A minute's requests are counted in the state, for all processes together, but not one by one: a process takes a tenth of
what a minute allows at a time. So no key ever gets more than its limit, and a request that is served from a tenth
taken before costs no database transaction.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections.abc import Collection
from datetime import timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy import Connection, and_, case, insert, select, update

from include.errors import BadInput, NotYet, Problem
from include.state.audit import Action, append
from include.state.database import Database
from include.state.tables import API_KEYS, MICROSECOND, NAME, Now, instant

PREFIX = "loy"
ID_BYTES = 8
SECRET_BYTES = 32
LIFETIME = timedelta(days=90)
LONGEST = timedelta(days=731)
PER_MINUTE = 600
MOST_PER_MINUTE = 60_000
CACHED_SECONDS = 2.0
# The audit chain hears of a key's use this often at most, with how many requests there were since.
TOLD_EVERY = timedelta(hours=1)
_TENTHS = 10
_MINUTE = 60_000_000
_KEY = re.compile(rf"{PREFIX}_([0-9a-f]{{{ID_BYTES * 2}}})_[A-Za-z0-9_-]{{43}}")
_ACTOR = re.compile(rf"key .* \(([0-9a-f]{{{ID_BYTES * 2}}})\)", re.DOTALL)
_MOST_CACHED = 10_000


class Scope(StrEnum):
    """What a key may do."""

    DEFINITIONS_READ = "definitions:read"
    DEFINITIONS_WRITE = "definitions:write"
    RUNS_READ = "runs:read"
    RUNS_START = "runs:start"
    DELIVERIES_READ = "deliveries:read"
    DELIVERIES_SEND = "deliveries:send"
    REPORTS_READ = "reports:read"
    FILES_READ = "files:read"
    PERSONAL = "personal"
    IMPORTS_WRITE = "imports:write"
    IMPORTS_APPROVE = "imports:approve"
    AUDIT_READ = "audit:read"


MEANINGS: dict[Scope, str] = {
    Scope.DEFINITIONS_READ: "read definitions of exports",
    Scope.DEFINITIONS_WRITE: "create, change and delete exports",
    Scope.RUNS_READ: "see runs and how far they are",
    Scope.RUNS_START: "start runs",
    Scope.DELIVERIES_READ: "see deliveries and receipts",
    Scope.DELIVERIES_SEND: "send files again, and resolve deliveries",
    Scope.REPORTS_READ: "read balances, transactions and other reports",
    Scope.FILES_READ: "download files of runs",
    Scope.PERSONAL: "see personal data in what the other scopes give",
    Scope.IMPORTS_WRITE: "import points",
    Scope.IMPORTS_APPROVE: "agree to imports as their second person",
    Scope.AUDIT_READ: "read the audit log",
}


# About the ledger and the installation, so that a key for some exports alone could do nothing with them.
OF_ALL = frozenset({Scope.REPORTS_READ, Scope.IMPORTS_WRITE, Scope.IMPORTS_APPROVE, Scope.AUDIT_READ})


class TooManyRequests(NotYet):
    """The key has had all its requests of this minute."""


class KeyRecord(BaseModel):
    """One key as recorded, without what would make it usable.

    exports: the ids of the exports that it is for, empty for all. per_minute: how many requests a minute it may make.
    requests: how many it made, but for those that running processes have not told yet. active: neither expired nor
    revoked.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    scopes: frozenset[Scope]
    exports: tuple[str, ...]
    per_minute: int
    created_by: str
    created_at: AwareDatetime
    expires_at: AwareDatetime
    revoked_at: AwareDatetime | None
    revoked_by: str | None
    requests: int
    last_used_at: AwareDatetime | None
    active: bool

    @property
    def shown(self) -> str:
        """How the key begins, by which its owner knows it."""
        return f"{PREFIX}_{self.id}_"

    @property
    def actor(self) -> str:
        """Who acts, in the audit chain and in runs, when the key is used."""
        return f"key {self.name} ({self.id})"

    @property
    def status(self) -> str:
        """`active`, `expired` or `revoked`."""
        return "active" if self.active else "revoked" if self.revoked_at else "expired"

    def may(self, scope: Scope, definition_id: str | None = None) -> bool:
        """Say whether the key has a scope for an export, or for all where none is named."""
        return scope in self.scopes and (not self.exports or definition_id in self.exports)


class NewKey(NamedTuple):
    """A key that was made: `key` is told once and never again."""

    key: str
    record: KeyRecord


class _Known(NamedTuple):
    at: float
    sha256: str
    record: KeyRecord


class _Tenth:
    """What a process may still serve of a key's minute, and how many requests it has not told the state yet."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.left = 0
        self.untold = 0
        self.until = 0.0  # by the process's monotonic clock
        self.end: AwareDatetime | None = None

    def spend(self) -> bool:
        """Count a request where there is one left; call it with the lock."""
        if not self.left or time.monotonic() >= self.until:
            return False
        self.left -= 1
        self.untold += 1
        return True


class ApiKeys:
    """The API keys of one state database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, _Known] = {}
        self._tenths: dict[str, _Tenth] = {}
        self._lock = threading.Lock()

    def make(
        self,
        name: str,
        scopes: Collection[str],
        *,
        by: str,
        exports: Collection[str] = (),
        expires: timedelta = LIFETIME,
        per_minute: int = PER_MINUTE,
    ) -> NewKey:
        """Make a key; BadInput for all that is wrong with it, at once."""
        problems = key_problems(name, scopes, exports, expires, per_minute)
        if problems:
            raise BadInput(problems)
        key_id = secrets.token_hex(ID_BYTES)
        key = f"{PREFIX}_{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
        given = {"name": name.strip(), "scopes": sorted(set(scopes)), "exports": sorted(set(exports))}
        nothing = {"minute": 0, "minute_requests": 0, "requests": 0}
        made = insert(API_KEYS).values(
            id=key_id,
            sha256=key_hash(key),
            per_minute=per_minute,
            created_by=by,
            created_at=Now(),
            expires_at=Now() + expires // MICROSECOND,
            **given,
            **nothing,
        )
        with self._database.write() as connection:
            connection.execute(made)
            record = _one(connection, key_id)
            assert record is not None
            detail = {**given, "per_minute": per_minute, "expires_at": record.expires_at}
            append(connection, by, Action.API_KEY_MADE, key_id, detail)
        return NewKey(key, record)

    def list(self, *, limit: int = 1000) -> list[KeyRecord]:
        """Return the keys, the newest first."""
        wanted = _select().order_by(API_KEYS.c.created_at.desc(), API_KEYS.c.id).limit(limit)
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(wanted)]

    def acting(self, actor: str) -> KeyRecord | None:
        """Return the key that `actor` names (`KeyRecord.actor`); None where it names none."""
        named = _ACTOR.fullmatch(actor)
        if named is None:
            return None
        with self._database.read() as connection:
            return _one(connection, named[1])

    def person_behind(self, actor: str) -> str:
        """Return who made the key that `actor` names; `actor` itself where it names none."""
        record = self.acting(actor)
        return actor if record is None else record.created_by

    def revoke(self, key_id: str, *, by: str) -> KeyRecord:
        """End a key; BadInput when there is none of this id. Again is fine."""
        mine = API_KEYS.c.id == key_id
        with self._database.write() as connection:
            ended = update(API_KEYS).where(mine, API_KEYS.c.revoked_at.is_(None))
            changed = connection.execute(ended.values(revoked_at=Now(), revoked_by=by)).rowcount
            record = _one(connection, key_id)
            if record is None:
                raise BadInput([Problem("key", key_id, "the id of a key", "unknown_key")])
            if changed:
                detail = {"name": record.name, "requests": record.requests}
                append(connection, by, Action.API_KEY_REVOKED, key_id, detail)
        self._known.pop(key_id, None)
        return record

    def authenticate(self, key: str) -> KeyRecord | None:
        """Return the record of a key and count a request; None for a wrong, expired or revoked one.

        Hashes are compared in constant time, and a wrong key of a known id takes as long as one of an unknown id.
        Raises TooManyRequests when this minute's requests are spent.
        """
        found = _KEY.fullmatch(key)
        known = self._find(found[1]) if found else None
        right = hmac.compare_digest(known.sha256 if known else key_hash(""), key_hash(key))
        if known is None or not right or not known.record.active:
            return None
        return known.record if self._count(known.record) else None

    def at_once(self, key: str) -> KeyRecord | None:
        """Return the record of a good key and count a request, where nothing has to be asked of the state and nobody
        waited for; None says nothing: then `authenticate` decides. It never waits, so an event loop may call it.
        """
        found = _KEY.fullmatch(key)
        known = self._fresh(found[1]) if found else None
        right = hmac.compare_digest(known.sha256 if known else key_hash(""), key_hash(key))
        tenth = self._tenths.get(known.record.id) if known else None
        if known is None or tenth is None or not (right and known.record.active):
            return None
        if not tenth.lock.acquire(blocking=False):
            return None
        try:
            return known.record if tenth.spend() else None
        finally:
            tenth.lock.release()

    def _fresh(self, key_id: str) -> _Known | None:
        known = self._known.get(key_id)
        return known if known is not None and time.monotonic() - known.at < CACHED_SECONDS else None

    def _find(self, key_id: str) -> _Known | None:
        fresh = self._fresh(key_id)
        if fresh is not None:
            return fresh
        asked = time.monotonic()
        with self._database.read() as connection:
            row = connection.execute(_select().where(API_KEYS.c.id == key_id)).first()
        if row is None:
            return None
        if len(self._known) >= _MOST_CACHED:
            self._known.clear()
        known = self._known[key_id] = _Known(asked, row.sha256, _record(row))
        return known

    def _count(self, record: KeyRecord) -> bool:
        """Count a request; False where the key ended meanwhile. Raise TooManyRequests when there are none left."""
        with self._lock:
            tenth = self._tenths.setdefault(record.id, _Tenth())
        with tenth.lock:
            if tenth.spend():
                return True
            over = tenth.end is None or time.monotonic() >= tenth.until
            if over and not self._take(record, tenth):
                return False
            if not tenth.left:
                assert tenth.end is not None
                limit = f"this key may make {record.per_minute} requests a minute"
                raise TooManyRequests(limit, tenth.end)
            tenth.left -= 1
            tenth.untold += 1
        return True

    def _take(self, record: KeyRecord, tenth: _Tenth) -> bool:
        """Take a part of what is left of the minute; `end` is set where nothing is left. False: the key is over."""
        asked = time.monotonic()
        with self._database.write() as connection:
            wanted = select(API_KEYS, _active().label("active"), Now().label("now"))
            row = connection.execute(wanted.where(API_KEYS.c.id == record.id).with_for_update()).first()
            if row is None or not row.active:
                self._known.pop(record.id, None)
                return False
            minute = row.now // _MINUTE
            spent = row.minute_requests if row.minute == minute else 0
            taken = min(max(1, row.per_minute // _TENTHS), row.per_minute - spent)
            told = row.told_at is None or instant(row.now) - row.told_at >= TOLD_EVERY
            before = row.requests + tenth.untold
            # The request that is being made now is told with it.
            requests = before + min(taken, 1)
            values = {"minute": minute, "minute_requests": spent + taken, "requests": requests}
            if requests > row.requests:
                values |= {"last_used_at": instant(row.now)}
            if told:
                values |= {"told_at": instant(row.now)}
            connection.execute(update(API_KEYS).where(API_KEYS.c.id == record.id).values(**values))
            if told:
                detail = {"requests_before": before, "told_before": row.told_at}
                append(connection, record.actor, Action.API_KEY_USED, record.id, detail)
        ends = (minute + 1) * _MINUTE
        tenth.left, tenth.untold = taken, -min(taken, 1)
        tenth.until = asked + (ends - row.now) / 1e6
        tenth.end = None if taken else instant(ends)
        return True


def key_hash(key: str) -> str:
    """Return what the state knows of a key."""
    return hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest()


def _active() -> Any:
    return case((and_(API_KEYS.c.expires_at > Now(), API_KEYS.c.revoked_at.is_(None)), True), else_=False)


def _select() -> Any:
    return select(API_KEYS, _active().label("active"))


def _one(connection: Connection, key_id: str) -> KeyRecord | None:
    row = connection.execute(_select().where(API_KEYS.c.id == key_id)).first()
    return None if row is None else _record(row)


def _record(row: Any) -> KeyRecord:
    return KeyRecord.model_validate(dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name


def key_problems(
    name: str, scopes: Collection[str], exports: Collection[str], expires: timedelta, per_minute: int
) -> list[Problem]:
    """Return all that is wrong with a key that somebody wants."""
    problems = []
    longest = NAME.length or 0
    if not name.strip() or len(name) > longest or not name.isprintable():
        problems.append(Problem("name", name, f"who uses the key, in 1 to {longest} characters", "bad_name"))
    known = ", ".join(Scope)
    if not scopes:
        problems.append(Problem("scopes", "", f"at least one of {known}", "no_scope"))
    problems += [
        Problem("scopes", each, f"scopes are {known}", "unknown_scope")
        for each in scopes
        if each not in set(Scope)
    ]
    problems += [
        Problem("exports", each, "the id of an export", "bad_export")
        for each in exports
        if not each or len(each) > longest or not each.isprintable()
    ]
    if exports:
        right = "is about no single export: leave it out, or make the key for all exports"
        problems += [Problem("scopes", each, right, "scope_of_all") for each in scopes if each in OF_ALL]
    if not timedelta(0) < expires <= LONGEST:
        problems.append(
            Problem("expires", str(expires), f"more than nothing, at most {LONGEST.days} days", "bad_expiry")
        )
    if not 1 <= per_minute <= MOST_PER_MINUTE:
        right = f"1 to {MOST_PER_MINUTE} requests a minute"
        problems.append(Problem("per_minute", str(per_minute), right, "bad_limit"))
    return problems
