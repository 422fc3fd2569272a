"""What every task needs is loaded once, by the process of Airflow that forks a process for each task.

Else each task of a run loads it again, which takes longer than most tasks. After an update of the product such a
process must be started again, as all others of Airflow must.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

# The scheduler does so for LocalExecutor, Celery's workers for CeleryExecutor.
_FORKING = (("scheduler",), ("celery", "worker"))
_NEEDED = (
    "include.orchestration.factory",
    "include.orchestration.tasks",
    "include.pipeline",
    "include.pipeline.checks",
    "include.state.migrations.run",
)


def preload(command: Sequence[str]) -> None:
    """Load it when `command`, the words of a command line, is that of a process that forks tasks."""
    if any(tuple(command[1 : 1 + len(words)]) == words for words in _FORKING):
        for name in _NEEDED:
            importlib.import_module(name)
