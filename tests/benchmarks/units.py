"""What a million transactions cost, each by itself: processor time here and at the server, bytes in every place.

    python -m tests.benchmarks.units --rows 2000000 --per-member 10

The same stages as `main_job`: a whole snapshot, then five reports as gzipped CSV. Seconds are of processors, so that other
work on the machine changes them little; docs/scale.md multiplies them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

from include import sample
from include.ledger.catalog import RELATIONS
from include.snapshots.days import told_by
from include.snapshots.manifest import SnapshotManifest
from tests.benchmarks.daily import _server_cpu
from tests.benchmarks.main_job import stage
from tests.servers.running import postgres_server

EVERY_SECONDS = 0.05
MIB = 1 << 20


class Peak:
    """The most bytes that lay below a folder while the block ran."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._over, self.bytes = folder, threading.Event(), 0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            self.bytes = max(self.bytes, bytes_below(self._folder))


def bytes_below(folder: Path) -> int:
    """Return the bytes of all files below a folder, those that are just going aside."""
    found = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                found += (Path(path) / name).stat().st_size
    return found


def main() -> None:
    """Parse arguments, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--per-member", type=int, default=10, help="transactions of a member")
    parser.add_argument("--profile", default="all")
    chosen = parser.parse_args()
    millions = chosen.rows / 1e6
    with tempfile.TemporaryDirectory(prefix="loyalty-bench-") as name:
        server, folder = Path(name, "pg"), Path(name, "work")
        with postgres_server(server) as url:
            plan = sample.Plan(customers=chosen.rows // chosen.per_member, transactions=chosen.rows)
            held = sample.load(url, plan)
            before = _server_cpu(server)
            extracted = stage(["extract", url, str(folder), chosen.profile])
            at_server = _server_cpu(server) - before
        manifest = SnapshotManifest.model_validate_json((folder / "manifest.json").read_bytes())
        undated = {
            name: sum(file.bytes for file in held.files)
            for name, held in manifest.relations.items()
            if not told_by(RELATIONS[name], held.columns)
        }
        stored = bytes_below(folder / "store")
        with Peak(folder / "scratch") as peak:
            rendered = stage(["render", "", str(folder), chosen.profile])
        print(
            f"{chosen.rows:,} transactions of {plan.customers:,} members, {sum(held.values()):,} rows; for each million transactions:"
        )
        print(
            f"  extract           {extracted['cpu'] / millions:8.2f} s here, {at_server / millions:.2f} s at the server"
        )
        print(f"  five reports      {rendered['cpu'] / millions:8.2f} s here")
        print(
            f"  in the store      {stored / MIB / millions:8.1f} MiB, of which the manifest {(folder / 'manifest.json').stat().st_size / MIB / millions:.3f}"
        )
        rows = sum(manifest.relations[name].rows for name in undated) / 1e6 / millions
        print(
            f"  read whole always {rows:8.2f} million rows, {sum(undated.values()) / MIB / millions:.1f} MiB: {', '.join(undated)}"
        )
        print(f"  scratch           {peak.bytes / MIB / millions:8.1f} MiB at most")
        for file, (rows, size) in rendered["files"].items():
            print(
                f"  {file:<17} {rows / 1e6 / millions:8.2f} million rows, {size / MIB / millions:.1f} MiB, {size / max(rows, 1):.1f} bytes a row"
            )


if __name__ == "__main__":
    main()
