"""Every definition of an export becomes an Airflow DAG: one loop."""

from __future__ import annotations

from include.orchestration.factory import export_dags
from include.settings import Settings

for _id, _dag in export_dags(Settings.from_environment()).items():
    globals()[_id] = _dag
