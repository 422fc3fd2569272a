"""XLSX: a workbook whose cells are typed, with exact numbers; more rows than a sheet holds go on on the next one.

What a spreadsheet cannot hold stays exact as a text: numbers of more than 15 digits, dates before March 1900.
An instant is a serial day in the options' zone, cut to a second or a millisecond. An empty text is
an empty cell, as a null is. A workbook of several contents is made by `write_workbook`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from pydantic import Field

from include.formats import artefact, hashes, sheet, sheet_reading
from include.formats.seekable import seekable
from include.formats.sheet import Sheet
from include.formats.sheet_cells import moment_of
from include.formats.totals import Totals
from include.formats.workbook import workbook
from include.ledger.catalog import FieldType
from include.ledger.columns import Column

KIND = "xlsx"
EXTENSION = ".xlsx"
MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class Options(sheet.Look):
    """How a workbook of one content looks."""

    sheet: str = Field("Export", min_length=1, max_length=31, description="Name of the sheet.")


def encode(columns: Sequence[Column], batches: Iterable[pa.RecordBatch], options: Options) -> Iterator[bytes]:
    """Yield the workbook. Raises BadInput naming row and column for what a cell cannot hold."""
    return workbook([Sheet(options.sheet, columns, batches, options)])


def write_workbook(path: Path, sheets: Sequence[Sheet]) -> list[artefact.Artefact]:
    """Write several contents into one workbook, each read once, in this order; return what is known of each.

    The path, sizes and hashes are the workbook's; rows and totals are each content's own. Raises as
    `artefact.write` does, and leaves nothing then.
    """
    totals = [Totals(one.columns) for one in sheets]
    watched = [
        one._replace(batches=total.watch(one.batches)) for one, total in zip(sheets, totals, strict=True)
    ]
    artefact.write_whole(path, workbook(watched))
    size, sha256 = path.stat().st_size, hashes.file_sha256(path)
    return [
        artefact.Artefact(
            path,
            total.rows,
            size,
            sha256,
            size,
            sha256,
            size,
            sha256,
            total.sums,
            total.id_column,
            total.id_hash_total,
        )
        for total in totals
    ]


def read(file: BinaryIO, columns: Sequence[Column], options: Options) -> Iterator[Sequence[str | None]]:
    """Yield the rows of all the sheets of this content, as they show (see `options.Format.read`)."""
    with seekable(file) as book:
        number = 0
        for name, rows in sheet_reading.sheets(book, options.sheet):
            if options.header:
                names = [column.name for column in columns]
                problem = sheet_reading.header_problem(next(rows, None), names)
                if problem:
                    raise ValueError(f"{name}: {problem}")
            for row in rows:
                number += 1
                if len(row) > len(columns):
                    raise ValueError(f"row {number} has {len(row)} cells instead of {len(columns)}")
                row.extend([None] * (len(columns) - len(row)))
                yield [_text(text, column, options) for text, column in zip(row, columns, strict=True)]


def _text(text: str | None, column: Column, options: Options) -> str | None:
    if text is None:
        return None
    if column.type is FieldType.BOOLEAN:
        return {"1": "true", "0": "false"}.get(text, text)
    if column.type in {FieldType.DATE, FieldType.INSTANT} and "-" not in text:  # else a text of ISO 8601
        moment = moment_of(text)
        if column.type is FieldType.DATE:
            return moment.date().isoformat()
        return moment.isoformat() + ("Z" if options.timezone == "UTC" else "")
    return text
