"""People in a small ledger who are erased, and a look for them in everything that is kept."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.parquet as pq
import sqlalchemy as sa

from include import connections
from include.definitions.model import ExportDefinition
from include.pipeline import Context
from include.snapshots import canonical
from include.snapshots.names import CONNECTION
from tests.pipeline.test_steps import AT, whole

WHO, MAIL = "customer-0001", "Ada.Martin@example.com"


def key_of_erased(name: str) -> connections.Connection:
    """The connection that erasures are known by; no other exists."""
    if name != CONNECTION:
        raise connections.missing(name)
    return connections.Connection(CONNECTION, password="k" * 40)


def fill(url: str) -> None:
    engine = sa.create_engine(url)
    canonical.create(engine)
    tables = canonical.METADATA.tables
    day = datetime(2026, 1, 5, tzinfo=UTC)
    people = [
        {"customer_id": WHO, "name": "Ada Martin", "email": MAIL, "phone": "+33100000001", "source_id": MAIL, "tier": "gold"},
        {"customer_id": "customer-0002", "name": "Bo Martin", "email": "bo@example.com", "phone": "+33100000001",
         "referrer_id": WHO, "metadata": f'{{"invited_by":"{MAIL.lower()}","visits":3}}', "tier": "base"},
        {"customer_id": "customer-0003", "name": "Cy Nowak", "email": "cy@example.com", "tier": "base"},
    ]  # fmt: skip
    cards = [("card-own", WHO), ("card-shared", WHO), ("card-free", None), ("card-else", "customer-0003")]
    moves = [
        (WHO, None, "earned", 100), (WHO, "card-own", "earned", 50), (WHO, "card-shared", "earned", 20),
        ("customer-0002", "card-shared", "redeemed", -5), (None, "card-free", "earned", 7),
        ("customer-0003", "card-else", "earned", 11), ("customer-0002", None, "earned", 40), (WHO, None, "redeemed", -30),
    ]  # fmt: skip
    with engine.begin() as connection:
        program = {"program_id": "p", "name": "P", "currency": "EUR", "time_zone": "UTC"}
        connection.execute(tables["programs"].insert(), [program])
        empty = dict.fromkeys((*people[0], *people[1]))
        connection.execute(tables["customers"].insert(), [empty | each for each in people])
        connection.execute(tables["cards"].insert(), [{"card_id": a, "customer_id": b} for a, b in cards])
        connection.execute(tables["vouchers"].insert(), [
            {"voucher_id": "v1", "code": "CODE-OWN", "voucher_type": "LOYALTY_CARD", "card_id": "card-own", "customer_id": WHO},
            {"voucher_id": "v2", "code": "TEN-OFF", "voucher_type": "DISCOUNT_VOUCHER", "card_id": None, "customer_id": WHO},
        ])  # fmt: skip
        connection.execute(tables["transactions"].insert(), [
            {"transaction_id": f"t{n}", "program_id": "p", "customer_id": who, "card_id": card, "type": kind, "points": points,
             "created_at": day + timedelta(days=n), "reason": f"for {WHO}" if n == 6 else "Points"}
            for n, (who, card, kind, points) in enumerate(moves)
        ])  # fmt: skip
        connection.execute(tables["changes"].insert(), [
            {"change_id": "1", "entity": "customers", "entity_id": WHO, "field": "name", "old_value": "Ada M",
             "new_value": "Ada Martin", "changed_by": "staff", "changed_at": day},
        ])  # fmt: skip
    engine.dispose()


def make(context: Context, definition: ExportDefinition, **asked: Any) -> str:
    """Make and deliver; return the run's key."""
    return whole(context, definition, **({"occurrence": AT} | asked))[0]


def rows(context: Context, run_key: str) -> list[list[str]]:
    [file, *_] = context.state.runs.get(run_key).files
    return list(csv.reader(io.StringIO(context.store.read(file["key"]).decode())))


def everything(context: Context) -> Iterator[tuple[str, str]]:
    """Every text that the product keeps: objects of the store (Parquet unpacked) and all rows of the state."""
    for entry in context.store.list():
        content = context.store.read(entry.key)
        if entry.key.endswith(".parquet"):
            yield entry.key, str(pq.read_table(io.BytesIO(content)).to_pylist())
        else:
            yield entry.key, content.decode("utf-8", "replace")
    with context.state.database.read() as connection:
        for table in sa.inspect(connection).get_table_names():
            if table.startswith("loyalty_"):
                yield table, str(connection.exec_driver_sql(f"SELECT * FROM {table}").all())
    for path in context.settings.scratch.rglob("*"):
        yield str(path), path.name


def kept_of(context: Context, *names: str) -> list[str]:
    """Where any of these names stands in what is kept."""
    return [
        where for where, text in everything(context) if any(name.lower() in text.lower() for name in names)
    ]


CLEAR = {"owner": "o", "file": {"compression": "none"}}
