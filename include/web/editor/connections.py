"""The names of connections that a form offers. Only names: what is in a connection is nobody's to see here."""

from __future__ import annotations

import os
import time

from include.connections import PREFIX
from include.pipeline import Context, health

_FRESH_SECONDS = 60.0
# By state database: when they were looked up, and what there was; all definitions are read for it.
_seen: dict[str, tuple[float, tuple[str, ...]]] = {}


def names(context: Context) -> tuple[str, ...]:
    """Return the names of connections that exports and settings use, and those of the environment, sorted."""
    key, now = context.settings.state_url, time.monotonic()
    looked, found = _seen.get(key, (-_FRESH_SECONDS, ()))
    if now - looked >= _FRESH_SECONDS:
        own = (name.removeprefix(PREFIX).lower() for name in os.environ if name.startswith(PREFIX))
        found = tuple(sorted({*health.uses(context), *own}))
        _seen[key] = now, found
    return found
