"""A layout: the exact column list of an existing system, made of the columns of one model.

A layout's file is named after its system and holds `LAYOUTS`; `voucherify.customer` is the layout `customer` of
`voucherify.py`. Columns keep types, so that every format writes them right; all headers are as the system has them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from include.definitions.split import Split
from include.errors import BadInput, Problem
from include.ledger.catalog import ARROW_TYPES, FieldType
from include.ledger.columns import Column

Make = Callable[[pa.RecordBatch], pa.Array]


@dataclass(frozen=True)
class LayoutColumn:
    """One column: its header and type, the model's columns that it reads, and how it is made of them.

    empty: the system has it, and a ledger says nothing of it.
    """

    header: str
    type: FieldType
    reads: tuple[str, ...]
    make: Make
    pii: bool = False
    empty: bool = False


@dataclass(frozen=True)
class Layout:
    """A named list of columns of one model.

    options: those that the model must have. default: the headers that a file has when no fields are named; empty,
    all of them. split: how large the system lets a file be, where the definition does not split it.
    """

    model: str
    made: tuple[LayoutColumn, ...]
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    default: tuple[str, ...] = ()
    split: Split | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return its columns in order; names are headers."""
        return tuple(Column(column.header, column.type, column.pii) for column in self.made)

    @property
    def reads(self) -> frozenset[str]:
        """Return the model's columns that it reads."""
        return frozenset(name for column in self.made for name in column.reads)

    def only(self, headers: frozenset[str]) -> Layout:
        """Return the layout with these of its columns, so that no other is read."""
        return replace(self, made=tuple(column for column in self.made if column.header in headers))

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return its columns for rows of the model (which go by name), under their headers."""
        arrays = [column.make(batch) for column in self.made]
        return pa.RecordBatch.from_arrays(arrays, names=[column.header for column in self.made])


def same(header: str, kind: FieldType, source: str | None = None, *, pii: bool = False) -> LayoutColumn:
    """Return a column that is a column of the model under another header (or the same)."""
    name = source or header
    return LayoutColumn(header, kind, (name,), lambda batch: batch.column(name), pii)


def empty(header: str, *, beside: str) -> LayoutColumn:
    """Return a column that the system has and a ledger says nothing of; `beside` is a column of the model."""
    kind = FieldType.TEXT
    return LayoutColumn(header, kind, (beside,), lambda batch: pa.nulls(len(batch), pa.string()), empty=True)


def made(
    header: str, kind: FieldType, reads: tuple[str, ...], make: Make, *, pii: bool = False
) -> LayoutColumn:
    """Return a column that is computed: `make` gives values of the type's physical type."""
    return LayoutColumn(header, kind, reads, lambda batch: make(batch).cast(ARROW_TYPES[kind]), pii)


def layouts() -> dict[str, Layout]:
    """Return all layouts by name, sorted."""
    files = Path(__file__).parent.glob("*.py")
    systems = sorted(file.stem for file in files if "\nLAYOUTS" in file.read_text("utf-8"))
    modules = {system: importlib.import_module(f"{__package__}.{system}") for system in systems}
    return {
        f"{system}.{name}": layout
        for system, module in modules.items()
        for name, layout in sorted(module.LAYOUTS.items())
    }


def load(name: str, *, where: str) -> Layout:
    """Return the layout of that name; raise BadInput that lists the known ones when there is none."""
    known = layouts()
    if name not in known:
        raise BadInput([Problem(where, name, f"known layouts are {', '.join(known)}", "unknown_layout")])
    return known[name]
