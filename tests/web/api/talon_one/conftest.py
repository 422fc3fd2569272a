"""Our Talon.One on a real port, over the ledger of `ledger.py`, and the vendor's own client library pointed at it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import talon_one
import uvicorn

from include.state.keys import Scope
from tests.layouts.tiny import Desk
from tests.servers.running import free_port
from tests.web.api.asking import Asking
from tests.web.api.talon_one.ledger import LEDGER


@dataclass
class Vendor:
    """The vendor's client, with a key."""

    integration: talon_one.IntegrationApi
    management: talon_one.ManagementApi

    def get(self, path: str) -> str:
        """The text at a path that this version of the client has no method for."""
        return self.management.api_client.call_api(
            path, "GET", auth_settings=["management_key"], response_type="str", _return_http_data_only=True
        )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("talon"), LEDGER)


@pytest.fixture(scope="module")
def club(desk: Desk) -> Asking:
    return Asking(desk.context)


@pytest.fixture(scope="module")
def address(club: Asking) -> Iterator[str]:
    """Where the API is, as a client is told it: without a slash at the end."""
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(club.app, host="127.0.0.1", port=port, log_level="warning", access_log=False)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    yield f"http://127.0.0.1:{port}/talon-one"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def with_key(address: str) -> Callable[[str], Vendor]:
    """Make a client that brings this key, in the header of each of the vendor's two APIs."""

    def make(key: str) -> Vendor:
        return Vendor(
            talon_one.IntegrationApi(_client(address, "ApiKey-v1", key)),
            talon_one.ManagementApi(_client(address, "ManagementKey-v1", key)),
        )

    return make


@pytest.fixture(scope="module")
def vendor(club: Asking, with_key: Callable[[str], Vendor]) -> Vendor:
    """A client that may read reports."""
    return with_key(club.key(Scope.REPORTS_READ).key)


def _client(address: str, scheme: str, key: str) -> Any:
    told = talon_one.Configuration(
        host=address, api_key={"Authorization": key}, api_key_prefix={"Authorization": scheme}
    )
    return talon_one.ApiClient(told)
