"""What the rows of an imported file are once read: their schema, and what is wrong with one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from include.errors import Problem

INSTANT = pa.timestamp("us", tz="UTC")
# A null says that the file says nothing of it.
ROWS = pa.schema([
    pa.field("row", pa.int64(), nullable=False),  # the header is row 1, as a spreadsheet counts
    pa.field("ok", pa.bool_(), nullable=False),  # False: the row has a problem, and its values are not to be used
    ("customer_id", pa.string()),
    ("email", pa.string()),  # as written, without blanks around it
    ("card_id", pa.string()),
    ("program", pa.string()),  # program_id, or the program's external id, as written
    ("subledger_id", pa.string()),
    ("points", pa.int64()),  # hundredths
    ("expected_points", pa.int64()),  # hundredths: what the balance was when the file was made
    ("activates_at", INSTANT),  # null: at once
    ("expires_at", INSTANT),  # null: never
    ("reason", pa.string()),
    ("birthday", pa.string()),  # MM/DD
])  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """How large a file may be once unpacked.

    ratio: how many times larger than its packed bytes a file may be, above 16 MiB; deflate reaches 1,032.
    """

    unpacked_bytes: int = 4 << 30
    ratio: int = 200
    record_bytes: int = 1 << 20


LIMITS = Limits()


@dataclass(frozen=True)
class RowProblem:
    """One thing that is wrong in one row. column: its header as written, empty where it is the whole row."""

    row: int
    column: str
    value: str
    right: str
    code: str

    def problem(self, name: str) -> Problem:
        """Return it as the problem of a file of this name."""
        place = f"{name}: row {self.row}" + (f", {self.column}" if self.column else "")
        return Problem(place, self.value, self.right, self.code)


@dataclass(frozen=True)
class RawProblem:
    """One thing that is wrong in the file's form. column: its place from 0, or None for the whole row."""

    row: int
    column: int | None
    value: str
    right: str
    code: str


@dataclass(frozen=True)
class Raw:
    """Some rows as texts: their numbers (int64), and one text column per header, '' where a cell is empty.

    Rows that `problems` names as a whole have empty cells.
    """

    rows: NDArray[np.int64]
    columns: list[pa.Array]
    problems: list[RawProblem] = field(default_factory=list)


@dataclass(frozen=True)
class Batch:
    """Some rows of the file in their order, schema ROWS, and what is wrong with those that are not ok."""

    rows: pa.RecordBatch
    problems: list[RowProblem]
