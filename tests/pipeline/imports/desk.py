"""A small ledger that imports may write, and short words for what tests do with it. Helpers, not tests."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from include.connections import Connection
from include.imports.options import Mode, Options
from include.pipeline import Context, imports
from include.settings import Settings
from include.snapshots import canonical
from include.snapshots.names import CONNECTION
from include.state.imports import ImportRecord

START = datetime(2026, 1, 1, tzinfo=UTC)
FAR = datetime(2099, 1, 1, tzinfo=UTC)
CLUB = "club"
ANN, BOB, CAT = "ann", "bob", "cat"
PASSWORD = "the key of people who were erased, of 32 characters or more"
CUSTOMERS = [
    {"customer_id": "ann", "email": "Ann@Example.com", "birthday": "03/03"},
    {"customer_id": "bob", "email": "bob@example.com", "birthday": None},
    {"customer_id": "cat", "email": "cat@example.com"},
    {"customer_id": "twin1", "email": "twin@example.com"},
    {"customer_id": "twin2", "email": "TWIN@example.com"},
    {"customer_id": "gone", "email": "gone@example.com", "status": "erased"},
    {"customer_id": "strasse", "email": "Max@Straße.example"},
    {"customer_id": "007", "email": "bond@example.com"},
]
CARDS = [
    {"card_id": "k1", "program_id": CLUB, "customer_id": "ann"},
    {"card_id": "k2", "program_id": CLUB, "customer_id": "bob"},
    {"card_id": "k3", "program_id": CLUB, "customer_id": "bob"},
    {"card_id": "k4", "program_id": CLUB, "customer_id": None},
    {"card_id": "k5", "program_id": "other", "customer_id": "ann"},
]


def fill(url: str, rows: list[dict[str, Any]] | None = None) -> None:
    """Make a ledger: two programs, some people, and rows of transactions (by default 100 points for ann)."""
    engine = sa.create_engine(url)
    canonical.create(engine)
    tables = canonical.METADATA.tables
    program = {"name": "Club", "currency": "EUR", "time_zone": "Europe/Berlin"}
    with engine.begin() as connection:
        connection.execute(
            tables["programs"].insert(),
            [
                program | {"program_id": CLUB, "external_id": 7},
                program | {"program_id": "other", "external_id": 8},
            ],
        )
        rate = {"valid_from": START, "cost_per_point": Decimal("0.01")}
        connection.execute(tables["program_rates"].insert(), [rate | {"program_id": CLUB}])
        for each in CUSTOMERS:
            connection.execute(tables["customers"].insert(), [each])
        connection.execute(tables["cards"].insert(), CARDS)
        tier = {"program_id": CLUB, "subledger_id": ""}
        connection.execute(tables["tiers"].insert(), [tier | {"tier_id": "g", "name": "Gold"}])
        changed = tier | {"customer_id": ANN, "changed_at": START, "tier_id": "g"}
        connection.execute(tables["tier_changes"].insert(), [changed])
        for each in [earned(ANN, "100")] if rows is None else rows:
            connection.execute(tables["transactions"].insert(), [each])
    engine.dispose()


def earned(customer: str, points: str, **more: Any) -> dict[str, Any]:
    return row(customer, points, type="earned", **more)


def row(customer: str | None, points: str, *, day: int = 0, **more: Any) -> dict[str, Any]:
    number = f"{customer}-{points}-{day}-{more.get('card_id', '')}-{more.get('type', '')}"
    return {
        "transaction_id": number,
        "program_id": CLUB,
        "customer_id": customer,
        "points": Decimal(points),
        "created_at": START + timedelta(days=day),
        **more,
    }


class Desk:
    """Imports into one ledger, by Olga; Paul is the second person."""

    def __init__(self, url: str, folder: Path, **more: Any) -> None:
        self.url = url
        folder.mkdir(exist_ok=True)
        settings = Settings(
            ledger_url=url,
            ledger_mapping=None,
            state_url=f"sqlite:///{folder / 'state.sqlite'}",
            store_url=f"file://{folder / 'store'}",
            scratch=folder / "scratch",
            exports=folder / "exports",
            keys=folder / "keys",
            settle_delay=timedelta(0),
            ledger_write_url=url,
        )
        self.settings = replace(settings, **more)
        self.context = Context(self.settings, connections=self._connection)

    def _connection(self, name: str) -> Connection:
        assert name == CONNECTION
        return Connection(name, password=PASSWORD)

    def receive(
        self, text: str | bytes, mode: str = "add", name: str = "points.csv", **more: Any
    ) -> ImportRecord:
        said = {key: more.pop(key) for key in ("again", "renewed", "by") if key in more}
        program = "" if mode == "birthday" else CLUB
        options = Options(**{"mode": Mode(mode), "program": program} | more)
        content = text.encode() if isinstance(text, str) else text
        source = io.BytesIO(content)
        return imports.receive(self.context, source, name=name, options=options, **{"by": "olga"} | said)

    def rehearse(self, text: str | bytes, mode: str = "add", **more: Any) -> ImportRecord:
        return imports.rehearse(self.context, self.receive(text, mode, **more).import_id)

    def run(self, text: str | bytes, mode: str = "add", **more: Any) -> ImportRecord:
        """Rehearse and post a file, agreed to by Paul where that must be."""
        return self.agree(self.rehearse(text, mode, **more))

    def agree(self, record: ImportRecord) -> ImportRecord:
        if record.state == "waiting":
            record = imports.approve(self.context, record.import_id, by="paul")
        return (
            imports.post(self.context, record.import_id, by="paul") if record.state == "rehearsed" else record
        )

    def rows(self, record: ImportRecord) -> list[tuple[Any, ...]]:
        """(row, status, points, balance before, balance after, message) of each row."""
        found = imports.rows(self.context, record.import_id, limit=1000)
        return [
            (x.row, x.status.value, x.points, x.balance_before, x.balance_after, x.message) for x in found
        ]

    def why(self, record: ImportRecord) -> dict[int, str]:
        """What is said of each row that is not booked."""
        found = imports.rows(self.context, record.import_id, limit=1000)
        return {x.row: x.message for x in found if x.message}

    def ledger(self, relation: str = "transactions", **where: Any) -> list[dict[str, Any]]:
        """Rows of the ledger, without what is null."""
        table = canonical.METADATA.tables[relation]
        wanted = sa.select(table).order_by(*table.primary_key.columns)
        for name, value in where.items():
            wanted = wanted.where(table.c[name] == value)
        engine = sa.create_engine(self.url)
        with engine.connect() as connection:
            found = [dict(each._mapping) for each in connection.execute(wanted)]
        engine.dispose()
        return [{key: value for key, value in each.items() if value is not None} for each in found]

    def insert(self, *rows: dict[str, Any]) -> None:
        engine = sa.create_engine(self.url)
        with engine.begin() as connection:
            for each in rows:
                connection.execute(canonical.METADATA.tables["transactions"].insert(), [each])
        engine.dispose()

    def booked(self, record: ImportRecord) -> list[dict[str, Any]]:
        return self.ledger(import_id=record.import_id)
