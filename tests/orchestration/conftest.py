"""An Airflow environment for tests that parse DAGs in this process, and one running Airflow for those that need it.

Airflow reads its configuration when it is first imported, so the environment is set here, before any test module
of this folder is imported.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

from include.orchestration.environment import variables

HOME = Path(tempfile.mkdtemp(prefix="loyalty-airflow-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
os.environ.update(
    {
        key: value
        for key, value in variables(HOME, 8080).items()
        if key.startswith("AIRFLOW") and key not in os.environ
    }
)

import pytest  # noqa: E402

from include.settings import ROOT  # noqa: E402
from tests.orchestration.airflow_server import airflow_server  # noqa: E402 - after the environment

__all__ = ["airflow_database", "airflow_server"]


@pytest.fixture
def airflow_database() -> Callable[[], DagBag]:
    """Make Airflow's database, and put every DAG into it as a scheduler would; return them."""

    def fill() -> DagBag:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

        migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
        subprocess.run(migrate, check=True, capture_output=True, cwd=ROOT)
        DagBundlesManager().sync_bundles_to_db()
        bag = DagBag(str(ROOT / "dags"), bundle_path=ROOT / "dags", bundle_name="dags-folder")
        sync_bag_to_db(bag, "dags-folder", None)
        return bag

    return fill
