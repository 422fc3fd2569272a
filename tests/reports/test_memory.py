"""Memory does not follow the rows of one account: five reports in one process, started as the command line does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from include.formats import artefact
from include.formats.options import FileOptions
from include.pipeline.process import in_process
from include.reports import balance, history, liability, lots, projection
from include.reports.engine.render import Job, render
from include.reports.model import Asked, LocalSnapshot
from include.sample import Plan, generate

pytestmark = pytest.mark.slow
ROWS = 600_000
# The numbers of the large account alone would take some 150 MiB more, as often as five reports ask for them.
LIMIT_MIB = 430
END = Plan().end_us
_MONTH_US = 30 * 86_400_000_000


def ledger(folder: Path, plan: Plan) -> LocalSnapshot:
    """Write a sample ledger as a snapshot."""
    folder.mkdir()
    writers: dict[str, pq.ParquetWriter] = {}
    for relation, batch in generate(plan):
        if relation not in writers:
            writers[relation] = pq.ParquetWriter(folder / f"{relation}.parquet", batch.schema)
        writers[relation].write_batch(batch)
    for writer in writers.values():
        writer.close()
    return LocalSnapshot(
        {name: [folder / f"{name}.parquet"] for name in writers},
        {name: tuple(writer.schema.names) for name, writer in writers.items()},
    )


def rendered(snapshot: LocalSnapshot, scratch: Path, *, progress: Any) -> int:
    """Render five reports here; return the peak of this process in MiB."""
    scratch.mkdir()
    jobs = []
    for module in (balance, history, lots, projection, liability):
        start = END - _MONTH_US if module is liability else None
        asked = Asked(start, END, END, 2**62, module.Options(), "UTC")
        columns, path = module.columns(asked.options), scratch / f"{module.KIND}.csv.gz"

        def sink(batches: Any, columns: Any = columns, path: Path = path) -> Any:
            return artefact.write(path, columns, batches, FileOptions(compression="gzip"))

        jobs.append(Job(module, asked, sink))
    assert all(written.rows for written in render(jobs, snapshot, scratch))
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) // 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for the peak")
def test_an_account_with_half_a_million_rows_takes_no_more_memory_than_a_partition(tmp_path):
    def peak(name: str, rows: int) -> int:
        of = ledger(tmp_path / name, Plan(customers=rows // 25, transactions=rows, whale=0.85))
        return in_process(f"{__name__}:rendered", of, tmp_path / f"{name}-files", progress=lambda *_: None)

    peak("small", 5_000)  # what is compiled here need not be compiled again
    found = peak("large", ROWS)
    assert found < LIMIT_MIB, f"the five reports took {found} MiB"
