"""Fixtures that every test may use: real database servers, one of each per session, a fresh database per test."""

from __future__ import annotations

import atexit
import gc
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import sqlalchemy as sa
from xdist.scheduler import LoadFileScheduling

from tests.examples import THOROUGH
from tests.servers.running import find, mariadb_server, postgres_server

# A busy machine is no failure; what is slow is measured in benchmarks.
hypothesis.settings.register_profile("fast", deadline=None, max_examples=40)
hypothesis.settings.register_profile(THOROUGH, deadline=None, max_examples=100)
hypothesis.settings.load_profile("fast")

_NUMBERS = count(1)
MEMORY = Path("/dev/shm")
ROOM_BYTES = 6 << 30


def _in_memory() -> None:
    """Let temporary folders lie in memory where there is room: nothing here has to survive a power cut."""
    if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK):
        available = re.search(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text("utf-8"))
        room = min(shutil.disk_usage(MEMORY).free, int(available[1]) * 1024 if available else 0)
        if room >= ROOM_BYTES:
            os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


_in_memory()


# Whose tests share the running Airflow.
AIRFLOW = re.compile(r"tests/(browser/|orchestration/test_(airflow|announcing|restatements))")


# Whose tests wait for servers most of the time: begun last, they would end alone.
WAITING = re.compile(r"tests/(workers|spark|snapshots/test_standby|pipeline/test_outages)")


class OneAirflow(LoadFileScheduling):
    """The tests of a file run in one worker, and all that share the running Airflow in the same one."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "airflow" if AIRFLOW.match(file) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneAirflow | None:
    """Where files are what is given to workers, give them so, in the order of `_longest_first`."""
    config.option.loadscopereorder = False
    return OneAirflow(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Spare what is imported and collected for good, over a million objects, from being looked through for garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_unconfigure() -> None:
    """Let the end of the process find garbage as ever: libraries complain of what is left. Plugins look once more."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark every test that asks for a server, and every one that asks for what is slow to make."""
    _mark(items)
    if hasattr(config, "workerinput"):
        _longest_first(items)


def _longest_first(items: list[pytest.Item]) -> None:
    """What shares Airflow comes first, then what waits, then the files with slow tests; the others fill the rest."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(
        key=lambda item: (
            not AIRFLOW.match(item.nodeid),
            not WAITING.match(item.nodeid),
            item.path not in slow,
        )
    )


# What stands for a whole installation with its ledger, for all reports of one, or for gpg's agent: a tenth of a second
# and more for each test, which together are minutes.
WHOLE = {"api_server", "context", "desk", "sample", "built", "keyring", "inline", "club"}


def _mark(items: list[pytest.Item]) -> None:
    for item in items:
        asked = set(getattr(item, "fixturenames", ()))
        if {"postgres_url", "mariadb_url"} & asked:
            item.add_marker(pytest.mark.servers)
        if WHOLE & asked:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def _migrated_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Migrate one empty SQLite state; every other begins as its copy, a tenth of a second sooner."""
    from include.state.migrations import run

    really = run.upgrade
    template = tmp_path_factory.mktemp("state") / "migrated.sqlite"

    def upgrade(engine: sa.Engine) -> None:
        there = Path(engine.url.database or "")
        if engine.dialect.name != "sqlite" or (there.exists() and there.stat().st_size):
            really(engine)
            return
        if not template.exists():
            made = sa.create_engine(f"sqlite:///{template}", poolclass=sa.NullPool)
            really(made)
        shutil.copyfile(template, there)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "upgrade", upgrade)
        yield


def _serve(program: str, server: Callable[[Path], AbstractContextManager[str]]) -> Iterator[str]:
    if not find(program):
        reason = f"{program} is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="loyalty-"))  # short: sockets allow 107 bytes
    try:
        with server(folder) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A running PostgreSQL server's `postgres` database (fsync off)."""
    yield from _serve("initdb", postgres_server)


@pytest.fixture(scope="session")
def mariadb_url() -> Iterator[str]:
    """A running MariaDB server's `ledger` database."""
    yield from _serve("mariadbd", mariadb_server)


def _fresh(server: str) -> Iterator[str]:
    url, name = sa.make_url(server), f"t{os.getpid()}_{next(_NUMBERS)}"
    more = " character set utf8mb4" if url.get_backend_name() == "mysql" else ""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"create database {name}{more}")
    yield url.set(database=name).render_as_string(hide_password=False)
    force = " with (force)" if url.get_backend_name() == "postgresql" else ""
    with engine.connect() as connection:
        connection.exec_driver_sql(f"drop database {name}{force}")
    engine.dispose()


@pytest.fixture
def postgres_ledger(postgres_url: str) -> Iterator[str]:
    """The URL of a fresh, empty PostgreSQL database."""
    yield from _fresh(postgres_url)


@pytest.fixture
def mariadb_ledger(mariadb_url: str) -> Iterator[str]:
    """The URL of a fresh, empty MariaDB database."""
    yield from _fresh(mariadb_url)


@pytest.fixture
def sqlite_ledger(tmp_path: Path) -> str:
    """The URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite'}"


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.servers),
        pytest.param("mariadb", marks=pytest.mark.servers),
    ]
)
def any_ledger(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh, empty ledger database of each supported kind in turn."""
    url: str = request.getfixturevalue(f"{request.param}_ledger")
    return url
