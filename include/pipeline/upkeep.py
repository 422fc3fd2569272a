"""Upkeep: what an installation does once a day to stay small. Safe at any time, also beside running exports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from include.pipeline.context import Context
from include.snapshots import registry

# No upload takes so long: its writer is dead.
DEAD = timedelta(days=1)


def upkeep(context: Context) -> dict[str, Any]:
    """Retire snapshots that no run needs and that are older than `keep_snapshots`, and clear away dead uploads.

    Returns the ids of the snapshots and the number of uploads.

    The newest usable snapshot of each ledger stays. A run that is made again after its snapshot went reads a
    newer one, with its own T and K.
    """
    older_than = context.settings.keep_snapshots
    return {
        "retired_snapshots": registry.retire(context.store, context.state, older_than=older_than),
        "cleared_uploads": context.store.clear_parts(datetime.now(UTC) - DEAD),
    }
