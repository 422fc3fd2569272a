"""Airflow's environment for tests that use it in this process. Import it before anything of Airflow.

Airflow reads its configuration when it is first imported; all that it writes lies in a temporary folder.
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
# Parsing DAGs reads the state database, which must not be that of this checkout.
os.environ.setdefault("LOYALTY_HOME", str(HOME / "loyalty"))
