"""The main job on PostgreSQL, side by side with the pandas pipeline that a user would write: ratios, after equality.

    python -m tests.benchmarks.main_job --rows 2000000 --profile default --profile all
    python -m tests.benchmarks.main_job --rows 10000000 --whale 0.1 --pandas-rows 1000000,2000000

    python -m tests.benchmarks.main_job --rows 50000000 --url postgresql://... --pandas-rows ''

One run starts a PostgreSQL server on loopback, loads the sample ledger (or takes one that stands, by --url), and measures:
raw binary COPY of the relations and columns that the five reports read (the floor), our stages, each in a process of its
own as the command line starts them, and the pandas pipeline, which reads transactions alone.
Both sides write balance, history, lots, projection and liability as gzipped CSV. Numbers are compared before any ratio is
printed. Above --pandas-rows the pandas time is extrapolated from its two sizes, and the output says so.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.benchmarks import pandas_pipeline
from tests.servers.running import postgres_server

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
START = datetime(2026, 5, 1, tzinfo=UTC)
_WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
REPORTS: dict[str, dict[str, Any]] = {
    "balance": {},
    "history": {"profile": "default"},
    "lots": {},
    "projection": {"days": 31},
    "liability": {},
}


def stage(arguments: list[str]) -> dict[str, Any]:
    """Run one stage of this file in a process of its own; return its result, wall seconds and peak MiB."""
    environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"}
    command = [sys.executable, "-m", "tests.benchmarks.main_job", "--stage", *arguments]
    begin = time.perf_counter()
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result | {"process_seconds": round(time.perf_counter() - begin, 2)}


def run_stage(name: str, url: str, folder: Path, profile: str) -> None:
    """Do one stage here and print what it took."""
    begin, cpu = time.perf_counter(), _cpu()
    stages = {"extract": extract, "render": render, "render-alone": render_alone, "pandas": run_pandas}
    extra = stages[name](url, folder, profile)
    # ru_maxrss would hold what the parent had when it forked; VmHWM begins with this program.
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps({
        "seconds": round(time.perf_counter() - begin, 2),
        "cpu": round(_cpu() - cpu, 2),
        "peak_mib": round(peak),
        "share_mib": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
        **extra,
    }))  # fmt: skip


def _cpu() -> float:
    """Return the seconds that processors worked for this process and those it waited for."""
    return sum(each.ru_utime + each.ru_stime for each in map(resource.getrusage, _WHO))


def _needs(profile: str) -> dict[str, tuple[str, ...]]:
    wanted: dict[str, dict[str, None]] = {}
    for module, options in _modules(profile):
        for relation, columns in module.needs(options).items():
            wanted.setdefault(relation, {}).update(dict.fromkeys(columns))
    wanted["transactions"] = dict.fromkeys([*wanted["transactions"], *pandas_pipeline.PROFILES[profile]])
    return {relation: tuple(columns) for relation, columns in wanted.items()}


def _modules(profile: str) -> list[tuple[Any, Any]]:
    from include import kinds, reports

    found = []
    for name, document in REPORTS.items():
        module = kinds.load(reports, name, where="benchmark")
        options = document | ({"profile": profile} if name == "history" else {})
        found.append((module, module.Options.model_validate(options)))
    return found


def extract(url: str, folder: Path, profile: str) -> dict[str, Any]:
    """Take the snapshot."""
    from datetime import timedelta

    from include import state
    from include.snapshots import extract as extracting
    from include.snapshots.source import Source
    from include.snapshots.store import Store

    folder.mkdir(parents=True, exist_ok=True)
    manifest = extracting.take(
        Source(url), Store(f"file://{folder / 'store'}"), state.open(f"sqlite:///{folder / 'state.sqlite'}"),
        needs=_needs(profile), not_before=AS_OF, settle_delay=timedelta(0), scratch=folder / "scratch",
    )  # fmt: skip
    (folder / "manifest.json").write_bytes(manifest.encode())
    return {"rows": manifest.relations["transactions"].rows}


def render_alone(url: str, folder: Path, profile: str) -> dict[str, Any]:
    """Render the five reports in one pass of one process."""
    return render(url, folder, profile, most=1)


def render(url: str, folder: Path, profile: str, most: int = 4) -> dict[str, Any]:
    """Render the five reports in one pass, in shares where that is worth it."""
    from include.formats import artefact
    from include.formats.options import FileOptions
    from include.reports.engine.render import Job
    from include.reports.engine.render import render as render_jobs
    from include.reports.engine.shares import count_for
    from include.reports.model import Asked, LocalSnapshot
    from include.snapshots.local import local
    from include.snapshots.manifest import SnapshotManifest
    from include.snapshots.store import Store
    from include.state.tables import microseconds

    del url
    manifest = SnapshotManifest.model_validate_json((folder / "manifest.json").read_bytes())
    files = local(Store(f"file://{folder / 'store'}"), manifest, list(manifest.relations), folder / "local")
    end, begin = microseconds(AS_OF), microseconds(START)
    jobs = []
    for module, options in _modules(profile):
        # A whole history, so that every balance is compared; liability over the last month.
        start = begin if module.KIND == "liability" else None
        asked = Asked(start=start, end=end, as_of=end, known_at=2**62, options=options, timezone="UTC")
        columns = module.columns(options)
        path = folder / "ours" / f"{module.KIND}.csv.gz"

        def sink(batches: Iterator[Any], path: Path = path, columns: Any = columns) -> Any:
            return artefact.write(path, columns, batches, FileOptions(compression="gzip"))

        jobs.append(Job(module, asked, sink))
    (folder / "scratch").mkdir(exist_ok=True)
    shares = count_for(manifest.relations["transactions"].rows, most)
    snapshot = LocalSnapshot(files, manifest.columns())
    written = render_jobs(jobs, snapshot, folder / "scratch", shares=shares)
    return {"files": {each.path.name: [each.rows, each.sha256] for each in written}, "shares": shares}


def run_pandas(url: str, folder: Path, profile: str) -> dict[str, Any]:
    """Run the pandas pipeline."""
    frames = pandas_pipeline.run(
        url.replace("postgresql://", "postgresql+psycopg://"), START, AS_OF, folder / "pandas", profile
    )
    return {"rows": {name: len(frame) for name, frame in frames.items()}}


def raw_copy(url: str, profile: str) -> dict[str, float]:
    """Return, by relation, the seconds of COPY (SELECT the columns that we read) TO STDOUT (FORMAT binary), thrown away."""
    import psycopg

    took = {}
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        for relation, columns in _needs(profile).items():
            begin = time.perf_counter()
            with cursor.copy(
                f"COPY (SELECT {', '.join(columns)} FROM {relation}) TO STDOUT (FORMAT binary)"
            ) as copy:
                for _ in copy:
                    pass
            took[relation] = time.perf_counter() - begin
    return took


def differences(folder: Path) -> list[str]:
    """Compare both sides' files; return what differs."""
    import polars as pl

    def load(side: str, name: str) -> pl.DataFrame:
        return pl.read_csv(folder / side / f"{name}.csv.gz", infer_schema=False)

    def points(name: str) -> pl.Expr:
        return (pl.col(name).cast(pl.Decimal(20, 2)) * 100).cast(pl.Int64).alias(name)

    found = []
    keys = ["program_id", "subledger_id", "holder_kind", "holder_id"]
    figures = ["active", "pending", "expired", "spent", "negative_balance", "lifetime_earned"]
    blank = pl.col("subledger_id").fill_null("")
    ours = (
        load("ours", "balance").with_columns(blank, *map(points, figures)).select(keys + figures).sort(keys)
    )
    theirs = (
        load("pandas", "balance")
        .with_columns(blank, pl.col(figures).cast(pl.Int64))
        .select(keys + figures)
        .sort(keys)
    )
    if not ours.equals(theirs):
        found.append(f"balance: {ours.height} accounts against {theirs.height}, or other figures")
    names = ["transaction_id", "points_change", "balance_after"]
    ours = load("ours", "history").with_columns(map(points, names[1:])).select(names).sort(names[0])
    theirs = (
        load("pandas", "history").with_columns(pl.col(names[1:]).cast(pl.Int64)).select(names).sort(names[0])
    )
    if not ours.equals(theirs):
        found.append(f"history: {ours.height} rows against {theirs.height}, or other balances")
    ours = (
        load("ours", "lots")
        .with_columns(points("remaining"))
        .select(pl.col("lot_id").alias("transaction_id"), "remaining")
        .sort("transaction_id")
    )
    theirs = (
        load("pandas", "lots")
        .select("transaction_id", pl.col("remaining").cast(pl.Int64))
        .sort("transaction_id")
    )
    if not ours.equals(theirs):
        found.append(f"lots: {ours.height} against {theirs.height}, or other remainders")
    sums = load("ours", "projection").select(
        pl.col("points_expiring", "points_activating").cast(pl.Decimal(20, 2)).sum() * 100
    )
    theirs = load("pandas", "projection").select(pl.col("expires", "activates").cast(pl.Int64).sum())
    if [int(x) for x in sums.row(0)] != [int(x) for x in theirs.row(0)]:
        found.append(f"projection: expiring, activating {sums.row(0)} against {theirs.row(0)}")
    ours = (
        load("ours", "liability")
        .group_by("program_id")
        .agg(points("opening").sum(), points("closing").sum())
        .sort("program_id")
    )
    theirs = (
        load("pandas", "liability")
        .sort("program_id")
        .select(
            "program_id",
            *[
                (
                    pl.col(f"active_{end}").cast(pl.Int64)
                    + pl.col(f"pending_{end}").cast(pl.Int64)
                    - pl.col(f"negative_balance_{end}").cast(pl.Int64)
                ).alias(end)
                for end in ("opening", "closing")
            ],
        )
    )
    if not ours.equals(theirs):
        found.append(f"liability: {ours.rows()} against {theirs.rows()}")
    return found


