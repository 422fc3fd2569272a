"""A file to begin with, for each mode: its columns and some rows of members that do not exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
from pydantic import BaseModel

from include.formats import csv, xlsx
from include.imports import modes
from include.ledger.catalog import FieldType
from include.ledger.columns import Column


@dataclass(frozen=True)
class Template:
    """A file to download."""

    name: str
    media_type: str
    content: bytes


def template(mode: str, kind: Literal["csv", "xlsx"] = "csv") -> Template:
    """Return the template of a mode. Every cell of a workbook is a text, so that nothing becomes a date."""
    chosen = modes.load(mode)
    names, *rows = chosen.example
    columns = tuple(Column(name, FieldType.TEXT) for name in names)
    arrays = [pa.array(cells, pa.string()) for cells in zip(*rows, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, names=list(names))
    form = csv if kind == "csv" else xlsx
    # Numbers are texts here, which the profile for people would take for formulas where they begin with a sign.
    options: BaseModel = csv.Options(profile="machine") if kind == "csv" else xlsx.Options(sheet=chosen.title)
    content = b"".join(form.encode(columns, [batch], options))
    return Template(f"import-{mode}{form.EXTENSION}", form.MEDIA_TYPE, content)
