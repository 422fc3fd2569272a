"""Reading a large file: `python -m tests.imports.peak ROWS [keep]` prints peak MiB and processor seconds.

A row is 35 bytes: an id, an empty address, points, a reason in quotes. keep: rows that stand twice are not looked for.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from include.imports import reading
from tests.formats.peak import peak_mib
from tests.imports.opened import NOW

_STEP = 100_000


def write(path: Path, count: int) -> None:
    with path.open("w") as out:
        out.write("customer_id,Email,Points,Reason\n")
        for start in range(0, count, _STEP):
            rows = range(start, min(start + _STEP, count))
            out.write("".join(f'cust-{i:09d},,{i % 5000}.{i % 100:02d},"Moved, {i % 7}"\n' for i in rows))


def main(count: int, *, keep: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "received"
        write(path, count)
        begun, rows = time.process_time(), 0
        with reading.open_file(path, name="p.csv", mode="add", now=NOW, keep_repeats=keep) as file:
            for batch in file.batches():
                rows += batch.rows.num_rows
                assert not batch.problems
    assert rows == count
    print(peak_mib(), round(time.process_time() - begun, 1))


if __name__ == "__main__":
    main(int(sys.argv[1]), keep="keep" in sys.argv[2:])
