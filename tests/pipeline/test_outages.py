"""Rule: a database or a store that goes away in the middle of a step costs that attempt; the next one is right."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from include import pipeline, sample
from include.definitions.load import from_document
from include.errors import Transient
from include.pipeline import Context
from include.settings import Settings
from include.snapshots.manifest import MANIFEST
from include.state.tables import LEASES
from tests.pipeline.conftest import PLAN
from tests.servers.buckets import NotInstalled, s3_process
from tests.servers.proxy import proxy_to
from tests.servers.running import find, postgres_process
from tests.servers.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.servers]
AT = datetime(2026, 3, 2, 6, tzinfo=UTC)
BALANCES = from_document(
    {
        "id": "balances",
        "name": "Balances",
        "model": "balance",
        "timezone": "Europe/Paris",
        "schedule": {"kind": "daily", "time": "06:00"},
        "targets": [{"kind": "folder", "options": {"folder": "balances"}}],
    },
    where="test.yaml",
)


def context_of(home: Path, ledger_url: str, **more: str) -> Context:
    """Return a context with state, store and scratch below `home`, but for what `more` says."""
    variables = {"LOYALTY_HOME": str(home), "LOYALTY_LEDGER_URL": ledger_url, "LOYALTY_SETTLE_SECONDS": "0"}
    return Context.from_settings(Settings.from_environment({**variables, **more}))


@pytest.fixture(scope="module")
def expected(ledger_url: str, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of an undisturbed run."""
    context = context_of(tmp_path_factory.mktemp("undisturbed"), ledger_url)
    key = pipeline.pin(context, BALANCES, occurrence=AT).run_key
    pipeline.snapshot(context, key)
    return rendered(context, key)


def rendered(context: Context, key: str) -> bytes:
    """Return the run's file."""
    return context.store.read(pipeline.render(context, key)[0]["key"])


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of a short path, as sockets want it."""
    made = Path(tempfile.mkdtemp(prefix="loyalty-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


class InTheMiddle:
    """Progress of a step that lets something happen once, when the first rows are done."""

    def __init__(self, happens: Callable[[], None]) -> None:
        self._happens = happens
        self.stage = ""

    def __call__(self, stage: str, rows_done: int, rows_total: int | None) -> None:
        if rows_done and not self.stage:
            self.stage = stage
            self._happens()


def snapshots_of(context: Context) -> int:
    """Return how many snapshots exist: those whose manifest is in the store."""
    return sum(each.key.endswith(f"/{MANIFEST}") for each in context.store.list("snapshots"))


def gives_what_it_holds(context: Context) -> bool:
    """Say whether the store, which listens, gives its files too: SeaweedFS needs a moment more for that."""
    try:
        return all(context.store.read(each.key) for each in context.store.list("snapshots"))
    except Transient:
        return False


@pytest.mark.skipif(not find("initdb"), reason="PostgreSQL is not installed")
def test_postgresql_restarts_while_the_ledger_is_read(folder: Path, expected: bytes) -> None:
    """Ledger and state are in the same server; the ledger is reached by a slow way."""
    with postgres_process(folder / "server") as (url, server), proxy_to(sa.make_url(url).port or 0) as way:
        sample.load(url, PLAN)
        slow = sa.make_url(url).set(port=way.port).render_as_string(hide_password=False)
        context = context_of(folder / "home", slow, LOYALTY_STATE_URL=url)
        key = pipeline.pin(context, BALANCES, occurrence=AT).run_key

        def restart() -> None:
            server.stop(signal.SIGQUIT)  # without a word to its clients
            server.start()

        way.delay = 0.05  # a second for every 320 kB: little is on its way when the server goes
        middle = InTheMiddle(restart)
        with pytest.raises(Transient):
            pipeline.snapshot(context, key, middle)
        assert middle.stage
        assert snapshots_of(context) == 0
        way.delay = 0
        time_passes(url)
        pipeline.snapshot(context, key)
        assert rendered(context, key) == expected
        assert snapshots_of(context) == 1


def time_passes(state_url: str) -> None:
    """Let the lease expire that the broken attempt may not have been able to give back."""
    engine = sa.create_engine(state_url)
    with engine.begin() as connection:
        connection.execute(sa.update(LEASES).values(expires_at=AT))
    engine.dispose()


def test_a_store_that_goes_away_is_named_and_what_follows_is_right(
    folder: Path, expected: bytes, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once while a snapshot is made, once while a file is."""
    try:
        with s3_process(folder) as (served, server):
            for name, value in served.environment.items():
                monkeypatch.setenv(name, value)
            context = context_of(folder / "home", ledger_url, LOYALTY_STORE=f"{served.url}/store")
            key = pipeline.pin(context, BALANCES, occurrence=AT).run_key
            for step, made in ((pipeline.snapshot, 0), (pipeline.render, 1)):
                middle = InTheMiddle(server.stop)
                with pytest.raises(Transient, match=served.url):
                    step(context, key, middle)
                assert middle.stage
                server.start()
                until(lambda: gives_what_it_holds(context), "what the store holds")
                assert snapshots_of(context) == made
                assert context.state.runs.get(key).artefacts is None
                step(context, key)
            assert rendered(context, key) == expected
            assert snapshots_of(context) == 1
    except NotInstalled as missing:
        pytest.skip(f"{missing} is not installed")
