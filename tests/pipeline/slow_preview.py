"""A preview that never ends, in a process that may take a second."""

from __future__ import annotations

import time
from typing import Any

from include.pipeline.previews import stage as preview_stage


def draw(_: Any, *, progress: Any) -> None:
    preview_stage.SECONDS = 1
    preview_stage._limit()
    while True:
        time.sleep(0.1)
