"""Finished runs whose files and manifest lie in the store, written by the formats themselves, without a ledger."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from include.formats import artefact
from include.formats.manifest import Origin, file_entry, manifest_of, write_manifest
from include.formats.options import FileOptions
from include.ledger.columns import Column
from include.ledger.fields import FieldType
from include.pipeline import Context
from include.pipeline.artefacts import entries
from include.state.runs import RunRecord, RunStatus

DAY = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = (
    Column("program_id", FieldType.ID),
    Column("customer_id", FieldType.ID),
    Column("points", FieldType.POINTS),
)
PLAIN = FileOptions(compression="none")
Row = tuple[str, str, int]


def finished(
    context: Context,
    document: dict[str, Any],
    rows: dict[str | None, Sequence[Row]],
    *,
    day: int = 0,
    revision: int = 0,
    file: FileOptions = PLAIN,
    secrets: Any = None,
) -> RunRecord:
    """A run of a definition as of midnight of a day, with a file for each export; points are hundredths."""
    instant = DAY + timedelta(days=day)
    run = context.state.runs.pin(
        RunRecord(
            definition_id=document["id"],
            definition_version="v" * 64,
            definition=document,
            as_of=instant,
            known_at=instant + timedelta(days=revision),
            revision=revision,
        )
    )
    with tempfile.TemporaryDirectory() as name:
        folder, files = Path(name), []
        for export, some in rows.items():
            arrays = [pa.array([row[at] for row in some], kind) for at, kind in enumerate(_TYPES)]
            batch = pa.RecordBatch.from_arrays(arrays, names=[column.name for column in COLUMNS])
            path = folder / f"{export or document['id']}_{instant:%Y-%m-%d}_{revision}{file.extension}"
            made = artefact.write(path, COLUMNS, [batch], file, secrets)
            files.append(file_entry(made, COLUMNS, file, export=export))
        origin = Origin(
            export_id=document["id"],
            definition_version="v" * 64,
            run_key=run.run_key,
            snapshot_id="s",
            code_version="c",
        )
        manifest = manifest_of(files, origin, sequence=1, previous=None, name=files[0].name)
        write_manifest(folder, manifest)
        kept = entries(run, manifest)
        for each in kept:
            context.store.put_new(each["key"], folder / each["name"])
    context.state.runs.pin_artefacts(run.run_key, kept)
    return context.state.runs.finish(run.run_key, RunStatus.DONE, {"status": "done", "deliveries": {}})


_TYPES = (pa.string(), pa.string(), pa.int64())
