"""An API without Airflow around it: a state, a store, a small ledger, and keys that are made as they are needed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from starlette.testclient import TestClient

from include.pipeline import Context
from include.state.keys import NewKey, Scope
from include.web.app import create
from include.web.reader import Reader
from tests.web.application import stand_on

OURS = "/api/v1"


@dataclass
class Asking:
    """The application, and what it was asked to start. built: an application to use, one of its own without."""

    context: Context
    built: FastAPI | None = None
    started: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    announced: list[str] = field(default_factory=list)
    reader: Reader | None = None

    def __post_init__(self) -> None:
        self.app: FastAPI = self.built or create(self.context, self._access)
        announce = self.announced.append
        stand_on(self.app, context=self.context, access=self._access, announce=announce, start=self._start,
                 answer=lambda *_: False)  # fmt: skip

    async def _access(self, request: Request) -> Reader:
        if self.reader is None:
            raise HTTPException(401, "nobody has logged in")
        return self.reader

    def _start(self, definition_id: str, conf: Any, by: str) -> str:
        self.started.append((definition_id, dict(conf), by))
        return f"manual__{len(self.started)}"

    def key(self, *scopes: Scope, exports: Collection[str] = (), **how: Any) -> NewKey:
        """A new key."""
        how = {"expires": timedelta(days=1), "per_minute": 60_000, **how}
        return self.context.state.keys.make("tests", scopes, by="ann", exports=exports, **how)

    def client(self, *scopes: Scope, exports: Collection[str] = (), **how: Any) -> TestClient:
        """Somebody with a key that has these scopes; with none, somebody without a key."""
        client = TestClient(self.app, base_url="http://127.0.0.1:8080", raise_server_exceptions=False)
        if scopes:
            client.headers["authorization"] = f"Bearer {self.key(*scopes, exports=exports, **how).key}"
        return client

    def logged_in(self, *rights: str, name: str = "olga") -> TestClient:
        """Somebody with a cookie, and these rights for all exports."""
        self.reader = Reader(
            name,
            frozenset(),
            lambda right, _: right in rights,
            lambda ids: frozenset(ids if "see" in rights else ()),
        )
        client = TestClient(self.app, base_url="http://127.0.0.1:8080", raise_server_exceptions=False)
        client.cookies.set("_token", "x")
        return client


Clients = Callable[..., TestClient]
