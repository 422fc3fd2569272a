"""The one place that says how Airflow runs on one machine: environment variables only, no airflow.cfg.

Everything that Airflow writes lies under `home` (var/airflow): its SQLite database (another one by
LOYALTY_AIRFLOW_DATABASE_URL), its logs, and the secrets that are made once. All listens on loopback. A larger
installation sets its own (docker-compose.yaml).
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from include.orchestration import pools
from include.settings import ROOT

USER = "admin"
PARSE_SECONDS = "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL"
BUNDLES = "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"
# Under the name that Airflow gives its folder of DAGs.
OUR_FOLDER = {"name": "dags-folder", "classpath": "include.orchestration.dag_folder.DagFolder", "kwargs": {}}


def password(home: Path) -> str:
    """Return the password of `USER`, made when first asked for."""
    return str(_once(home / "passwords.json", lambda: {USER: secrets.token_urlsafe(12)})[USER])


def variables(
    home: Path, port: int, inherited: Mapping[str, str] = os.environ, *, dags: Path = ROOT / "dags"
) -> dict[str, str]:
    """Return the environment of every process of the Airflow at `http://127.0.0.1:<port>` living in `home`.

    What `inherited` says of other matters (LOYALTY_*, PATH, AIRFLOW_CONN_*) passes through unchanged.
    """
    password(home)
    keys = _once(
        home / "keys.json",
        lambda: {
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(64),
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        },
    )
    url = f"http://127.0.0.1:{port}"
    path = os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)])
    return {
        **inherited,
        **keys,
        "PATH": path,
        "PYTHONPATH": str(ROOT),
        # Without these Arrow and glibc keep what a stage has freed, and a task's memory only grows.
        "ARROW_DEFAULT_MEMORY_POOL": inherited.get("ARROW_DEFAULT_MEMORY_POOL", "system"),
        "MALLOC_ARENA_MAX": inherited.get("MALLOC_ARENA_MAX", "2"),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        # A place beside the heavy tasks, for what is small.
        "AIRFLOW__CORE__PARALLELISM": str(pools.slots() + 1),
        "LOYALTY_POOL": inherited.get("LOYALTY_POOL", pools.NAME),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__AUTH_MANAGER": (
            "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
        ),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": inherited.get(
            "LOYALTY_AIRFLOW_DATABASE_URL", f"sqlite:///{home / 'airflow.sqlite'}"
        ),
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",  # an export that is saved twice in a minute
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        BUNDLES: inherited.get(BUNDLES, json.dumps([OUR_FOLDER])),
        PARSE_SECONDS: inherited.get(PARSE_SECONDS, "120"),  # what has changed is parsed at once
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "3",  # one is free for an export that was saved just now
        "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "2",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "LOYALTY_PUBLIC_URL": inherited.get("LOYALTY_PUBLIC_URL", url),
        "AIRFLOW__API__INSTANCE_NAME": "Loyalty ledger exports",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def _once(path: Path, make: Any) -> dict[str, str]:
    """Return the JSON object in `path`; if there is none, write what `make` gives, for its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return dict(json.loads(path.read_text("utf-8")))
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        made: dict[str, str] = make()
        json.dump(made, file)
    return made
