"""A day of a large ledger: a snapshot that reads it whole, beside one that begins from yesterday's.

    python -m tests.benchmarks.daily --rows 10000000 --new 20000

One PostgreSQL server on loopback. The ledger is read whole, rows of a new day are added, and a second snapshot begins from
the first. The same ledger is then read whole once more, into another store, and the two must hold the same rows before a
ratio is printed: of rows that came from the source, of wall time, and of CPU time, ours and the server's apart.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.main_job import _needs, ledger

if TYPE_CHECKING:
    from include.snapshots.manifest import SnapshotManifest

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
_NEW = """INSERT INTO transactions (transaction_id, program_id, customer_id, type, points, created_at, recorded_at,
                                    activates_at, expires_at)
SELECT 'new-' || n, t.program_id, t.customer_id, 'earned', 5, at, at, at, at + interval '1 year'
FROM generate_series(1, %s) AS n
CROSS JOIN LATERAL (SELECT now() - interval '1 hour' + n * interval '1 millisecond' AS at) AS moment
JOIN (SELECT row_number() OVER () AS place, program_id, customer_id FROM
      (SELECT program_id, customer_id FROM transactions WHERE customer_id IS NOT NULL LIMIT 20000) AS few) AS t
     ON t.place = n %% 20000 + 1"""


def take(url: str, folder: Path, profile: str, days: float, proof_days: int) -> dict[str, Any]:
    """Take a snapshot in this process; return what it cost. days: `whole_every`, 0 for a whole reading without proof."""
    from include import state
    from include.snapshots import extract
    from include.snapshots.source import Source
    from include.snapshots.store import Store

    folder.mkdir(parents=True, exist_ok=True)
    registered = state.open(f"sqlite:///{folder / 'state.sqlite'}")
    sources = registered.snapshots.sources()
    last = registered.snapshots.all_of(sources[0])[0].read_at if sources else AS_OF
    begin, cpu = time.perf_counter(), time.process_time()
    manifest = extract.take(
        Source(url), Store(f"file://{folder / 'store'}"), registered, needs=_needs(profile),
        not_before=last + timedelta(microseconds=1), settle_delay=timedelta(0), scratch=folder / "scratch",
        whole_every=timedelta(days=days), proof_days=proof_days,
    )  # fmt: skip
    (folder / f"manifest-{manifest.generation}.json").write_bytes(manifest.encode())
    status = Path("/proc/self/status").read_text()
    return {
        "generation": manifest.generation,
        "rows_read": manifest.rows_read,
        "rows": sum(held.rows for held in manifest.relations.values()),
        "seconds": time.perf_counter() - begin,
        "cpu": time.process_time() - cpu,
        "peak_mib": round(int(status.split("VmHWM:")[1].split()[0]) / 1024),
        "begun": manifest.increment is not None,
    }


def stage(
    url: str, folder: Path, profile: str, days: float, server: Path, proof_days: int = 0
) -> dict[str, Any]:
    """Take a snapshot in a process of its own, and count the server's CPU too."""
    before = _server_cpu(server)
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.daily",
        "--stage",
        url,
        str(folder),
        profile,
        str(days),
        str(proof_days),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found | {"server_cpu": _server_cpu(server) - before}


def _server_cpu(folder: Path) -> float:
    """Return the CPU seconds of a server and of all its processes that ended."""
    leader = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    fields = Path(f"/proc/{leader}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / float(os.sysconf("SC_CLK_TCK"))


def fingerprint(folder: Path, generation: int, columns: dict[str, list[str]]) -> dict[str, tuple[int, int]]:
    """Return, by relation, how many rows a snapshot holds, and the sum of the hashes of these columns modulo 2^64."""
    from include.ledger.hashing import text_hashes
    from include.snapshots.local import local
    from include.snapshots.store import Store

    manifest = _held(folder, generation)
    found = {}
    for name, paths in local(
        Store(f"file://{folder / 'store'}"), manifest, manifest.relations, folder
    ).items():
        rows, total = 0, 0
        for path in paths:
            for batch in pq.ParquetFile(path).iter_batches(1 << 16, columns=columns[name]):
                row = np.zeros(len(batch), np.uint64)
                for column in batch.columns:
                    text = (
                        column.fill_null("") if pa.types.is_string(column.type) else column.cast(pa.string())
                    )
                    row = row * np.uint64(0x100000001B3) ^ text_hashes(
                        text.fill_null("") if text.null_count else text
                    )
                rows, total = rows + len(batch), (total + int(row.sum(dtype=np.uint64))) % (1 << 64)
        found[name] = rows, total
    return found


def _held(folder: Path, generation: int) -> SnapshotManifest:
    from include.snapshots.manifest import SnapshotManifest

    return SnapshotManifest.model_validate_json((folder / f"manifest-{generation}.json").read_bytes())


def main() -> None:
    """Parse arguments and run."""
    if len(sys.argv) > 1 and sys.argv[1] == "--stage":
        url, folder, profile, days, proof_days = sys.argv[2:]
        print(json.dumps(take(url, Path(folder), profile, float(days), int(proof_days))))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--new", type=int, default=20_000)
    parser.add_argument("--profile", default="default", choices=["default", "all"])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loyalty-daily-") as name:
        root = Path(name)
        with ledger(root / "pg", chosen.rows, 0.0) as url:

            def ask(into: str, days: float, proof_days: int = 0) -> dict[str, Any]:
                return stage(url, root / into, chosen.profile, days, root / "pg", proof_days)

            shown = {"whole, proven": ask("begun", 30)}
            for day, proof_days in (("first", 0), ("second", 0), ("third", 35)):
                with psycopg.connect(url) as connection:
                    new = _NEW.replace("'new-'", f"'new-{day}-'")
                    connection.execute(new, [chosen.new])  # type: ignore[call-overload]
                last = f", {proof_days} days proven" if proof_days else ""
                shown[f"{day} day{last}"] = ask("begun", 30, proof_days)
            shown["whole"] = ask("whole", 0)
            # One that can be begun from holds the moments of all rows too.
            columns = {name: list(each) for name, each in _held(root / "whole", 1).columns().items()}
            both = [
                fingerprint(root / folder, number, columns) for folder, number in (("begun", 4), ("whole", 1))
            ]
            if both[0] != both[1]:
                raise SystemExit(f"the snapshots differ: {both}")
            print(
                f"\n{chosen.rows:,} transactions, {chosen.new:,} new a day; both snapshots hold the same rows"
            )
            print(
                f"{'':<27}{'rows read':>12}{'seconds':>9}{'our cpu':>9}{'server':>9}{'MiB':>6}  against whole"
            )
            whole = shown["whole"]
            for label, each in shown.items():
                ratios = [each[key] / whole[key] for key in ("rows_read", "seconds", "cpu", "server_cpu")]
                print(
                    f"{label:<27}{each['rows_read']:>12,}{each['seconds']:>9.1f}{each['cpu']:>9.1f}"
                    f"{each['server_cpu']:>9.1f}{each['peak_mib']:>6}  "
                    + "  ".join(f"{ratio:.1%}" for ratio in ratios)
                )


if __name__ == "__main__":
    main()
