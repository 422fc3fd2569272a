"""Peak memory of writing a file: `python -m tests.formats.peak KIND ROWS [rows|bytes|field]` prints it in MiB."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

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
                pa.array([f"txn_{number:012}" for number in range(start, start + rows)]),
                pa.array([f"cus_{number:08}" for number in rng.integers(0, 500_000, rows)]),
                pa.DictionaryArray.from_arrays(pa.array(rng.integers(0, 4, rows), pa.int32()), TYPES),
                pa.array(rng.integers(-100_000, 100_000, rows)),
                pa.array(at).cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC")),
            ],
            names=[column.name for column in COLUMNS],
        )


def peak_mib() -> int:
    """The peak of this program: ru_maxrss would begin with that of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


SPLITS = {"rows": Split(rows=150_000), "bytes": Split(bytes=20_000_000), "field": Split(field="type")}


def write(folder: Path, file: FileOptions, rows, how: str = "") -> None:
    """Write the rows into one file, or split them."""
    parts = split(rows, COLUMNS, SPLITS[how], file, folder) if how else [("x", rows)]
    for label, some in parts:
        artefact.write(folder / f"{label}{file.extension}", COLUMNS, some, file)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), FileOptions(format=sys.argv[1]), batches(int(sys.argv[2])), *sys.argv[3:])
    print(peak_mib())
