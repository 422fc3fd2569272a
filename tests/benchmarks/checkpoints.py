"""A whole day of a large ledger: snapshot, balances and the history of the day, begun from the day before or from nothing.

    python -m tests.benchmarks.checkpoints --rows 2000000 --new 20000

One PostgreSQL server on loopback. A run of the day before leaves a snapshot and a checkpoint, a day's rows are added, and the
run of the day begins from both. The same run is then made in another installation that has nothing to begin from. Their
files must be the same, byte for byte, before ratios are printed: of rows that came from the source, of wall and CPU time.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg

from include import pipeline
from include.definitions.load import from_document
from include.definitions.model import ExportDefinition
from include.pipeline import Context
from include.settings import Settings
from include.snapshots import registry
from tests.benchmarks.daily import _server_cpu
from tests.benchmarks.main_job import ledger

_NEW = """INSERT INTO transactions (transaction_id, program_id, customer_id, type, points, created_at, recorded_at,
                                    activates_at, expires_at)
SELECT 'new-' || n, t.program_id, t.customer_id, 'earned', 5, at, at, at, at + interval '1 year'
FROM generate_series(1, %s) AS n
CROSS JOIN LATERAL (SELECT date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '12 hours'
                           + n * interval '1 millisecond' AS at) AS moment
JOIN (SELECT row_number() OVER () AS place, program_id, customer_id FROM
      (SELECT DISTINCT program_id, customer_id FROM transactions WHERE customer_id > '' LIMIT 20000) AS few) AS t
     ON t.place = n %% 20000 + 1"""
_COLUMNS = ("rows_read", "snapshot", "snapshot_cpu", "server_cpu", "render", "render_cpu")
DAY = timedelta(days=1)


def definition(folder: Path) -> ExportDefinition:
    """Return daily balances and the history of the day before."""
    file = {"name": "{export}_{date}"}
    return from_document(
        {
            "id": "daily", "name": "Daily", "owner": "o", "timezone": "UTC", "period": "previous_day",
            "schedule": {"kind": "daily", "time": "06:00"},
            "exports": [
                {"id": "balances", "model": "balance", "file": file},
                {"id": "day", "model": "history", "file": file},
            ],
            "targets": [{"kind": "folder", "options": {"folder": str(folder)}}],
        },
        where="benchmark",
    )  # fmt: skip


def run(settings: Settings, asked: ExportDefinition, occurrence: datetime, server: Path) -> dict[str, Any]:
    """Take the snapshot and render; return the files' hashes, and what each took. Stages are processes of their own."""
    context = Context(settings)
    now = datetime.now(UTC)  # so that no earlier snapshot serves
    key = pipeline.pin(context, asked, occurrence=occurrence, known_at=now).run_key
    marks = [_now(server)]
    snapshot = pipeline.snapshot(context, key)
    marks.append(_now(server))
    files = {each["name"]: each["sha256"] for each in pipeline.render(context, key) if "rows" in each}
    marks.append(_now(server))
    (wall, cpu, served), (render, render_cpu, _) = (
        [after - before for before, after in zip(*pair, strict=True)] for pair in pairwise(marks)
    )
    read = registry.load(context.store, context.state, snapshot).rows_read
    return dict(zip(_COLUMNS, (read, wall, cpu, served, render, render_cpu), strict=True)) | {"files": files}


def _now(server: Path) -> tuple[float, float, float]:
    """Return wall time, the CPU time of processes of ours that ended, and the server's."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), used.ru_utime + used.ru_stime, _server_cpu(server)


def main() -> None:
    """Parse arguments and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--new", type=int, default=20_000)
    parser.add_argument("--proof-days", type=int, default=0)
    chosen = parser.parse_args()
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with tempfile.TemporaryDirectory(prefix="loyalty-checkpoints-") as name:
        root = Path(name)
        asked = definition(root / "delivered")
        with ledger(root / "pg", chosen.rows, 0.0) as url:

            def settings(home: str, **more: Any) -> Settings:
                folder = root / home
                folder.mkdir(exist_ok=True)
                environment = {
                    "LOYALTY_HOME": str(folder),
                    "LOYALTY_LEDGER_URL": url,
                    "LOYALTY_SETTLE_SECONDS": "0",
                }
                return replace(Settings.from_environment(environment), **more)

            begun = settings("begun", checkpoint_every=7 * DAY, proof_days=chosen.proof_days)
            whole = settings("whole", whole_snapshots=timedelta(0))
            run(begun, asked, today - DAY + timedelta(minutes=1), root / "pg")
            with psycopg.connect(url) as connection:
                connection.execute(_NEW, [chosen.new])
            shown = {
                label: run(each, asked, today + timedelta(minutes=1), root / "pg")
                for label, each in (("begun", begun), ("whole", whole))
            }
        if shown["begun"]["files"] != shown["whole"]["files"]:
            raise SystemExit(f"the files differ: {shown}")
        print(f"\n{chosen.rows:,} transactions, {chosen.new:,} new a day; both runs have the same files")
        print(f"{'':<8}" + "".join(f"{column:>14}" for column in _COLUMNS))
        for label, each in shown.items():
            print(f"{label:<8}" + "".join(f"{each[column]:>14,.2f}" for column in _COLUMNS))
        ratios = (shown["begun"][column] / shown["whole"][column] for column in _COLUMNS)
        print(f"{'':<8}" + "".join(f"{ratio:>14.1%}" for ratio in ratios))


if __name__ == "__main__":
    main()
