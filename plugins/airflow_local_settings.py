"""Each process of Airflow imports this as it starts: the one place where ours can do something so early."""

from __future__ import annotations

import sys

from include.orchestration.preload import preload

__all__: list[str] = []  # what stood here would become settings of Airflow

preload(sys.argv)
