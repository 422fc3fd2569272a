"""Which checkpoint a pass begins from, and which it leaves (docs/scale.md, Checkpoints).

A pass begins from one when all of its reports can, and are of one cut. Every `checkpoint_every` it is replayed in full
all the same, and compared with what the checkpoint gives.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from include.formats.hashes import file_sha256
from include.ledger.catalog import BOOKING_COLUMNS
from include.pipeline.contents import Prepared
from include.pipeline.context import Context
from include.reports.engine import checkpoint as engine
from include.reports.engine import figures
from include.reports.engine.render import Job, render
from include.reports.model import Asked, Cut, LocalSnapshot, ReportModule
from include.snapshots import checkpoints, registry
from include.snapshots.checkpoints import Checkpoint
from include.snapshots.local import Damaged, fetched
from include.snapshots.manifest import SnapshotManifest
from include.snapshots.store import Missing
from include.state.identity import code_version

LOG = logging.getLogger(__name__)
# Where more accounts changed, or more rows are in files that the snapshots do not share, a full replay is no slower.
_MOST_CHANGED = 0.5
# Of rows that are compared, hashes are in memory: 16 bytes a row, and as much to sort them.
_MOST_COMPARED = 5_000_000
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Plan:
    """What a pass does about checkpoints. base: to begin from; None: a full replay.

    full_at: T of the last full replay. compared: where a full replay is due, what it is compared with.
    """

    asked: Asked
    base: engine.Base | None
    full_at: int
    compared: engine.Base | None
    folder: Path

    def job(self, name: str = "kept") -> Job[None]:
        """Return the job that writes the figures into scratch."""

        def sink(batches: Iterator[pa.RecordBatch]) -> None:
            figures.write(self.path(name), batches)

        return Job(cast("ReportModule", figures.FiguresModule()), self.asked, sink)

    def path(self, name: str = "kept") -> Path:
        """Return the file that the job writes."""
        return self.folder / f"figures-{name}.parquet"


def plan(
    context: Context,
    read: SnapshotManifest,
    prepared: Sequence[Prepared],
    snapshot: LocalSnapshot,
    folder: Path,
) -> Plan | None:
    """Return what to do about checkpoints in a pass; None where nothing. folder: has the snapshot's local files."""
    able = [each for each in prepared if _since(each) is not None]
    if not context.settings.checkpoint_every or not able or "transactions" not in read.relations:
        return None
    asked = able[0].asked
    if asked.known_at < asked.as_of:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    full = Plan(asked, None, asked.as_of, None, folder)
    found = _newest(context, read, asked)
    if found is None:
        return full
    earlier, checkpoint = found
    is_due = checkpoints.is_due(checkpoint, asked.as_of, context.settings.checkpoint_every)
    if not (is_due or all(_begins(each, asked.cut, checkpoint) for each in prepared)):
        return full
    base = _base(context, earlier, read, checkpoint, asked, snapshot, folder)
    if base is None or is_due:
        return replace(full, compared=base)
    return replace(full, base=base, full_at=checkpoint.full_at)


