"""The snapshot that a run reads, on this machine."""

from __future__ import annotations

from pathlib import Path

from include.pipeline.contents import Prepared
from include.pipeline.context import Context
from include.reports import models
from include.reports.model import LocalSnapshot
from include.snapshots.local import local
from include.snapshots.manifest import SnapshotManifest
from include.state.tables import instant


def local_snapshot(
    context: Context, read: SnapshotManifest, prepared: list[Prepared], folder: Path
) -> LocalSnapshot:
    """Bring the relations that the run reads to this machine, without files that nobody looks into."""
    spans = models.spans((each.model, each.asked) for each in prepared)
    files: dict[str, list[Path]] = {}
    for span in set(spans.values()):
        since, before = (None if moment is None else instant(moment) for moment in span)
        names = [name for name, its_own in spans.items() if its_own == span]
        files |= local(context.store, read, names, folder, since=since, before=before, state=context.state)
    return LocalSnapshot(files, read.columns())
