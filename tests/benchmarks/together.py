"""Exports due at one minute over one snapshot: each rendered alone, beside all of them in as few passes as there is room.

    python -m tests.benchmarks.together --rows 1000000 --definitions 20

One PostgreSQL server on loopback. Both ways have an installation of their own (SQLite state, store in a folder), which
takes its snapshot before anything is measured; stages run in processes of their own, as in a task of Airflow. Every file
and manifest must be the same, read from both stores, before a ratio is printed. `--alone 10` renders only the first ten
alone, one of each kind, and takes the others for as costly as those. `--unlike` asks no two things alike: what reports
take of memory, of which `pipeline.together.Room` has so much.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.main_job import ledger

if TYPE_CHECKING:
    from include.definitions.model import ExportDefinition
    from include.pipeline import Context

AT = datetime(2026, 6, 1, 6, tzinfo=UTC)
MONTH = {"period": "previous_month"}
# What twenty offices ask for of one programme, more or less.
KINDS: list[dict[str, Any]] = [
    {"model": "balance"},
    {"model": "history", **MONTH},
    {"model": "liability", **MONTH},
    {"model": "balance", "fields": ["customer_id", "active"], "file": {"format": "parquet"}},
    {"model": "lots"},
    {"model": "projection", "options": {"days": 31}},
    {"model": "history", "options": {"profile": "all"}, "file": {"format": "jsonl"}, **MONTH},
    {"model": "balance", "filters": [{"field": "active", "more_than": 100}], "file": {"format": "csv"}},
    {"model": "ageing"},
    {"model": "earned_redeemed", **MONTH},
]
# No two are made from one report.
UNLIKE: list[dict[str, Any]] = [
    {"model": "history", "options": {"profile": "all"}, **MONTH},
    {"model": "balance"},
    {"model": "balance", "options": {"grain": "customer"}},
    {"model": "history", **MONTH},
    {"model": "allocations", **MONTH},
    {"model": "lots"},
    {"model": "lots", "options": {"open_only": True}},
    {"model": "projection", "options": {"days": 31}},
    {"model": "projection", "options": {"days": 31, "grain": "account"}},
    {"model": "liability", **MONTH},
    {"model": "points_accounting", **MONTH},
    {"model": "redemption_by_cohort"},
    {"model": "customers"},
]


def definitions(
    count: int,
    folder: Path = Path("/nowhere"),
    time_of_day: str = "06:00",
    kinds: Sequence[dict[str, Any]] = KINDS,
) -> list[ExportDefinition]:
    """Return so many exports, of each kind in turn, due daily at that time and delivered to that folder."""
    from include.definitions.load import from_document

    found = []
    for number in range(count):
        about = {"id": f"export-{number}", "name": f"Export {number}", "timezone": "UTC", "enabled": True}
        about |= {"schedule": {"kind": "daily", "time": time_of_day}, "file": {"compression": "gzip"}}
        about |= {"targets": [{"kind": "folder", "options": {"folder": str(folder)}}]}
        found.append(from_document(about | kinds[number % len(kinds)], where="benchmark"))
    return found


def installation(url: str, home: Path) -> Context:
    """Return a context that works in a folder."""
    from include.pipeline import Context
    from include.settings import Settings

    environment = {
        "LOYALTY_HOME": str(home),
        "LOYALTY_LEDGER_URL": url,
        "LOYALTY_EXPORTS": str(home / "exports"),
    }
    return Context(Settings.from_environment(environment | {"LOYALTY_SETTLE_SECONDS": "0"}))


def prepare(url: str, home: Path, asked: Sequence[ExportDefinition]) -> None:
    """Pin the runs and take their snapshot."""
    import yaml

    from include import pipeline

    context = installation(url, home)
    (home / "exports").mkdir(parents=True)
    for definition in asked:
        (home / "exports" / f"{definition.id}.yaml").write_text(yaml.safe_dump(definition.document()))
    known = datetime(2026, 7, 1, tzinfo=UTC)
    keys = [pipeline.pin(context, each, occurrence=AT, known_at=known).run_key for each in asked]
    if len({pipeline.snapshot(context, key) for key in keys}) != 1:
        raise SystemExit("the runs do not share a snapshot")


def render(url: str, home: Path, *, with_others: bool) -> dict[str, Any]:
    """Render every run, the oldest first; return what that cost."""
    from include import pipeline

    context = installation(url, home)
    runs = context.state.runs.list(limit=10_000)[::-1]
    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    passes = 0
    for run in runs:
        seen: list[str] = []
        pipeline.render(context, run.run_key, lambda stage, *_: seen.append(stage), with_others=with_others)  # noqa: B023
        passes += "partition" in seen
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "passes": passes,
        "seconds": time.perf_counter() - begin,
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_mib": after.ru_maxrss / 1024,
    }


def files(url: str, home: Path) -> dict[str, str]:
    """Return the SHA-256 of everything that the runs have in the store, by export and name."""
    context = installation(url, home)
    return {
        f"{run.definition_id}/{each['name']}": hashlib.sha256(context.store.read(each["key"])).hexdigest()
        for run in context.state.runs.list(limit=10_000)
        for each in run.files
    }


def stage(*arguments: object) -> dict[str, Any]:
    """Run a stage of this file in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.together", "--stage", *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    """Parse arguments and run."""
    if len(sys.argv) > 1 and sys.argv[1] == "--stage":
        way, url, home, count, kinds = sys.argv[2:]
        chosen_kinds = UNLIKE if kinds == "unlike" else KINDS
        prepare(url, Path(home), definitions(int(count), kinds=chosen_kinds))
        print(json.dumps(render(url, Path(home), with_others=way == "together")))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--definitions", type=int, default=20)
    parser.add_argument("--alone", type=int, help="how many of them are rendered alone; left out, all")
    parser.add_argument("--unlike", action="store_true", help="one of each of thirteen, none like another")
    parser.add_argument("--url", help="a sample ledger of --rows transactions that stands already")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loyalty-together-") as name:
        root = Path(name)
        standing = nullcontext(chosen.url) if chosen.url else ledger(root / "pg", chosen.rows, 0.0)
        every = len(UNLIKE) if chosen.unlike else chosen.definitions
        counts = {"alone": chosen.alone or every, "together": every}
        kinds = "unlike" if chosen.unlike else "in turn"
        with standing as url:
            found = {way: stage(way, url, root / way, count, kinds) for way, count in counts.items()}
            alone, together = (files(url, root / way) for way in found)
        differing = [name for name, sha256 in alone.items() if together.get(name) != sha256]
        if differing or len(alone) < 2 * counts["alone"] or len(together) < 2 * counts["together"]:
            raise SystemExit(f"the files differ: {differing}")
        print(
            f"{chosen.rows:,} transactions; {len(alone)} files of {counts['alone']} definitions are the same"
        )
        print(f"{'':<10}{'runs':>5}{'passes':>7}{'seconds':>9}{'cpu':>8}{'MiB':>6}")
        for way, each in found.items():
            print(
                f"{way:<10}{counts[way]:>5}{each['passes']:>7}{each['seconds']:>9.1f}{each['cpu']:>8.1f}"
                f"{each['peak_mib']:>6.0f}"
            )
        if chosen.unlike and counts["alone"] < every:
            return
        times = counts["together"] / counts["alone"]
        for what in ("seconds", "cpu"):
            print(f"alone / together, {what}: {found['alone'][what] * times / found['together'][what]:.2f}")


if __name__ == "__main__":
    main()
