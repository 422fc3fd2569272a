"""What a stage's process has imported. A helper, not a test: it imports no pytest."""

from __future__ import annotations

import sys
from typing import Any

import pyarrow as pa


def heavy(*, progress: Any) -> list[str]:
    pa.array(["Arrow looks for pandas now"])
    return [name for name in ("airflow", "typer", "pytest", "pandas") if name in sys.modules]
