"""How many requests a tab costs, how large they are, and what the client spends on them.

    python -m tests.benchmarks.sheets --rows 100000

A request to Google may have 10 MiB. So a table of B bytes of JSON needs at least B / 10 MiB requests for its rows, one
that makes the hidden tab, one step that shows it, one look before, and one reading for each million cells when it is
read back. A table that fits into the step needs neither hidden tab nor further requests. Beside it: plain gspread,
which writes what can be seen, in the pieces that its users write (500 rows), without look, stamp or reading back.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from include.connections import Connection, Secrets
from include.ledger.columns import Column
from include.ledger.fields import FieldType
from include.targets import google_sheets
from include.targets.protocol import Parcel, no_progress
from tests.servers import sheets
from tests.targets.sheets_delivery import OPTIONS, parcel
from tests.targets.test_folder import parcel_of

COLUMNS = [
    Column("customer_id", FieldType.ID), Column("program", FieldType.ENUM), Column("tier", FieldType.ENUM),
    Column("active", FieldType.POINTS), Column("pending", FieldType.POINTS), Column("expired", FieldType.POINTS),
    Column("spent", FieldType.POINTS), Column("value", FieldType.MONEY), Column("last_activity_at", FieldType.INSTANT),
    Column("joined", FieldType.DATE),
]  # fmt: skip
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def row(number: int) -> tuple:
    """A row of balances."""
    return (
        f"customer-{number:08}", "loyalty", ("gold", "silver", "bronze")[number % 3], number * 31 % 500_000,
        number * 7 % 9000, number % 1000 * 25, number * 13 % 100_000, Decimal(number * 31 % 500_000) / 10_000,
        BEGIN + timedelta(seconds=number * 61), (BEGIN + timedelta(days=number % 365)).date(),
    )  # fmt: skip


def client(task: dict) -> None:
    """Deliver, and print what this process spent on it."""
    from include.targets.sheets import bringing  # noqa: F401 - imported before the clock starts
    from tests.targets.large_delivery import peak_bytes

    connection = Connection(**task["connection"])
    sent: Parcel = parcel_of(Path(task["source"]), task["key"])
    before, began = peak_bytes(), os.times()
    options = google_sheets.Options.model_validate({**OPTIONS, **task["options"]})
    if task["key"] == "gspread":
        plain(options, sent, connection)
    else:
        google_sheets.deliver(options, sent, Secrets(Path(), {connection.name: connection}), no_progress)
    after = os.times()
    print(json.dumps({"cpu": sum(after[:2]) - sum(began[:2]), "mib": (peak_bytes() - before) / 2**20}))


def plain(options: google_sheets.Options, sent: Parcel, connection: Connection) -> None:
    """Write the rows as users of gspread do."""
    import gspread
    import requests
    from gspread.http_client import HTTPClient

    from include.targets.sheets.login import SPREADSHEETS, Account
    from include.targets.sheets.tables import delivery_of

    class Here(HTTPClient):
        def request(self, method: str, endpoint: str, **more: Any) -> Any:
            path = endpoint.removeprefix("https://sheets.googleapis.com")
            return super().request(method, f"{connection.text('endpoint_url')}{path}", **more)

    session = requests.Session()
    session.auth = Account(connection, [SPREADSHEETS])
    with delivery_of(options, sent) as delivery:
        rows = [list(each) for each in delivery.tables[0].values("UTC")]
    tab = (
        gspread.Client(None, session, Here)
        .open_by_key(options.spreadsheet)
        .add_worksheet("plain", 1, len(COLUMNS))
    )
    tab.append_row([column.name for column in COLUMNS])
    for first in range(0, len(rows), 500):
        tab.append_rows(rows[first : first + 500])


def run(rows: int, *options: tuple[str, dict]) -> None:
    """Print the figures of each delivery."""
    with sheets.google() as google, tempfile.TemporaryDirectory() as folder:
        sent = parcel(Path(folder), [row(number) for number in range(rows)], columns=COLUMNS)
        source = str(sent.files[0].path.parent)
        connection = google.connection()
        about = {"name": connection.name, "conn_type": connection.conn_type, "extra": dict(connection.extra)}
        print(f"{rows:,} rows, {len(COLUMNS)} columns, file of {sent.files[0].bytes:,} bytes")
        for key, chosen in options:
            google.asked.clear()
            task = {"connection": about, "source": source, "key": key, "options": chosen}
            command = [sys.executable, "-m", "tests.benchmarks.sheets", "--client"]
            done = subprocess.run(command, input=json.dumps(task), text=True, capture_output=True, check=True)
            spent = json.loads(done.stdout)
            counts = Counter(name.split(".", 2)[-1] for name, _ in google.asked if name != "token")
            size = sum(size for _, size in google.asked)
            print(
                f"{key:12} {sum(counts.values()):4} requests, {size:12,} bytes sent, client's cpu {spent['cpu']:5.1f} s, "
                f"{spent['mib']:4.0f} MiB  {dict(counts)}"
            )
        print("refused by the discovery documents:", google.violations or "nothing")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--client", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.client:
        client(json.load(sys.stdin))
    else:
        run(
            arguments.rows,
            ("first", {}),
            ("again", {}),
            ("overwrite", {"on_edit": "overwrite", "note": False}),
            ("unverified", {"verify": "none", "tab": "other"}),
            ("gspread", {}),
        )
