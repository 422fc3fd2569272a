"""Rendering in shares: five reports in one process, in several, and as stretches that workers make apart.

    python -m tests.benchmarks.shares --rows 2000000 --count 2

Every way is a process of its own, one after another; the bytes of all files are compared before anything is printed.
Of stretches it says what the slowest takes, as if each had a worker, and what joining them takes. On a machine that
others use only the processors' seconds mean anything.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

_WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
_MONTH_US = 30 * 86_400_000_000


def write_ledger(folder: Path, scratch: Path, rows: int) -> None:
    """Write the sample ledger as a snapshot's files are written, in a folder for each relation."""
    from include.sample import Plan, generate
    from include.snapshots.parquet import RelationFiles
    from include.snapshots.store import Store

    store, written = Store(f"file://{folder}"), dict[str, RelationFiles]()
    for relation, batch in generate(Plan(customers=rows // 25, transactions=rows)):
        if relation not in written:
            written[relation] = RelationFiles(
                relation, batch.schema.names, store=store, folder=relation, scratch=scratch
            )
        written[relation].write(batch)
    for files in written.values():
        files.close()


def jobs_of(folder: Path, profile: str) -> list[Any]:
    """Return the five reports of the main job, written as gzipped CSV."""
    from include.formats import artefact
    from include.formats.options import FileOptions
    from include.reports import balance, history, liability, lots, projection
    from include.reports.engine.render import Job
    from include.reports.model import Asked
    from include.sample import Plan

    end, jobs = Plan().end_us, []
    for module in (balance, history, lots, projection, liability):
        start = end - _MONTH_US if module is liability else None
        options = (
            history.Options.model_validate({"profile": profile}) if module is history else module.Options()
        )
        columns = module.columns(options)

        def sink(
            batches: Iterator[Any], path: Path = folder / f"{module.KIND}.csv.gz", columns: Any = columns
        ) -> str:
            return artefact.write(path, columns, batches, FileOptions(compression="gzip")).sha256

        jobs.append(Job(module, Asked(start, end, end, 2**62, options, "UTC"), sink))
    return jobs


def do(way: str, ledger: Path, folder: Path, profile: str, number: int, count: int) -> Any:
    """Render here, in one of the ways; return the hashes of the files, None for a stretch."""
    import pyarrow.parquet as pq

    from include.reports.engine.packed import pack, unpack
    from include.reports.engine.partitions import Stretch
    from include.reports.engine.render import join, render, render_stretch
    from include.reports.model import LocalSnapshot

    files = {path.name: sorted(path.glob("*.parquet")) for path in ledger.iterdir()}
    names = {name: tuple(pq.read_schema(paths[0]).names) for name, paths in files.items()}
    snapshot, jobs = LocalSnapshot(files, names), jobs_of(folder, profile)
    if way == "render":
        return render(jobs, snapshot, folder, shares=count)
    if way == "stretch":
        path = folder / f"{number}-of-{count}.zip"
        return render_stretch(jobs, snapshot, folder, Stretch(number, count), partial(pack, path=path))

    def stretches(there: Path) -> Iterator[Any]:
        for place in range(count):
            (there / str(place)).mkdir()
            yield unpack(folder / f"{place}-of-{count}.zip", there / str(place))

    return join(jobs, snapshot, folder, stretches)


def stage(*arguments: object) -> dict[str, Any]:
    """Do one way in a process of its own; return its result, seconds, processors' seconds and peaks."""
    environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"}
    command = [sys.executable, "-m", "tests.benchmarks.shares", "--stage", *map(str, arguments)]
    begin = time.perf_counter()
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found | {"seconds": time.perf_counter() - begin}


def shown(name: str, each: dict[str, Any]) -> None:
    """Print a line."""
    peaks = " and ".join(f"{peak} MiB" for peak in each["peaks"] if peak)
    print(f"  {name:<28}{each['seconds']:8.1f} s  cpu {each['cpu']:6.1f} s  peak {peaks}", flush=True)


def main() -> None:
    """Parse arguments and run."""
    if sys.argv[1:2] == ["--stage"]:
        way, ledger, folder, profile, number, count = sys.argv[2:]
        made = do(way, Path(ledger), Path(folder), profile, int(number), int(count))
        used = [resource.getrusage(who) for who in _WHO]
        own = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
        cpu = sum(each.ru_utime + each.ru_stime for each in used)
        print(json.dumps({"made": made, "cpu": cpu, "peaks": [own // 1024, used[1].ru_maxrss // 1024]}))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--count", type=int, default=2)
    parser.add_argument("--times", type=int, default=1, help="rounds of stretches; the median is the ratio")
    parser.add_argument("--profile", choices=["default", "all"], default="default")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loyalty-bench-") as name:
        ledger, folder = Path(name) / "ledger", Path(name) / "work"
        ledger.mkdir()
        folder.mkdir()
        write_ledger(ledger, folder, chosen.rows)
        at, many = (ledger, folder, chosen.profile), chosen.count
        stage("render", *at, 0, 1)  # compiles what is compiled
        one = stage("render", *at, 0, 1)
        several = stage("render", *at, 0, many)
        rounds = []
        for _ in range(chosen.times):
            whole = stage("stretch", *at, 0, 1)
            rounds.append((whole, [stage("stretch", *at, number, many) for number in range(many)]))
        joined = stage("join", *at, 0, many)
    if not one["made"] == several["made"] == joined["made"]:
        raise SystemExit("the files differ")
    print(
        f"{chosen.rows:,} rows, profile {chosen.profile}; the same bytes every way; load {os.getloadavg()[0]:.1f}"
    )
    shown("one process", one)
    shown(f"{many} processes", several)
    for whole, apart in rounds:
        shown("all as one stretch", whole)
        for number, each in enumerate(apart):
            shown(f"stretch {number + 1} of {many}", each)
    shown("joining them", joined)
    for unit in ("seconds", "cpu"):
        ratios = [whole[unit] / max(each[unit] for each in apart) for whole, apart in rounds]
        each_round = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(
            f"  {many} workers beside one, on stretches, by {unit}: {median(ratios):.2f} times ({each_round})"
        )


if __name__ == "__main__":
    main()
