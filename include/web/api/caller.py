"""Who asks an API, and what they may do: a program with a key, or a user of Airflow who has logged in.

A login is good for reading; what changes something takes a key, or Airflow's own bearer token: never a cookie alone,
which a browser brings along wherever the request comes from.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from anyio.to_thread import run_sync
from fastapi import Depends, HTTPException, Request

from include.state.keys import MEANINGS, PREFIX, KeyRecord, Scope
from include.web.reader import Reader, Right, context_of

if TYPE_CHECKING:
    from include.web.api.application import Api

# What a user must have for what a scope gives to a key.
RIGHTS: dict[Scope, Right] = {
    Scope.DEFINITIONS_READ: Right.SEE,
    Scope.DEFINITIONS_WRITE: Right.EDIT,
    Scope.RUNS_READ: Right.SEE,
    Scope.RUNS_START: Right.RUN,
    Scope.DELIVERIES_READ: Right.SEE,
    Scope.DELIVERIES_SEND: Right.RUN,
    Scope.REPORTS_READ: Right.EDIT,
    Scope.FILES_READ: Right.SEE,
    Scope.PERSONAL: Right.PERSONAL,
    Scope.IMPORTS_WRITE: Right.IMPORT,
    Scope.IMPORTS_APPROVE: Right.IMPORT,
    Scope.AUDIT_READ: Right.ADMINISTER,
}
NO_KEY = "Bring an API key, or log in to Airflow."
WRONG_KEY = "This key is wrong, expired or revoked."
COOKIE_ALONE = "What changes something takes an API key; a login in a browser is good for reading only."
_READS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True)
class Caller:
    """Who asks. `name` is what the audit chain says of them; exactly one of `key` and `reader` is there."""

    name: str
    key: KeyRecord | None = None
    reader: Reader | None = None

    def may(self, scope: Scope, definition_id: str | None = None) -> bool:
        """Say whether they may do it with an export, or with all where none is named."""
        if self.key is not None:
            return self.key.may(scope, definition_id)
        return self.reader is not None and self.reader.may(RIGHTS[scope], definition_id)

    def require(self, scope: Scope, definition_id: str | None = None) -> None:
        """Raise HTTPException 403, with a sentence, where they may not."""
        if not self.may(scope, definition_id):
            raise HTTPException(403, f"You may not {MEANINGS[scope]}{self._lacking(scope, definition_id)}.")

    def visible(self, scope: Scope, definition_ids: Collection[str]) -> frozenset[str]:
        """Return those of the exports with which they may do it."""
        if self.reader is not None and RIGHTS[scope] is Right.SEE:
            return self.reader.readable(definition_ids)
        return frozenset(each for each in definition_ids if self.may(scope, each))

    def _lacking(self, scope: Scope, definition_id: str | None) -> str:
        if self.key is None:
            return ""
        if scope not in self.key.scopes:
            return f": the key lacks the scope {scope.value}"
        return ": the key is for some exports only" if definition_id is None else " of this export"


async def calling(request: Request) -> Caller:
    """Return who asks.

    HTTPException 401 for nobody and for a key that is wrong, expired or revoked; 403 for a change by a cookie alone.
    TooManyRequests when the key has had its requests of this minute.
    """
    api: Api = request.app.state.api
    key = api.key_of(request)
    if key is not None:
        keys = context_of(request).state.keys
        # To ask in another thread costs more than the question, where the answer is known.
        record = keys.at_once(key) or await run_sync(keys.authenticate, key)
        if record is None:
            raise _nobody(WRONG_KEY)
        return Caller(record.actor, key=record)
    if request.method not in _READS and "authorization" not in request.headers:
        raise _nobody(NO_KEY) if not request.cookies else HTTPException(403, COOKIE_ALONE)
    try:
        reader: Reader = await request.app.state.access(request)
    except HTTPException as error:
        if error.status_code == 403:  # what Airflow says of a token that is not its own
            raise _nobody(WRONG_KEY) from None
        raise _nobody(NO_KEY) from None
    request.state.reader = reader
    return Caller(reader.name, reader=reader)


Calling = Annotated[Caller, Depends(calling)]


def needs(scope: Scope, *others: Scope) -> Any:
    """Return the dependency of routes that take a scope for all exports: it gives the Caller, or raises 401 or 403.

    others: any of these will do, too.
    """

    def require(caller: Caller) -> None:
        if not any(caller.may(other) for other in others):
            caller.require(scope)

    async def scoped(caller: Calling) -> Caller:
        if caller.key is not None:  # which asks nobody
            require(caller)
        else:
            await run_sync(require, caller)
        return caller

    return Depends(scoped)


def bearer_key(request: Request) -> str | None:
    """Return the key of `Authorization: Bearer KEY`; None for Airflow's tokens, which are no keys of ours."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    given = given.strip()
    return given if scheme.lower() == "bearer" and given.startswith(f"{PREFIX}_") else None


def _nobody(why: str) -> HTTPException:
    return HTTPException(401, why, headers={"WWW-Authenticate": 'Bearer realm="loyalty"'})
