"""A ledger that may be written, the DAG of imports as Airflow knows it, and files of a few rows."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from include import sample
from include.imports.options import Mode, Options
from include.pipeline import Context, imports
from include.sample.plan import Plan
from include.settings import IMPORTS_DAG
from include.state.imports import ImportRecord
from tests.web.posting import OWN, token

PAGE = "/loyalty/imports"


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    sample.load(f"sqlite:///{path}", Plan(customers=20, transactions=200))
    return path


@pytest.fixture
def ledger(small: Path, installation: Any) -> Path:
    """The embedded ledger of the installation, which imports may write."""
    installation.home.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(small, installation.home / "ledger.sqlite"))


@pytest.fixture
def context(installation: Any, ledger: Path) -> Context:
    return installation.context


@pytest.fixture
def program(context: Context) -> str:
    return next(iter(imports.programs(context)))


@pytest.fixture
def dag(api_server: Any) -> Iterator[None]:
    """Airflow knows the DAG; its runs are gone after the test."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    from include.orchestration.imports import build

    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag("/dev/null", bundle_path="/dev")
    bag.bag_dag(build())
    sync_bag_to_db(bag, "dags-folder", None)
    yield
    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.dag_id == IMPORTS_DAG))


@pytest.fixture
def received(context: Context, program: str, tmp_path: Path) -> Callable[..., ImportRecord]:
    """Make an import, rehearsed as the DAG does it."""

    def make(
        text: str = "customer_id,Points\nc0000001,100\nc0000002,-5\n",
        *,
        mode: Mode = Mode.ADD,
        by: str = "olga",
        name: str = "points.csv",
        rehearsed: bool = True,
    ) -> ImportRecord:
        (tmp_path / name).write_text(text)
        chosen = "" if mode is Mode.BIRTHDAY else program
        record = imports.receive(
            context, tmp_path / name, name=name, options=Options(mode=mode, program=chosen), by=by
        )
        return imports.rehearse(context, record.import_id) if rehearsed else record

    return make


def upload(client: Any, content: bytes, name: str = "points.csv", **fields: str) -> Any:
    """Send the form of the page with a file."""
    data = {"form_token": token(client, PAGE), "mode": "add", **fields}
    return client.post(PAGE, data=data, files={"file": (name, content, "text/csv")}, headers=OWN)
