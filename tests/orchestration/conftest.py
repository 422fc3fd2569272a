"""One running Airflow for the tests that need it, and an environment for those that parse DAGs in this process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tests.airflow_environment  # noqa: F401 - before any module of Airflow
from include.settings import ROOT, Settings
from tests.orchestration.airflow_server import airflow_server
from tests.stages import in_this_process

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

__all__ = ["airflow_database", "airflow_server"]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings, and an environment that says the same, of an installation that has no exports."""
    (tmp_path / "exports").mkdir()
    monkeypatch.setenv("LOYALTY_EXPORTS", str(tmp_path / "exports"))
    monkeypatch.setenv("LOYALTY_HOME", str(tmp_path))
    return Settings.from_environment()


@pytest.fixture
def inline() -> Iterator[None]:
    """Run stages in this process, where many runs are made."""
    with in_this_process():
        yield


@pytest.fixture(scope="session")
def migrated() -> None:
    """Airflow's database of this process."""
    migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(migrate, check=True, capture_output=True, cwd=ROOT)


@pytest.fixture
def airflow_database(migrated: None) -> Callable[[], DagBag]:
    """Put every DAG into Airflow's database as a scheduler would; return them."""

    def fill() -> DagBag:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

        DagBundlesManager().sync_bundles_to_db()
        bag = DagBag(str(ROOT / "dags"), bundle_path=ROOT / "dags", bundle_name="dags-folder")
        sync_bag_to_db(bag, "dags-folder", None)
        return bag

    return fill
