"""An Airflow environment for tests that parse DAGs in this process, and one running Airflow for those that need it.

Airflow reads its configuration when it is first imported, so the environment is set here, before any test module
of this folder is imported.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

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

from tests.orchestration.airflow_server import airflow_server  # noqa: E402 - after the environment

__all__ = ["airflow_server"]
