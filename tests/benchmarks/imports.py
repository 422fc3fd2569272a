"""How fast a large file becomes points, on a PostgreSQL server of its own, and how much memory that takes of ours.

    python -m tests.benchmarks.imports --rows 10000000 --customers 10000000 --text " of the winter sale in branch 17"

Makes a ledger of so many customers and transactions, and a CSV file of so many rows, each of another customer while
there are enough; receives it, rehearses it (every balance is booked), posts it, takes it back if --undo is said. Wall
seconds, seconds of processors (which others on this machine do not change), and the largest memory of our processes.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from include.imports.options import Mode, Options
from include.pipeline import Context, imports
from include.settings import Settings
from include.snapshots import canonical
from tests.servers.running import postgres_server

T = TypeVar("T")
SERVER = {
    "shared_buffers": "1GB",
    "maintenance_work_mem": "512MB",
    "work_mem": "64MB",
    "max_wal_size": "8GB",
    "fsync": "on",
}


def made(url: str, customers: int, history: int) -> None:
    """A ledger with its keys and indexes: `history` earned rows, spread over its customers."""
    engine = sa.create_engine(url)
    tables = canonical.create_bare(engine)
    with engine.begin() as connection:
        say = connection.exec_driver_sql
        say("INSERT INTO programs (program_id, name, currency, time_zone) VALUES ('p', 'P', 'EUR', 'UTC')")
        say(
            "INSERT INTO customers (customer_id, email) SELECT 'c' || lpad(n::text, 9, '0'), "
            f"'customer' || n || '@example.com' FROM generate_series(0, {customers - 1}) n"
        )
        say(
            "INSERT INTO transactions (transaction_id, program_id, subledger_id, customer_id, type, points, created_at) "
            f"SELECT 't' || lpad(n::text, 9, '0'), 'p', '', 'c' || lpad(mod(n::bigint * 7919, {customers})::text, 9, '0'), "
            "'earned', 100, timestamptz '2026-01-01' + n * interval '1 second' "
            f"FROM generate_series(0, {history - 1}) n"
        )
    canonical.add_keys(engine, tables)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    engine.dispose()


def written(path: Path, rows: int, customers: int, text: str = "") -> None:
    """A file of so many rows, in an order that no index has. text: more words of each reason."""
    with path.open("w") as file:
        file.write("customer_id,points,reason\n")
        for begin in range(0, rows, 100_000):
            file.writelines(
                f"c{n * 104_729 % customers:09d},{n % 500 + 1},line {n}{text}\n"
                for n in range(begin, min(begin + 100_000, rows))
            )


class Clock:
    """Times steps: wall seconds, and seconds of the processors, ours and the server's."""

    def __init__(self, postmaster: int) -> None:
        self._postmaster = postmaster

    def __call__(self, what: str, rows: int, step: Callable[[], T]) -> T:
        began, ours, theirs = time.monotonic(), _ours(), self._theirs()
        done = step()
        seconds, ours, theirs = time.monotonic() - began, _ours() - ours, self._theirs() - theirs
        peak = max(
            resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        print(
            f"{what:10} {seconds:7.1f} s wall {rows / seconds:9,.0f} rows/s   processor {ours:6.1f} s ours "
            f"{theirs:6.1f} s the server's {rows / (ours + theirs):9,.0f} rows/s   peak {peak / 1024:5.0f} MiB",
            flush=True,
        )
        return done

    def _theirs(self) -> float:
        """Of the server's processes that have ended, so of every connection that was closed."""
        time.sleep(0.5)
        fields = Path(f"/proc/{self._postmaster}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _ours() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def run(url: str, folder: Path, chosen: argparse.Namespace, timed: Clock) -> None:
    settings = Settings(
        ledger_url=url,
        ledger_mapping=None,
        state_url=f"sqlite:///{folder / 'state.sqlite'}",
        store_url=f"file://{folder / 'store'}",
        scratch=folder / "scratch",
        exports=folder,
        keys=folder,
        settle_delay=timedelta(0),
        ledger_write_url=url,
        import_approval_rows=100_000_000,
    )
    context, file = Context(settings), folder / "points.csv"
    written(file, chosen.rows, chosen.customers, chosen.text)
    print(f"{chosen.rows:,} rows, {file.stat().st_size / 1e6:,.0f} MB", flush=True)
    options = Options(mode=Mode(chosen.mode), program="p")
    record = timed(
        "receive",
        chosen.rows,
        lambda: imports.receive(context, file, name=file.name, options=options, by="olga"),
    )
    record = timed("rehearse", chosen.rows, lambda: imports.rehearse(context, record.import_id))
    if record.state == "waiting":
        imports.approve(context, record.import_id, by="paul")
    timed("post", chosen.rows, lambda: imports.post(context, record.import_id, by="paul"))
    if chosen.undo:
        back = timed("undo", chosen.rows, lambda: imports.undo(context, record.import_id, by="olga"))
        timed("post undo", chosen.rows, lambda: imports.post(context, back.import_id, by="paul"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--history", type=int, default=1_000_000)
    parser.add_argument("--mode", choices=["add", "reset"], default="add")
    parser.add_argument("--text", default="", help="more words of each reason, for a larger file")
    parser.add_argument("--undo", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loyalty-") as name:
        folder = Path(name)
        with postgres_server(folder / "server", settings=SERVER) as url:
            clock = Clock(int((folder / "server/data/postmaster.pid").read_text().split()[0]))
            clock("ledger", chosen.history, lambda: made(url, chosen.customers, chosen.history))
            run(url, folder, chosen, clock)


if __name__ == "__main__":
    main()
