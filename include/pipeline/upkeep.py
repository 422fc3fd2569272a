"""Upkeep: what an installation does once a day to stay small. Safe at any time, also beside running exports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from include.errors import NotYet
from include.pipeline import closing, janitor, notify, retention, run_shares
from include.pipeline.answers import asked_exports
from include.pipeline.audit import anchors as audit
from include.pipeline.context import Context
from include.pipeline.erasure import erase
from include.pipeline.imports import keeping as import_keeping
from include.snapshots import registry

# No upload takes so long: its writer is dead.
DEAD = timedelta(days=1)
# A link that is over holds its recipient's address; so long people may ask what became of it.
FORGOTTEN_LINKS = timedelta(days=30)


def upkeep(context: Context) -> dict[str, Any]:
    """Close runs that died, retire snapshots that no run needs and that are older than `keep_snapshots`, clear away.

    Removes files whose time is over (`retention.retire_files`), and finishes erasures that were interrupted. Makes what
    programs asked for and no process works at, and forgets what was made long ago (`asked_exports`).

    Returns the keys of the runs, the ids of the snapshots, the number of uploads to the store, and what the janitor
    removed at targets and where it could not look (`janitor.clean_targets`). Notices that could not be sent are sent,
    and the head of the audit chain is written to its anchors' places.

    The newest usable snapshot of each ledger stays. A run that is made again after its snapshot went reads a
    newer one, with its own T and K.
    """
    try:
        done = _tidied(context)
    finally:  # whatever else fails, a day without an anchor would be a day without proof
        anchors = audit.anchor(context)
    return {**done, "anchors": anchors}


def _tidied(context: Context) -> dict[str, Any]:
    older_than = context.settings.keep_snapshots
    return {
        "closed_runs": closing.close_forsaken(context),  # first: they let go of snapshots
        "retired_snapshots": registry.retire(context.store, context.state, older_than=older_than),
        "removed_files": retention.retire_files(context),
        "removed_imports": import_keeping.retire(context),
        "forgotten_exports": asked_exports.retire(context),
        "cleared_shares": run_shares.clear_dead(context),
        "cleared_uploads": context.store.clear_parts(datetime.now(UTC) - DEAD),
        "targets": janitor.clean_targets(context),
        "forgotten_links": context.state.links.prune(FORGOTTEN_LINKS),
        "notices": notify.send(context),
        "erased": _erased(context),
        "made_exports": asked_exports.resume(context),
    }


def _erased(context: Context) -> list[str]:
    """Finish erasures that were interrupted; what is still being made or sent is looked at tomorrow."""
    try:
        done = erase.resume(context)
    except NotYet:
        return []
    erase.rename_later(context)
    return done
