"""A real server with our pages and APIs over a small sample ledger, without Airflow, and the vendor's own client."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, HTTPException

from include import sample
from include.pipeline import Context
from include.settings import Settings
from include.state.keys import NewKey
from include.web.app import create
from tests.lazily import voucherify
from tests.servers.running import free_port
from tests.stages import in_this_process

SCOPES = ("reports:read", "personal")


@pytest.fixture(scope="session")
def ledger_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A SQLite ledger of 6,000 transactions, with orders, vouchers, publications and gift cards."""
    url = f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.sqlite'}"
    sample.load(url, sample.Plan(customers=300, transactions=6_000))
    return url


def installed(home: Path, ledger_url: str) -> Context:
    """An installation of its own over the ledger."""
    home.mkdir()
    made = Settings.from_environment({"LOYALTY_HOME": str(home), "LOYALTY_SETTLE_SECONDS": "0"})
    return Context(replace(made, ledger_url=ledger_url, exports=home / "exports"))


@pytest.fixture
def context(tmp_path: Path, ledger_url: str) -> Context:
    return installed(tmp_path / "home", ledger_url)


async def nobody(_request: Any) -> Any:
    raise HTTPException(401, "Nobody has logged in.")


@dataclass(frozen=True)
class Served:
    """A server, and the keys of its installation."""

    url: str
    context: Context

    def key(self, name: str = "crm", scopes: tuple[str, ...] = SCOPES, **how: Any) -> NewKey:
        return self.context.state.keys.make(name, scopes, by="admin", **how)

    def client(self, key: NewKey) -> voucherify.ApiClient:
        """The vendor's client: its address and keys are all that is ours."""
        configuration = voucherify.Configuration(
            host=f"{self.url}/loyalty/voucherify",
            api_key={"X-App-Id": key.record.shown, "X-App-Token": key.key},
        )
        return voucherify.ApiClient(configuration)


@contextlib.contextmanager
def serving(context: Context) -> Iterator[Served]:
    """Serve until the block is over."""
    app = FastAPI()
    app.mount("/loyalty", create(context, nobody))
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.02)
        yield Served(f"http://127.0.0.1:{port}", context)
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, ledger_url: str) -> Iterator[Served]:
    """One server for the tests of a file, which make exports of their own; stages run in its process, to save time."""
    home = tmp_path_factory.mktemp("served") / "home"
    with in_this_process(), serving(installed(home, ledger_url)) as running:
        yield running


def finished(api: voucherify.ExportsApi, export_id: str, seconds: float = 300) -> Any:
    """Ask again until an export is over, as the vendor tells programs to."""
    end = time.monotonic() + seconds
    while (found := api.get_export(export_id)).status not in {"DONE", "ERROR"}:
        assert time.monotonic() < end, found
        time.sleep(0.2)
    return found
