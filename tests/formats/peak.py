"""Peak memory of writing a few rows, then of many: `python -m tests.formats.peak KIND FEW MANY [rows|bytes|field]`.

Prints in MiB how much higher it is after the many.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.definitions.split import Split
from include.formats import artefact
from include.formats.options import FileOptions
from include.formats.splitting import split
from include.ledger.catalog import FieldType
from include.ledger.columns import Column

COLUMNS = [
    Column("id", FieldType.ID),
    Column("customer", FieldType.ID),
    Column("type", FieldType.ENUM),
    Column("points", FieldType.POINTS),
    Column("at", FieldType.INSTANT),
]
TYPES = pa.array(["earned", "redeemed", "expired", "reversed"])


def batches(count: int, size: int = 15_000):
    """Rows like those of a ledger, in batches made as they are asked for."""
    for start in range(0, count, size):
        rng = np.random.default_rng(start)
        rows = min(size, count - start)
        at = 1_700_000_000_000_000 + np.arange(start, start + rows) * 1_000_000
        yield pa.record_batch(
            [
                _ids("txn_", np.arange(start, start + rows)),
                _ids("cus_", rng.integers(0, 500_000, rows)),
                pa.DictionaryArray.from_arrays(pa.array(rng.integers(0, 4, rows), pa.int32()), TYPES),
                pa.array(rng.integers(-100_000, 100_000, rows)),
                pa.array(at).cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC")),
            ],
            names=[column.name for column in COLUMNS],
        )


def _ids(prefix: str, numbers: np.ndarray) -> pa.Array:
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 12, "0")
    return pc.binary_join_element_wise(prefix, digits, "")


def peak_mib() -> int:
    """The peak of this program: ru_maxrss would begin with that of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


SPLITS = {"rows": Split(rows=150_000), "bytes": Split(bytes=10_000_000), "field": Split(field="type")}


def write(folder: Path, file: FileOptions, rows, how: str = "") -> None:
    """Write the rows into one file, or split them."""
    parts = split(rows, COLUMNS, SPLITS[how], file, folder) if how else [("x", rows)]
    for label, some in parts:
        artefact.write(folder / f"{label}{file.extension}", COLUMNS, some, file)


if __name__ == "__main__":
    kind, few, many, *how = sys.argv[1:]
    peaks = []
    for number in (few, many):
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), FileOptions(format=kind), batches(int(number)), *how)
        peaks.append(peak_mib())
    print(peaks[1] - peaks[0])
