"""Whether late rows of periods that were delivered are looked for, and how far back."""

from __future__ import annotations

from pydantic import Field

from include.definitions.base import Strict


class Restate(Strict):
    """Look at delivered periods once more, with what is known by then, and deliver what changed as a restatement."""

    last: int = Field(0, ge=0, le=60)
    """How many of the newest periods that were delivered, or skipped, are looked at each day; 0 for none."""
