"""Writing each format side by side with the fastest library that does the same: ratios of processor time, peak memory.

    python -m tests.benchmarks.formats --rows 2000000 --sheet-rows 200000

Every side runs in a process of its own on the same rows in memory (ids, a dictionary, points, money, an instant, a
text), made before the clock starts. DuckDB's COPY gets the points as decimals, as it would find them in a table, and
keeps the order of the rows, as ours does. Both sides write one uncompressed file (Parquet: zstd), with as many threads
as there are processors. `ratio` is ours divided by theirs: below 1 ours needs less.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from tests.formats.peak import peak_mib

COLUMNS = [
    Column("id", FieldType.ID),
    Column("customer", FieldType.ID),
    Column("type", FieldType.ENUM),
    Column("points", FieldType.POINTS),
    Column("value", FieldType.MONEY),
    Column("at", FieldType.INSTANT),
    Column("note", FieldType.TEXT),
]
NAMES = [column.name for column in COLUMNS]
TYPES = pa.array(["earned", "redeemed", "expired", "reversed"])
BATCH_ROWS = 15_000  # as a report hands them over


def rows(count: int) -> pa.Table:
    """The same rows for every side, with points as decimals."""
    rng = np.random.default_rng(1)
    number = np.arange(count)
    cents = rng.integers(-100_000, 100_000, count)
    return pa.table(
        {
            "id": pa.array(np.char.add("txn_", np.char.zfill(number.astype(str), 12))),
            "customer": pa.array(np.char.add("cus_", np.char.zfill(rng.integers(0, 500_000, count).astype(str), 8))),
            "type": pa.DictionaryArray.from_arrays(pa.array(rng.integers(0, 4, count), pa.int32()), TYPES),
            "points": pa.array(cents).view(pa.decimal64(18, 2)).cast(pa.decimal128(18, 2)),
            "value": pa.array(cents * 37).view(pa.decimal64(18, 4)).cast(pa.decimal128(18, 4)),
            "at": pa.array(1_700_000_000_000_000 + number * 1_000_000).cast(pa.timestamp("us", tz="UTC")),
            "note": pa.array(np.char.add("order ", rng.integers(0, 10**6, count).astype(str))),
        }
    )  # fmt: skip


def batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    """The rows as our formats take them: points as hundredths."""
    points = pa.chunked_array(
        [chunk.cast(pa.decimal64(18, 2)).view(pa.int64()) for chunk in table["points"].chunks]
    )
    yield from table.set_column(3, "points", points).to_batches(BATCH_ROWS)


def ours(kind: str) -> Callable[[list[pa.RecordBatch], Path], None]:
    """What `artefact.write` does but for hashes and totals, which no other side makes."""
    from include.formats import artefact
    from include.formats.options import FileOptions

    file = FileOptions(format=kind)
    module, options = file.kind(), file.format_options()
    b"".join(
        module.encode(COLUMNS, batches(rows(10)), options)
    )  # compiled code is loaded before the clock starts
    return lambda given, path: artefact.write_whole(path, module.encode(COLUMNS, given, options))


def duckdb_copy(select: str, options: str) -> Callable[[pa.Table, Path], None]:
    import duckdb

    def write(table: pa.Table, path: Path) -> None:
        with duckdb.connect() as engine:
            engine.register("source", table)
            engine.execute(f"copy (select {select} from source) to '{path}' ({options})")

    return write


def xml_by_duckdb() -> Callable[[pa.Table, Path], None]:
    """One text a row, put together by the engine: what facts of this project name as the fastest way."""
    cells = " || ".join(
        f"'<{name}>' || replace(replace(replace(\"{name}\"::varchar, '&', '&amp;'), '<', '&lt;'), '>', '&gt;') || '</{name}>'"
        if name in {"id", "customer", "type", "note"}
        else f"'<{name}>' || \"{name}\"::varchar || '</{name}>'"
        for name in NAMES
    )
    return duckdb_copy(
        f"'<row>' || {cells} || '</row>'", "format csv, header false, quote '', escape '', delimiter '\x01'"
    )


def polars_ndjson() -> Callable[[pa.Table, Path], None]:
    import polars as pl

    return lambda table, path: pl.from_arrow(table).lazy().sink_ndjson(path)


def rust_xlsx() -> Callable[[pa.Table, Path], None]:
    from rustpy_xlsxwriter import write_worksheet

    def write(table: pa.Table, path: Path) -> None:
        frame = table.set_column(3, "points", table["points"].cast(pa.float64()))
        frame = frame.set_column(4, "value", frame["value"].cast(pa.float64()))
        naive = frame["at"].cast(pa.timestamp("us"))
        write_worksheet(frame.set_column(5, "at", naive).to_pylist(), str(path))

    return write


def constant_memory_xlsx() -> Callable[[pa.Table, Path], None]:
    import xlsxwriter

    def write(table: pa.Table, path: Path) -> None:
        with xlsxwriter.Workbook(path, {"constant_memory": True, "remove_timezone": True}) as book:
            sheet, stamp = book.add_worksheet(), book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
            sheet.write_row(0, 0, NAMES)
            for number, row in enumerate(
                zip(*(column.to_pylist() for column in table.columns), strict=True), 1
            ):
                for place, value in enumerate(row):
                    if place == 5:
                        sheet.write_datetime(number, place, value, stamp)
                    else:
                        sheet.write(number, place, value)

    return write


SIDES: dict[str, dict[str, Callable[[], Callable[[Any, Path], None]]]] = {
    "csv": {"duckdb COPY": lambda: duckdb_copy("*", "format csv, header")},
    "parquet": {"duckdb COPY": lambda: duckdb_copy("*", "format parquet, compression zstd")},
    "json": {
        "duckdb COPY": lambda: duckdb_copy("*", "format json, array true"),
        "polars ndjson": polars_ndjson,
    },
    "xml": {"duckdb concat": xml_by_duckdb},
    "xlsx": {"rustpy-xlsxwriter": rust_xlsx, "xlsxwriter constant_memory": constant_memory_xlsx},
}


def run_side(kind: str, side: str, count: int) -> None:
    """Write once here; print what it took. Memory is that beyond the rows themselves."""
    table = rows(count)
    write = ours(kind) if side == "ours" else SIDES[kind][side]()
    given: Any = list(batches(table)) if side == "ours" else table
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x.{kind}"
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = peak_mib()
        begin, cpu = time.perf_counter(), time.process_time()
        write(given, path)
        took, used = time.perf_counter() - begin, time.process_time() - cpu
        size = path.stat().st_size
    print(json.dumps({"cpu": used, "seconds": took, "more_mib": peak_mib() - before, "mb": size / 1e6}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--sheet-rows", type=int, default=200_000, help="rows of the workbook")
    parser.add_argument("--kind", choices=SIDES, action="append")
    parser.add_argument("--side", nargs=2, metavar=("KIND", "SIDE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        run_side(*arguments.side, arguments.rows)
        return
    print(f"{'format':8}{'side':30}{'rows':>11}{'cpu s':>8}{'wall s':>8}{'MB':>8}{'+MiB':>7}{'ratio':>7}")
    for kind in arguments.kind or SIDES:
        count = arguments.sheet_rows if kind == "xlsx" else arguments.rows
        found = {side: measured(kind, side, count) for side in ("ours", *SIDES[kind])}
        for side, one in found.items():
            ratio = "" if side == "ours" else f"{found['ours']['cpu'] / one['cpu']:.2f}"
            print(
                f"{kind:8}{side:30}{count:>11,}{one['cpu']:>8.2f}{one['seconds']:>8.2f}{one['mb']:>8.1f}"
                f"{one['more_mib']:>7.0f}{ratio:>7}",
                flush=True,
            )


def measured(kind: str, side: str, count: int) -> dict[str, float]:
    """What one side took, in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.formats", "--rows", str(count), "--side", kind, side]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    main()
