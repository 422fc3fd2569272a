"""Download links: a token that one recipient holds, and the one-time codes that are mailed to them for it.

The state holds the sha256 of a token, and of a code its HMAC by the token: who reads the database can use neither.
Every limit is measured on the database's clock. What is done with a link stands in the audit chain, in the same
transaction.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import Any, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy import ColumnElement, Connection, case, delete, insert, or_, select, update

from include.acting import actor
from include.errors import BadInput, NotYet, Permanent, Problem
from include.state.audit import Action, append
from include.state.database import Database
from include.state.tables import LINKS, MICROSECOND, Now

TOKEN_BYTES = 32
LIFETIME = timedelta(days=7)
LONGEST = timedelta(days=92)
CODE_DIGITS = 8
CODE_LIFETIME = timedelta(minutes=10)
CODE_ATTEMPTS = 5
CODE_PAUSE = timedelta(minutes=1)
# With five attempts each, all guesses together find one code of 10^8 with a probability of one in a million.
MOST_CODES = 20
HOLDER = "holder of the link"  # who asks for codes and tries them; only the right one says who it is
SHOWN = 16  # hex digits of a token's hash that name the link to people


class NoMoreCodes(Permanent):
    """The link has had all the codes that it may have."""


class DownloadLink(BaseModel):
    """One link as recorded. `active`: neither expired nor revoked. codes: how many were mailed."""

    model_config = ConfigDict(frozen=True)

    token_sha256: str
    delivery_key: str | None
    run_key: str
    file: str
    recipient: str
    expires_at: AwareDatetime
    codes: int
    downloads: int
    revoked: bool
    created_at: AwareDatetime
    active: bool

    @property
    def id(self) -> str:
        """What people and the audit chain call it."""
        return self.token_sha256[:SHOWN]

    @property
    def state(self) -> str:
        """`active`, `expired` or `revoked`."""
        return "active" if self.active else "revoked" if self.revoked else "expired"


class Redeemed(NamedTuple):
    """Whether a code was right; if not, how many more attempts it has (0: ask for another code)."""

    right: bool
    attempts_left: int


class DownloadLinks:
    """The download links of one state database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make(
        self,
        *,
        run_key: str,
        file: str,
        recipient: str,
        expires: timedelta = LIFETIME,
        delivery_key: str | None = None,
    ) -> str:
        """Return the token of a new link, which nobody can ask for again; BadInput for a wrong time to live."""
        if not timedelta(0) < expires <= LONGEST:
            right = f"more than nothing, and at most {LONGEST.days} days"
            raise BadInput([Problem("expires", str(expires), right, "bad_expiry")])
        token = secrets.token_urlsafe(TOKEN_BYTES)
        hashed = token_hash(token)
        about = {"run_key": run_key, "file": file, "recipient": recipient}
        fresh = {"codes": 0, "code_attempts": 0, "downloads": 0, "revoked": False}
        made = insert(LINKS).values(
            token_sha256=hashed,
            delivery_key=delivery_key,
            **about,
            **fresh,
            expires_at=Now() + expires // MICROSECOND,
            created_at=Now(),
        )
        with self._database.write() as connection:
            connection.execute(made)
            detail = {**about, "delivery_key": delivery_key, "seconds": expires // timedelta(seconds=1)}
            append(connection, actor(), Action.LINK_MADE, hashed[:SHOWN], detail)
        return token

    def find(self, token: str) -> DownloadLink | None:
        """Return the link of a token, also one that is over; None when there is none."""
        with self._database.read() as connection:
            return _one(connection, LINKS.c.token_sha256 == token_hash(token))

    def new_code(self, token: str) -> str:
        """Return a new code of the link, which replaces the one before.

        Raises NotYet within a minute of the last one, NoMoreCodes, and Permanent for a link that is over.
        """
        hashed = token_hash(token)
        code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"
        paused = LINKS.c.code_sent_at > Now() - CODE_PAUSE // MICROSECOND
        free = [_active(), LINKS.c.codes < MOST_CODES, or_(LINKS.c.code_sent_at.is_(None), ~paused)]
        values: dict[str, Any] = {
            "code_sha256": _code_hash(token, code),
            "code_expires_at": Now() + CODE_LIFETIME // MICROSECOND,
            "code_sent_at": Now(),
            "code_attempts": 0,
            "codes": LINKS.c.codes + 1,
        }
        with self._database.write() as connection:
            changed = update(LINKS).where(LINKS.c.token_sha256 == hashed, *free).values(**values)
            if not connection.execute(changed).rowcount:
                raise _refused(connection, hashed)
        return code

    def code_sent(self, token: str) -> None:
        """Write down that the link's newest code was mailed."""
        with self._database.write() as connection:
            found = _one(connection, LINKS.c.token_sha256 == token_hash(token))
            if found is not None:
                detail = {"run_key": found.run_key, "file": found.file, "recipient": found.recipient}
                append(connection, HOLDER, Action.CODE_SENT, found.id, detail)

    def withdraw_code(self, token: str, code: str) -> None:
        """Forget a code that could not be mailed, as if nobody had asked for it.

        One at which somebody guessed meanwhile stays counted: mail that fails gives no guesses for nothing.
        """
        ours = LINKS.c.token_sha256 == token_hash(token), LINKS.c.code_sha256 == _code_hash(token, code)
        empty = {"code_sha256": None, "code_expires_at": None, "code_sent_at": None}
        with self._database.write() as connection:
            left = LINKS.c.codes - case((LINKS.c.code_attempts == 0, 1), else_=0)
            connection.execute(update(LINKS).where(*ours).values(**empty, codes=left))

    def redeem(self, token: str, code: str) -> Redeemed:
        """Spend an attempt, and the code where it is right. A right code opens one download."""
        hashed = token_hash(token)
        alive = [
            LINKS.c.token_sha256 == hashed,
            _active(),
            LINKS.c.code_sha256.is_not(None),
            LINKS.c.code_expires_at > Now(),
            LINKS.c.code_attempts < CODE_ATTEMPTS,
        ]
        attempt = update(LINKS).where(*alive).values(code_attempts=LINKS.c.code_attempts + 1)
        with self._database.write() as connection:
            row = connection.execute(attempt.returning(*LINKS.c)).first()
            if row is None:
                return Redeemed(right=False, attempts_left=0)
            about = {"run_key": row.run_key, "file": row.file, "recipient": row.recipient}
            if not hmac.compare_digest(row.code_sha256, _code_hash(token, code)):
                append(connection, HOLDER, Action.CODE_REFUSED, hashed[:SHOWN], about)
                return Redeemed(right=False, attempts_left=CODE_ATTEMPTS - row.code_attempts)
            spent = {"code_sha256": None, "code_expires_at": None, "downloads": LINKS.c.downloads + 1}
            connection.execute(update(LINKS).where(LINKS.c.token_sha256 == hashed).values(**spent))
            detail = {"file": row.file, "link": hashed[:SHOWN]}
            append(connection, row.recipient, Action.DOWNLOADED, row.run_key, detail)
        return Redeemed(right=True, attempts_left=0)

    def revoke(self, id_: str) -> DownloadLink:
        """End the link whose id begins so; BadInput when none or several do. Again is fine."""
        with self._database.write() as connection:
            starts = LINKS.c.token_sha256.startswith(id_, autoescape=True)
            hashes = connection.scalars(select(LINKS.c.token_sha256).where(starts).limit(2)).all()
            if not id_ or len(hashes) != 1:
                right = "several links begin so: give more of it" if hashes else "no link begins so"
                raise BadInput([Problem("link", id_, right, "unknown_link")])
            ours = LINKS.c.token_sha256 == hashes[0]
            was = connection.execute(update(LINKS).where(ours, ~LINKS.c.revoked).values(revoked=True))
            found = _one(connection, ours)
            assert found is not None
            if was.rowcount:
                detail = {"run_key": found.run_key, "file": found.file, "recipient": found.recipient}
                append(connection, actor(), Action.LINK_REVOKED, found.id, detail)
        return found

    def list(
        self, *, run_key: str | None = None, recipient: str | None = None, limit: int = 100
    ) -> list[DownloadLink]:
        """Return links, the newest first; `run_key` may be its first characters."""
        wanted = _select().order_by(LINKS.c.created_at.desc(), LINKS.c.token_sha256).limit(limit)
        if run_key is not None:
            wanted = wanted.where(LINKS.c.run_key.startswith(run_key, autoescape=True))
        if recipient is not None:
            wanted = wanted.where(LINKS.c.recipient == recipient)
        with self._database.read() as connection:
            return [_link(row) for row in connection.execute(wanted)]

    def prune(self, older_than: timedelta) -> int:
        """Forget links that expired longer ago than that, with their recipients' addresses; return how many."""
        over = LINKS.c.expires_at < Now() - older_than // MICROSECOND
        with self._database.write() as connection:
            return connection.execute(delete(LINKS).where(over)).rowcount


def token_hash(token: str) -> str:
    """Return what the state knows of a token."""
    return hashlib.sha256(token.encode("utf-8", "backslashreplace")).hexdigest()


def _code_hash(token: str, code: str) -> str:
    """Return a code's hash by the token: a code is short, and without the token nobody can try them all."""
    return hmac.new(token.encode(), code.encode(), hashlib.sha256).hexdigest()


def _active() -> ColumnElement[bool]:
    return (LINKS.c.expires_at > Now()) & ~LINKS.c.revoked


def _select() -> Any:
    return select(LINKS, _active().label("active"))


def _one(connection: Connection, which: ColumnElement[bool]) -> DownloadLink | None:
    row = connection.execute(_select().where(which)).first()
    return None if row is None else _link(row)


def _link(row: Any) -> DownloadLink:
    return DownloadLink.model_validate(dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name


def _refused(connection: Connection, hashed: str) -> NotYet | Permanent:
    """Return why there is no new code."""
    found = connection.execute(_select().where(LINKS.c.token_sha256 == hashed)).first()
    if found is None or not found.active:
        return Permanent("the link is over")
    if found.codes >= MOST_CODES:
        return NoMoreCodes(f"{MOST_CODES} codes were sent for this link, which is all that one may have")
    return NotYet("a code was sent less than a minute ago", found.code_sent_at + CODE_PAUSE)
