"""Making a snapshot for somebody who waits in front of a page: in the background, one at a time, telling how it goes.

A ledger of any size takes its time, so no request waits for it. The lease on the ledger's snapshots tells every process
of the pages that one is being made; how it went is known to the process that was asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from include.acting import acting, actor
from include.definitions.model import ExportDefinition
from include.errors import LoyaltyError
from include.pipeline import process
from include.pipeline.context import Context, Progress, settle_delay
from include.pipeline.pin import latest_known
from include.pipeline.privacy import erasure_key
from include.snapshots.manifest import source_key
from include.snapshots.source import Source, public_url
from include.state.runs import RunRecord


@dataclass
class Making:
    """How it goes: rows read of `stage` so far, and why it failed, empty while it has not. what: what is being made."""

    what: str = "A snapshot of the ledger"
    running: bool = True
    stage: str = ""
    rows: int = 0
    failure: str = ""


_lock = threading.Lock()
_made: dict[str, Making] = {}


def make(context: Context, definition: ExportDefinition) -> Making:
    """Begin to make a snapshot that a definition can be previewed on, unless one is being made; return how it goes."""
    delay = settle_delay(context.settings, definition)
    moment = latest_known(datetime.now(UTC), delay)

    def work(progress: Progress) -> None:
        stage, document = "include.pipeline.snapshot_stage:take_for", definition.document()
        process.in_process(stage, context.settings, document, moment, erasure_key(context), progress=progress)

    return _begun(context, Making(), work)


def gather(context: Context, run: RunRecord) -> Making:
    """Begin to gather the sample that the preview of a run needs, likewise."""

    def work(progress: Progress) -> None:
        process.in_process("include.pipeline.previews.stage:gather", context.settings, run, progress=progress)

    return _begun(context, Making("A sample of the snapshot"), work)


def state(context: Context) -> Making | None:
    """Return how the last one goes or went that this process was asked for, or that another makes now; else None."""
    with _lock:
        own = _made.get(context.settings.state_url)
    if own is not None:
        return own
    source = Source.from_settings(context.settings)
    key = source_key(public_url(source.url), source.mapping_sha256)
    return Making() if context.state.leases.holder(f"snapshot {key}") else None


def _begun(context: Context, making: Making, work: Callable[[Progress], None]) -> Making:
    with _lock:
        there = _made.get(context.settings.state_url)
        if there is not None and there.running:
            return there
        _made[context.settings.state_url] = making
    threading.Thread(target=_do, args=(making, work, actor()), name="snapshot", daemon=True).start()
    return making


def _do(making: Making, work: Callable[[Progress], None], who: str) -> None:
    def tell(stage: str, rows_done: int, _: int | None) -> None:
        making.stage, making.rows = stage, rows_done

    try:
        with acting(who):
            work(tell)
    except LoyaltyError as error:
        making.failure = str(error)
    except Exception as error:  # noqa: BLE001 - a thread has nobody above it; the page says it
        making.failure = f"{type(error).__name__}: {error}"
    finally:
        making.running = False
