"""What a look at one customer costs, by the size of the ledger, and what reading a snapshot for it would.

`python -m tests.benchmarks.customer [--rows 1000000] [--url postgresql://...]`: makes a sample ledger (SQLite below the
temporary folder, kept for the next time; or in an empty database), then prints medians of CPU and wall milliseconds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import sqlalchemy as sa

TIMES = 15


def main() -> None:
    told = argparse.ArgumentParser()
    told.add_argument("--rows", type=int, default=1_000_000)
    told.add_argument("--url")
    asked = told.parse_args()
    home = Path(tempfile.gettempdir()) / f"loyalty-customer-{asked.rows}"
    home.mkdir(exist_ok=True)
    url = asked.url or f"sqlite:///{home / 'ledger.sqlite'}"
    os.environ.update(LOYALTY_HOME=str(home), LOYALTY_LEDGER_URL=url)

    from include import sample
    from include.ledger.people import Name
    from include.pipeline import Context
    from include.pipeline.customers.figures import View
    from include.pipeline.customers.look import look
    from include.pipeline.customers.search import search
    from include.snapshots.excerpt import Holder

    if asked.url or not (home / "ledger.sqlite").exists():
        sample.load(url, sample.Plan(customers=asked.rows // 25, transactions=asked.rows))
    context = Context.from_settings()
    holders = {name: Holder(Name.CUSTOMER, who) for name, who in people(url).items()}

    def page(holder: Holder) -> Callable[[], object]:
        return lambda: look(context, holder, View(), by="benchmark")

    for name, holder in holders.items():
        rows = look(context, holder, View(), by="benchmark")
        assert rows is not None
        report(f"page of the {name} customer ({rows.rows} rows)", page(holder))
    usual = holders["usual"].id
    report("search by id", lambda: search(context, usual, personal=True, by="benchmark"))
    report(
        "search by e-mail",
        lambda: search(context, f"customer{usual[1:]}@example.com", personal=True, by="benchmark"),
    )
    report("search by name", lambda: search(context, "no such name", personal=True, by="benchmark"))
    if not asked.url:
        report("customer ids of a snapshot, scanned for one", scan(context, usual), times=3)


def people(url: str) -> dict[str, str]:
    """The customer with most rows, and the one in the middle."""
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        counted = sa.text(
            "SELECT customer_id FROM transactions WHERE customer_id IS NOT NULL GROUP BY customer_id ORDER BY COUNT(*) DESC"
        )
        found = [row[0] for row in connection.execute(counted)]
    engine.dispose()
    return {"usual": found[len(found) // 2], "busiest": found[0]}


def scan(context: Any, who: str) -> Callable[[], object]:
    from datetime import UTC, datetime, timedelta

    from include.pipeline.snapshot import take_now
    from include.reports.engine import files
    from include.snapshots.local import local

    made = take_now(context, datetime.now(UTC) - timedelta(hours=1))
    paths = local(context.store, made, ["transactions"], context.settings.scratch)["transactions"]

    def read() -> int:
        batches = files.batches("transactions", paths, ("customer_id",), batch_rows=65_536)
        return sum(pc.sum(pc.equal(batch.column(0), who)).as_py() or 0 for batch in batches)

    return read


def report(name: str, work: Callable[[], object], times: int = TIMES) -> None:
    work()
    wall, cpu = [], []
    for _ in range(times):
        began, used = time.perf_counter(), time.process_time()
        work()
        wall.append((time.perf_counter() - began) * 1000)
        cpu.append((time.process_time() - used) * 1000)
    print(f"{name}: {statistics.median(cpu):.0f} ms CPU, {statistics.median(wall):.0f} ms wall", flush=True)


if __name__ == "__main__":
    main()
