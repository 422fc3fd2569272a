"""A pack as one workbook: each export is a sheet, written when all have been rendered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from include.definitions.model import ExportDefinition
from include.formats import xlsx
from include.formats.manifest import file_entry
from include.formats.sheet import Sheet
from include.pipeline.contents import Prepared, Written, run_name
from include.state.runs import RunRecord


def workbook(
    definition: ExportDefinition, run: RunRecord, prepared: Sequence[Prepared], folder: Path
) -> list[Written]:
    """Write the workbook from the rows that wait in scratch; return a file for each sheet, all of one path."""
    path = folder / run_name(definition, run, xlsx.EXTENSION)
    sheets = []
    for each in prepared:
        options = each.file.format_options()
        assert isinstance(options, xlsx.Options)
        sheets.append(Sheet(options.sheet, each.protect.columns, each.waiting.batches(), options))
    made = xlsx.write_workbook(path, sheets)
    return [
        Written(path, file_entry(artefact, each.protect.columns, each.file, export=each.export))
        for artefact, each in zip(made, prepared, strict=True)
    ]
