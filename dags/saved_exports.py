"""Exports that were saved in the pages a moment ago: DAGs of exports.py, parsed first, so that they are there at once.

The pages ask Airflow to parse this file whenever somebody saves; parsing exports.py, which holds all, takes longer.
"""

from __future__ import annotations

from pathlib import Path

from include.orchestration.factory import saved_dags
from include.settings import Settings

for _id, _dag in saved_dags(Settings.from_environment()).items():
    globals()[_id] = _dag

# Airflow notes this as the file of the DAGs: their tasks find them there when they have left this one.
__file__ = str(Path(__file__).with_name("exports.py"))
