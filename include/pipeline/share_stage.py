"""What `render_share` does in a process of its own, and how `render` joins the shares."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from include.connections import Secrets
from include.definitions.model import ExportDefinition
from include.formats.hashes import file_sha256
from include.pipeline.contents import prepare
from include.pipeline.context import Context, Progress, silent
from include.pipeline.local_files import local_snapshot
from include.pipeline.run_shares import FOLDER
from include.reports.engine.notes import Notes
from include.reports.engine.packed import pack, unpack
from include.reports.engine.partitions import Stretch
from include.reports.engine.render import Job, join, render_stretch
from include.reports.engine.shares import Seen
from include.reports.model import LocalSnapshot
from include.scratch import working_folder
from include.settings import Settings
from include.snapshots import registry
from include.snapshots.store import Missing
from include.state.identity import code_version
from include.state.runs import RunRecord

R = TypeVar("R")
LOG = logging.getLogger(__name__)


def make(
    settings: Settings, run: RunRecord, secrets: Secrets, number: int, count: int, *, progress: Progress
) -> dict[str, Any]:
    """Make a share of the run and put it into the store; runs in a process of its own."""
    context = Context(settings)
    definition = ExportDefinition.model_validate(run.definition)
    with working_folder(settings.scratch, f"share-{run.run_key[:24]}") as scratch:
        read = registry.load(context.store, context.state, run.snapshot_id or "")
        prepared = prepare(definition, run, scratch, secrets)
        snapshot = local_snapshot(context, read, prepared, scratch / "snapshot")
        path = scratch / "share.zip"
        jobs = [each.job() for each in prepared]
        render_stretch(
            jobs, snapshot, scratch, Stretch(number, count), partial(pack, path=path), progress=progress
        )
        sha256 = file_sha256(path)
        key = f"{FOLDER}/{run.run_key}/{number}-of-{count}-{sha256}.zip"
        registry.load(context.store, context.state, read.id)  # nobody in it was erased meanwhile
        context.store.put_new(key, path)
    return {"number": number, "count": count, "code": code_version(), "key": key, "sha256": sha256}


def joined(
    context: Context,
    jobs: Sequence[Job[R]],
    snapshot: LocalSnapshot,
    scratch: Path,
    shares: Sequence[Mapping[str, Any]],
    *,
    progress: Progress,
    notes: Notes,
) -> list[R]:
    """Return what jobs make of the run's shares. One that is gone, or not what it was, is made again, here."""

    def stretches(folder: Path) -> Iterator[Seen]:
        for done, share in enumerate(sorted(shares, key=lambda each: int(each["number"])), 1):
            own = folder / str(share["number"])
            own.mkdir()
            path = own / "share.zip"
            if not _fetched(context, share, path):
                LOG.warning("share %s of %s is made again", share["number"], share["count"])
                stretch = Stretch(share["number"], share["count"])
                render_stretch(jobs, snapshot, scratch, stretch, partial(pack, path=path), progress=silent)
            seen = unpack(path, own)
            path.unlink()
            yield seen
            progress("join", done, len(shares))

    return join(jobs, snapshot, scratch, stretches, notes=notes)


def _fetched(context: Context, share: Mapping[str, Any], path: Path) -> bool:
    """Bring a share here; say whether it is what was made, by this version of the product."""
    if share["code"] != code_version():
        return False
    try:
        context.store.get_to(share["key"], path)
    except Missing:
        return False
    return file_sha256(path) == str(share["sha256"])
