"""A look at what an export would be, before it is saved: its first rows, and an estimate of rows and bytes.

It is drawn by the code of real runs over the newest snapshot that there is, or over a sample of its customers where
that is large, in a process of its own that may take so long and no longer. Nothing of it is recorded or kept.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from include.definitions.model import ExportDefinition, version
from include.definitions.occasion import as_of_for, interval_for
from include.definitions.periods import Interval
from include.definitions.schedule import Once
from include.definitions.zones import zone
from include.errors import BadInput, LoyaltyError, Problem, Transient
from include.pipeline import process
from include.pipeline.checks import model_of, personal_uses
from include.pipeline.context import Context, settle_delay, silent
from include.pipeline.privacy import secrets_of
from include.pipeline.snapshot_stage import read_by
from include.snapshots import registry
from include.snapshots.manifest import Needs, SnapshotManifest, source_key
from include.snapshots.sample import missing, share_of
from include.snapshots.source import Source, public_url
from include.snapshots.store import Missing
from include.state.runs import RunRecord

AT_ONCE = 2
"""So many previews are drawn at once by one process of the pages; others are told to come back."""
SECONDS = 30
ROWS_SHOWN = 10
ROWS_AT_ONCE = 5_000_000
"""So many rows of a snapshot are read while somebody waits, to gather a sample: a few seconds."""
_REFUSED = {
    "filters": (
        "is personal: to preview what such a filter keeps needs the right to see personal data",
        "personal_filter",
    ),
    "order": (
        "is personal: to preview rows in its order needs the right to see personal data",
        "personal_order",
    ),
}
_free = threading.BoundedSemaphore(AT_ONCE)


class NothingToRead(LoyaltyError):
    """There is no snapshot for the preview; the message says why. Who wants one may have it made."""


class NotGathered(NothingToRead):
    """The snapshot is there, and so large that gathering a sample of it is no work for a request."""

    def __init__(self, run: RunRecord) -> None:
        self.run = run
        super().__init__("a sample of the newest snapshot has to be gathered first")


class Busy(Transient):
    """As many previews as may be are being drawn."""


@dataclass(frozen=True)
class ShownColumn:
    """A column as the file has it; `hidden`: the reader may not see its values."""

    name: str
    type: str
    personal: bool
    hidden: bool


@dataclass(frozen=True)
class ShownFile:
    """One file of the preview.

    rows: the texts of its first cells, None for null. beginning: how the file begins, where it is text. rows_count and
    bytes_count are of the file, compressed as it will be and before encryption, estimated unless `exact`; found_rows:
    the rows that were really seen.
    """

    export: str | None
    name: str
    columns: tuple[ShownColumn, ...]
    rows: tuple[tuple[str | None, ...], ...]
    beginning: str | None
    found_rows: int
    rows_count: int
    bytes_count: int
    exact: bool


@dataclass(frozen=True)
class Preview:
    """What was seen: of the snapshot read at `read_at`, one customer in `share` (1: all), as of `as_of`."""

    read_at: datetime
    share: int
    start: datetime | None
    end: datetime | None
    as_of: datetime
    files: tuple[ShownFile, ...]


def preview(context: Context, definition: ExportDefinition, *, personal: bool) -> Preview:
    """Return the preview of a definition that has passed all checks. personal: personal data may be shown in clear.

    Raises NothingToRead, NotGathered, Busy, BadInput for what the definition asks and the ledger has not, and
    Transient where it took too long.
    """
    if not personal:
        refuse_looking_for_people(definition)
    plain = unsealed(definition)
    secrets = secrets_of(context, plain)
    read = newest(context, plain)
    if read is None:
        raise NothingToRead("there is no snapshot of the ledger yet that holds what this export reads")
    run = _run(plain, read, read.read_at - settle_delay(context.settings, plain))
    if rows_to_gather(context, plain, read) > ROWS_AT_ONCE:
        raise NotGathered(run)
    with _slot():
        stage = "include.pipeline.previews.stage:draw"
        found: Preview = process.in_process(stage, context.settings, run, secrets, personal, progress=silent)
    return found


def refuse_looking_for_people(definition: ExportDefinition) -> None:
    """Raise BadInput for filters and orders by personal fields: which rows there are, and where, tells of them."""
    problems = [
        Problem(key, name, right, code)
        for part in definition.parts
        for key, names in personal_uses(part).items()
        for name in names
        for right, code in [_REFUSED[key]]
    ]
    if problems:
        raise BadInput(problems)


def rows_to_gather(context: Context, definition: ExportDefinition, read: SnapshotManifest) -> int:
    """Return how many rows must be read before there is a sample that a definition can be previewed on."""
    relations = read_by([definition])
    return missing(context.store, read, relations, share_of(read, relations))


def newest(context: Context, definition: ExportDefinition) -> SnapshotManifest | None:
    """Return the newest usable snapshot that holds what a definition reads, None without one; reads no ledger."""
    return newest_of(context, read_by([definition]))


def newest_of(context: Context, needed: Needs) -> SnapshotManifest | None:
    """Return the newest usable snapshot that holds these columns, None without one; reads no ledger."""
    source = Source.from_settings(context.settings)
    erased = context.state.erasures.digest()
    for row in context.state.snapshots.usable(source_key(public_url(source.url), source.mapping_sha256)):
        try:
            manifest = registry.read(context.store, row.manifest_key)
        except Missing:
            continue
        if manifest.erasures == erased and manifest.covers(needed):
            return manifest
    return None


def unsealed(definition: ExportDefinition) -> ExportDefinition:
    """Return the definition without encryption and signature: whoever previews has no key, and needs none."""
    open_file = {"file": definition.file.model_copy(update={"encryption": None})}
    parts = [
        part.model_copy(update={"file": part.file.model_copy(update={"encryption": None})})
        for part in definition.exports
    ]
    return definition.model_copy(update={**open_file, "exports": parts, "sign": None})


def _run(definition: ExportDefinition, read: SnapshotManifest, known: datetime) -> RunRecord:
    """Return the run that the preview is of: the last that the schedule had by then, else one at that moment.

    What would reach beyond what the snapshot knows ends there.
    """
    recurrence = definition.recurrence
    occurrence = known
    if recurrence is not None and not isinstance(definition.schedule, Once):
        occurrence = recurrence.previous_before(known, bounded=False) or known
    about_instants = all(model_of(part)[0].PERIOD == "none" for part in definition.parts)
    interval = None if about_instants and definition.period is None else interval_for(definition, occurrence)
    as_of = min(as_of_for(definition, occurrence), known)
    where = zone(definition.timezone)
    if interval is not None:
        interval = Interval(interval.start, as_of)
        if interval.start is not None and interval.start >= known:
            raise NothingToRead(
                f"its period begins on {interval.start.astimezone(where):%Y-%m-%d}, and the newest snapshot was read "
                f"on {read.read_at.astimezone(where):%Y-%m-%d}"
            )
    return RunRecord(
        run_key="0" * 64,
        definition_id=definition.id,
        definition_version=version(definition),
        definition=definition.document(),
        occurrence=occurrence,
        start=interval.start if interval else None,
        end=interval.end if interval else None,
        as_of=as_of,
        known_at=known,
        snapshot_id=read.id,
    )


@contextmanager
def _slot() -> Iterator[None]:
    if not _free.acquire(blocking=False):
        raise Busy(f"{AT_ONCE} previews are being drawn; please try again in a few seconds")
    try:
        yield
    finally:
        _free.release()