def keep(
    context: Context, read: SnapshotManifest, done: Plan, snapshot: LocalSnapshot, scratch: Path
) -> None:
    """Keep the figures of a pass as a checkpoint; compare them first, where that is due."""
    if done.compared is not None:
        render([done.job("compared")], snapshot, scratch, base=done.compared)
        if file_sha256(done.path()) != file_sha256(done.path("compared")):
            _differs(context, read, done)
    registry.load(context.store, context.state, read.id)  # nobody in it was erased meanwhile
    made = checkpoints.put(
        context.store,
        read,
        done.path(),
        as_of=done.asked.as_of,
        known_at=done.asked.known_at,
        full_at=done.full_at,
        rows=int(pq.read_metadata(done.path()).num_rows),
        code_version=code_version(),
    )
    try:
        registry.load(context.store, context.state, read.id)
    except Missing:
        checkpoints.remove(context.store, made)
        raise
    _remove_old(context, read, done.asked.as_of - context.settings.checkpoint_every // _MICROSECOND)


def _since(prepared: Prepared) -> int | None:
    """Return how far back a checkpoint may lie that an export is made from; None where it is made from none."""
    model: Any = prepared.model
    if hasattr(model, "of_figures") and model.of_figures(prepared.asked.options):
        return prepared.asked.as_of
    return model.of_changes(prepared.asked) if hasattr(model, "of_changes") else None


def _begins(prepared: Prepared, cut: Cut, checkpoint: Checkpoint) -> bool:
    """Say whether an export can be made at this cut from a checkpoint."""
    since = _since(prepared)
    return since is not None and since >= checkpoint.as_of and prepared.asked.cut == cut


def _newest(
    context: Context, read: SnapshotManifest, asked: Asked
) -> tuple[SnapshotManifest, Checkpoint] | None:
    """Return the newest checkpoint to begin from, and its snapshot."""
    for manifest in _snapshots(context, read):
        fit = [
            each
            for each in checkpoints.of(context.store, manifest)
            if each.code_version == code_version()
            and each.as_of <= asked.as_of
            and each.known_at <= asked.known_at
        ]
        if fit:
            return manifest, max(fit, key=lambda each: (each.as_of, each.known_at))
    return None


def _snapshots(context: Context, read: SnapshotManifest) -> Iterator[SnapshotManifest]:
    """Yield the usable snapshots of the same ledger, without the same people, the newest first."""
    for row in context.state.snapshots.usable(read.source_key):
        try:
            manifest = registry.read(context.store, row.manifest_key)
        except Missing:
            continue
        if manifest.erasures == read.erasures and "transactions" in manifest.relations:
            yield manifest


def _base(
    context: Context,
    earlier: SnapshotManifest,
    read: SnapshotManifest,
    checkpoint: Checkpoint,
    asked: Asked,
    snapshot: LocalSnapshot,
    folder: Path,
) -> engine.Base | None:
    """Return the checkpoint with the accounts that changed since; None where it is bad, or a full replay as quick."""
    before, now = earlier.relations["transactions"], read.relations["transactions"]
    if any((name in before.columns) != (name in now.columns) for name in BOOKING_COLUMNS):
        return None
    old, new = ({file.key: file for file in relation.files} for relation in (before, now))
    differing = [old.get(key) or new[key] for key in old.keys() ^ new.keys()]
    if sum(file.rows for file in differing) > min(_MOST_CHANGED * now.rows, _MOST_COMPARED):
        return None
    kept = Asked(None, None, checkpoint.as_of, checkpoint.known_at, asked.options, "UTC").cut
    here = {context.store.path(key) or folder / key: key for key in new}
    there = {path: here[path] in old for path in snapshot.files["transactions"]}
    try:
        path = checkpoints.bring(context.store, checkpoint, folder)
        changed = engine.changed(
            path,
            kept,
            asked.cut,
            shared=[each for each, is_shared in there.items() if is_shared],
            gone=[fetched(context.store, file, folder) for key, file in old.items() if key not in new],
            new=[each for each, is_shared in there.items() if not is_shared],
        )
    except (Damaged, FileNotFoundError) as error:  # retention may be at work
        LOG.warning("%s; the ledger is replayed in full", error)
        checkpoints.remove(context.store, checkpoint)
        return None
    base = engine.Base(path, changed)
    LOG.info("begun from the figures of T %s: %s accounts changed", checkpoint.as_of, changed.size)
    return base if base.share <= _MOST_CHANGED else None


def _differs(context: Context, read: SnapshotManifest, done: Plan) -> None:
    """Tell that a checkpoint gives other figures than a full replay; none of the ledger's is used any more."""
    pairs = zip_longest(figures.read(done.path()), figures.read(done.path("compared")))
    accounts = sum(
        one != other
        for full, kept in pairs
        for one, other in zip_longest(full.to_pylist() if full else (), kept.to_pylist() if kept else ())
    )
    LOG.error(
        "snapshot %s: figures of %s accounts that began from a checkpoint differ from a full replay, which is what is "
        "delivered; all checkpoints are removed",
        read.id,
        accounts,
    )
    for manifest in _snapshots(context, read):
        checkpoints.remove_all(context.store, manifest)
    context.state.snapshots.checkpoint_differs(read.id, accounts)


def _remove_old(context: Context, read: SnapshotManifest, before: int) -> None:
    """Remove checkpoints that nothing will begin from any more."""
    for manifest in _snapshots(context, read):
        for each in list(checkpoints.of(context.store, manifest)):
            if each.as_of < before:
                checkpoints.remove(context.store, each)
