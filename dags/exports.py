"""Every definition of an export becomes an Airflow DAG: one loop.

exports_01.py and so on are links to this file. Each holds the exports of its shard: `include/orchestration/shards.py`.
"""

from __future__ import annotations

from include.orchestration.factory import export_dags
from include.settings import Settings

for _id, _dag in export_dags(Settings.from_environment(), __file__).items():
    globals()[_id] = _dag
