"""Several small reports of one period as one answer: one snapshot, one process, one pass over the ledger for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from include.connections import Secrets
from include.definitions.load import from_document
from include.definitions.model import ExportDefinition, version
from include.formats.styles import plain
from include.pipeline import process
from include.pipeline.answers.report import FILLED, WHERE, Question, place, run_of, young_snapshot
from include.pipeline.checks import check
from include.pipeline.contents import Prepared, prepare
from include.pipeline.context import Context, Progress, silent
from include.pipeline.local_files import local_snapshot
from include.reports.engine.render import Job, render
from include.scratch import working_folder
from include.settings import Settings
from include.snapshots import registry
from include.snapshots.local import Damaged
from include.snapshots.store import Missing
from include.state.audit import Action
from include.state.runs import RunRecord

_FOLDER = "answers"
_MAKE = "include.pipeline.answers.together:make"
_ATTEMPTS = 2
Row = dict[str, Any]


@dataclass(frozen=True)
class Together:
    """The rows of each model, of the ledger as it was read at `read_at`, until `as_of`; points are hundredths."""

    read_at: datetime
    as_of: datetime
    rows: dict[str, list[Row]]


def answered_together(
    context: Context, models: Mapping[str, Mapping[str, Any]], *, end: datetime, by: str
) -> Together:
    """Return all rows until `end` of models whose rows are few, none of them personal; they are held in memory.

    models: the options of each. Raises what `answers.answered` does.
    """
    definition = _definition(models)
    for attempt in range(_ATTEMPTS):
        with working_folder(context.settings.scratch, _FOLDER) as folder, place():
            read = young_snapshot(context, definition)
            run = run_of(Question(definition, end=end), read)
            try:
                rows = process.in_process(_MAKE, context.settings, run, folder, progress=silent)
            except (Damaged, Missing):
                # It is out of use now; there is another, or it is made.
                if attempt + 1 == _ATTEMPTS:
                    raise
                continue
        detail = {"model": ", ".join(models), "as_of": run.as_of, "rows": sum(map(len, rows.values()))}
        context.state.audit.write(by, Action.REPORT_READ, version(definition), detail)
        return Together(read.read_at, run.as_of, rows)
    raise AssertionError("the last attempt returns or raises")


def _definition(models: Mapping[str, Mapping[str, Any]]) -> ExportDefinition:
    parts = [
        {
            "id": model.replace("_", "-"),
            "model": model,
            "options": dict(options),
            "file": {"compression": "none"},
        }
        for model, options in models.items()
    ]
    document = {**FILLED, "timezone": "UTC", "period": "all_time", "exports": parts}
    return from_document(document, where=WHERE, check=check)


def make(settings: Settings, run: RunRecord, folder: Path, *, progress: Progress) -> dict[str, list[Row]]:
    """Return the rows of each model of a run that nobody will record; runs in a process of its own."""
    context = Context(settings)
    definition = ExportDefinition.model_validate(run.definition)
    read = registry.load(context.store, context.state, run.snapshot_id or "")
    prepared = prepare(definition, run, folder, Secrets())
    snapshot = local_snapshot(context, read, prepared, folder / "snapshot")
    jobs = [Job(each.model, each.asked, _Rows(each)) for each in prepared]
    rows = render(jobs, snapshot, folder, progress=progress)
    registry.load(context.store, context.state, read.id)  # nobody in it was erased meanwhile
    return {each.part.model: found for each, found in zip(prepared, rows, strict=True)}


class _Rows:
    """A sink that keeps the rows."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> list[Row]:
        rows: list[Row] = []
        for batch in map(self._prepared.protect, self._prepared.shape.apply(batches)):
            columns = [plain(array) for array in batch.columns]
            rows += pa.RecordBatch.from_arrays(columns, names=batch.schema.names).to_pylist()
        return rows
