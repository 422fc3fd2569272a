"""Waiting for what another process or thread does. A helper, not a test."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(
    found: Callable[[], Found], what: str = "it", *, seconds: float = 300, pause: float = 0.05
) -> Found:
    """Ask again until there is something; return that."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, f"{what} does not come"
        time.sleep(pause)
    return value
