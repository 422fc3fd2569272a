"""Which of the DAG files holds which export: each takes those whose id says so, so that none takes long to parse.

While Airflow's DAG processor writes down what one file held, it hears nothing; so a file must not hold many.
"""

from __future__ import annotations

import hashlib
from pathlib import PurePath

# `dags/exports.py`, and links to it. With more of them, DAGs move to another file when that is parsed next.
COUNT = 32


def shard(definition_id: str) -> int:
    """Return the shard of an export: 0 to COUNT - 1, the same for ever."""
    return int.from_bytes(hashlib.sha256(definition_id.encode()).digest()[:8]) % COUNT


def file_name(number: int) -> str:
    """Return the name of the file of a shard. The first has no number: DAGs of older versions are there."""
    return f"exports_{number:02}.py" if number else "exports.py"


def file_of(definition_id: str) -> str:
    """Return the name of the file that holds an export."""
    return file_name(shard(definition_id))


def shard_of(file: str) -> int:
    """Return the shard of a file, given its path; ValueError if it is none of ours."""
    return [file_name(number) for number in range(COUNT)].index(PurePath(file).name)
