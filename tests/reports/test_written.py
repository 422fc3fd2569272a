"""Rows that travel between processes in files."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from include.reports.engine import shares
from include.reports.engine.shares import Written, read

ROWS = 40_000


def batch(number: int) -> pa.RecordBatch:
    numbers = np.arange(number * ROWS, (number + 1) * ROWS)
    return pa.record_batch({"row": numbers, "text": [f"{n:0200d}" for n in numbers]})


def test_an_account_that_is_larger_than_a_partition_is_in_several_files(tmp_path):
    """Its reader has one file of it in memory, and not all of it."""
    written = Written(tmp_path / "rows")
    for number in range(10):
        written.write(batch(number))
    paths = written.close()
    most = shares._FILE_BYTES + 2 * ROWS * 220
    assert len(paths) == 3
    assert all(path.stat().st_size < most for path in paths)
    assert pa.concat_arrays([each.column("row") for each in read(paths)]).to_pylist() == list(
        range(10 * ROWS)
    )
    assert not any(path.exists() for path in paths)


def test_what_is_small_is_in_one_file(tmp_path):
    written = Written(tmp_path / "rows")
    for number in range(2):
        written.write(batch(number).slice(0, 100))
    [path] = written.close()
    assert sum(len(each) for each in read([path])) == 200
