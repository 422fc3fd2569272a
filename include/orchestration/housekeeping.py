"""What the DAGs that keep the installation running have in common."""

from __future__ import annotations

from typing import Any

from include.orchestration.factory import FIRST_DAY
from include.orchestration.outcome import ATTEMPTS

# They run as long as Airflow does, one run at a time, and make up for nothing that they missed.
ALWAYS: dict[str, Any] = {
    "start_date": FIRST_DAY,
    "catchup": False,
    "is_paused_upon_creation": False,
    "max_active_runs": 1,
    "tags": ["upkeep"],
    "default_args": {"owner": "loyalty", **ATTEMPTS},
}
