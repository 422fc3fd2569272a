"""Who asks for a file, and what they may read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Request


@dataclass(frozen=True)
class Reader:
    """A user who has logged in. `may_read` says of a definition's id whether its files are theirs to read."""

    name: str
    may_read: Callable[[str], bool]


Access = Callable[[Request], Awaitable[Reader]]
"""Returns who asks; raises HTTPException 401 when nobody has logged in."""