@contextmanager
def ledger(folder: Path, rows: int, whale: float, standing: str | None = None) -> Iterator[str]:
    """A PostgreSQL server with a sample ledger of about `rows` transactions; the one that stands where it is given."""
    from include import sample

    if standing is not None:
        yield standing
        return
    with postgres_server(folder) as url:
        begin = time.perf_counter()
        plan = sample.Plan(customers=max(rows // 25, 10), transactions=rows, whale=whale)
        loaded = sum(sample.load(url, plan).values())
        took = time.perf_counter() - begin
        driver = url.replace("postgresql://", "postgresql+psycopg://")
        engine = sa.create_engine(driver, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql("VACUUM ANALYZE transactions")
        print(
            f"sample ledger: {rows:,} transactions, {loaded:,} rows in {took:.1f} s ({loaded / took:,.0f} rows/s)",
            flush=True,
        )
        yield url


def measure(
    rows: int, profile: str, folder: Path, url: str, *, with_pandas: bool, alone: bool
) -> dict[str, float]:
    """Measure one ledger and profile; print; return seconds."""
    shutil.rmtree(folder, ignore_errors=True)
    copied = min((raw_copy(url, profile) for _ in range(2)), key=lambda took: sum(took.values()))
    floor, of_transactions = sum(copied.values()), copied["transactions"]
    extracted = stage(["extract", url, str(folder), profile])
    rendered = stage(["render", url, str(folder), profile])
    if alone:
        one = stage(["render-alone", url, str(folder), profile])
        if one["files"] != rendered["files"]:
            raise SystemExit("shares changed bytes")
    ours = extracted["process_seconds"] + rendered["process_seconds"]
    read = {relation: len(columns) for relation, columns in _needs(profile).items()}
    print(
        f"\n{rows:,} rows, profile {profile}: {read['transactions']} columns of transactions are read", end=""
    )
    print(f", {sum(read.values()) - read['transactions']} of {len(read) - 1} other relations")
    print(f"  raw binary COPY   {floor:8.1f} s, of transactions alone {of_transactions:.1f}")
    stages = {"extract": extracted, "render five": rendered}
    if alone:
        stages["in one process"] = one
    for name, each in stages.items():
        shares = (
            f", of each of {each['shares']} shares {each['share_mib']}" if each.get("shares", 1) > 1 else ""
        )
        print(
            f"  {name:<16}  {each['process_seconds']:8.1f} s  cpu {each['cpu']:.1f} s  "
            f"peak {each['peak_mib']}{shares} MiB"
        )
    print(
        f"  ours in all       {ours:8.1f} s  = {ours / floor:.1f} x COPY, {ours / of_transactions:.1f} of transactions alone",
        flush=True,
    )
    result = {"copy": floor, "ours": ours}
    if with_pandas:
        theirs = stage(["pandas", url, str(folder), profile])
        result["pandas"] = theirs["process_seconds"]
        print(f"  pandas            {theirs['process_seconds']:8.1f} s  peak {theirs['peak_mib']} MiB")
        wrong = differences(folder)
        if wrong:
            raise SystemExit("the numbers differ: " + "; ".join(wrong))
        print(f"  equal numbers; pandas / ours = {result['pandas'] / ours:.1f}", flush=True)
    return result


def main() -> None:
    """Parse arguments and run."""
    if len(sys.argv) > 1 and sys.argv[1] == "--stage":
        name, url, folder, profile = sys.argv[2:]
        run_stage(name, url, Path(folder), profile)
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--profile", action="append", choices=list(pandas_pipeline.PROFILES))
    parser.add_argument("--whale", type=float, default=0.0, help="share of all rows in one account")
    parser.add_argument(
        "--pandas-rows", default="1000000,2000000", help="sizes at which pandas is measured; '' for none"
    )
    parser.add_argument("--url", help="a sample ledger of --rows transactions that stands already")
    parser.add_argument("--alone", action="store_true", help="render also in one process: the same bytes")
    chosen = parser.parse_args()
    profiles = chosen.profile or list(pandas_pipeline.PROFILES)
    sizes = (
        sorted({int(size) for size in chosen.pandas_rows.split(",") if size} - {chosen.rows})
        if chosen.rows > 2_000_000
        else []
    )
    with tempfile.TemporaryDirectory(prefix="loyalty-bench-") as name:
        root = Path(name)
        small: dict[tuple[str, int], float] = {}
        for size in sizes:
            with ledger(root / f"pg{size}", size, 0.0) as url:
                for profile in profiles:
                    small[profile, size] = measure(
                        size, profile, root / "work", url, with_pandas=True, alone=chosen.alone
                    )["pandas"]
        with ledger(root / "pg", chosen.rows, chosen.whale, chosen.url) as url:
            for profile in profiles:
                took = measure(
                    chosen.rows,
                    profile,
                    root / "work",
                    url,
                    with_pandas=bool(chosen.pandas_rows) and not sizes,
                    alone=chosen.alone,
                )
                if len(sizes) >= 2:
                    a, b = sizes[0], sizes[-1]
                    slope = (small[profile, b] - small[profile, a]) / (b - a)
                    guess = small[profile, b] + slope * (chosen.rows - b)
                    print(
                        f"  pandas, extrapolated from {a:,} and {b:,} rows: {guess:.0f} s; / ours = {guess / took['ours']:.1f}"
                    )


if __name__ == "__main__":
    main()
