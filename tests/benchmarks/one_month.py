"""One month of a large ledger as an export of `transactions`: how much is read for it, and how much for everything.

    python -m tests.benchmarks.one_month --rows 10000000

The sample ledger goes straight into a snapshot, as an extract would write it. Then the run's two readings are
measured by the kernel (bytes that the process read): what `local` fetches and hashes, and what the model reads.
The month is asked for as the period and by a filter, in the store's own folder and in one whose files must be
copied.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.definitions.filters import Filter
from include.ledger.catalog import RELATIONS
from include.reports import models
from include.reports.engine.render import Job, render
from include.reports.model import Asked, LocalSnapshot
from include.sample import Plan, generate
from include.snapshots.local import local
from include.snapshots.manifest import SnapshotManifest, SnapshotTotals
from include.snapshots.parquet import RelationFiles
from include.snapshots.store import Store
from include.state.tables import instant, microseconds

START, END = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
ALL_OF_IT = datetime(2026, 7, 1, tzinfo=UTC)
# What is promised, and from which size on: a file holds a quarter of a million rows.
SHARE, LARGE = 0.10, 10_000_000
MONTH = Filter.model_validate([
    {"field": "created_at", "after": "2026-04-30T23:59:59.999999Z", "before": "2026-06-01T00:00:00Z"},
])  # fmt: skip


class Remote(Store):
    """A store whose objects are no local files, as in a bucket."""

    def path(self, key: str) -> None:  # type: ignore[override]
        """Return None: a file must be copied to be read."""
        del key


def written(rows: int, folder: Path) -> SnapshotManifest:
    """Write a sample of that many transactions as a snapshot's files."""
    store = Store(f"file://{folder / 'store'}")
    names = RELATIONS["transactions"].names
    scratch = folder / "scratch"
    scratch.mkdir()
    files = RelationFiles("transactions", names, store=store, folder="transactions", scratch=scratch)
    for relation, batch in generate(Plan(customers=max(10, rows // 50), transactions=rows)):
        if relation == "transactions":
            files.write(batch)
    return SnapshotManifest(
        id="sample", source="sample", source_key="sample", mapping_hash=None, generation=1, attempt="one",
        read_at=ALL_OF_IT, oldest_open_transaction=None, has_recorded_at=True,
        relations={"transactions": files.close()}, totals=SnapshotTotals(), code_version="",
    )  # fmt: skip


def read_bytes() -> int:
    """Return how many bytes this process has read so far, from any file."""
    for line in Path("/proc/self/io").read_text().splitlines():
        if line.startswith("rchar:"):
            return int(line.split()[1])
    raise RuntimeError("the kernel does not count what is read")


def measured(
    store: Store,
    manifest: SnapshotManifest,
    folder: Path,
    start: datetime | None,
    end: datetime,
    keep: Filter | None = None,
) -> dict[str, Any]:
    """Fetch and read what an export of `transactions` needs; return rows, bytes and CPU seconds."""
    model = models.load("transactions", where="benchmark")
    begin, until = None if start is None else microseconds(start), microseconds(end)
    ends = None if begin is None else until
    asked = Asked(begin, ends, until, 2**62, model.Options(), "UTC", keep=keep)
    before, cpu = read_bytes(), time.process_time()
    low, high = models.spans([(model, asked)])["transactions"]
    bounds = {
        "since": None if low is None else instant(low),
        "before": None if high is None else instant(high),
    }
    files = local(store, manifest, ["transactions"], folder / "local", **bounds)
    (folder / "render").mkdir()
    job = Job(model, asked, lambda batches: sum(map(len, batches)))
    [rows] = render([job], LocalSnapshot(files, manifest.columns()), folder / "render")
    return {
        "rows": rows,
        "bytes": read_bytes() - before,
        "cpu": round(time.process_time() - cpu, 2),
        "files": len(files["transactions"]),
    }


def main() -> None:
    """Measure and print; fail where a month costs more than a tenth of everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="one-month-") as name:
        manifest = written(rows, Path(name))
        url = f"file://{Path(name) / 'store'}"
        for kind, store in (("folder", Store(url)), ("bucket", Remote(url))):
            found = {}
            for what, start, end, keep in (
                ("period", START, END, None),
                ("filter", None, ALL_OF_IT, MONTH),
                ("all", None, ALL_OF_IT, None),
            ):
                folder = Path(name) / f"{kind}-{what}"
                folder.mkdir()
                found[what] = measured(store, manifest, folder, start, end, keep)
            most = max(found["period"]["bytes"], found["filter"]["bytes"]) / found["all"]["bytes"]
            print(json.dumps({"store": kind, **found, "share": round(most, 4)}))
            if found["all"]["rows"] != rows:
                raise SystemExit(f"{found['all']['rows']} rows were read of {rows}")
            if rows >= LARGE and most > SHARE:
                raise SystemExit(f"a month of {rows} rows costs {most:.1%} of reading all of them")


if __name__ == "__main__":
    main()
