"""Small ledgers and what is needed to take snapshots of them. Helpers, not tests."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from include import state
from include.snapshots import canonical, extract
from include.snapshots.source import Source
from include.snapshots.store import Store

START = datetime(2026, 1, 1, tzinfo=UTC)
DELAY = timedelta(minutes=5)
NEEDS = {"transactions": ("transaction_id", "points", "created_at", "type"), "customers": ("customer_id",)}


def transactions(first, count):
    return [
        {
            "transaction_id": f"t{number:06d}",
            "program_id": "p",
            "customer_id": "c",
            "type": "earned",
            "points": Decimal("1.25"),
            "created_at": START + timedelta(minutes=number),
        }
        for number in range(first, first + count)
    ]


def ledger(url, rows=1000):
    engine = sa.create_engine(url)
    canonical.create(engine)
    tables = canonical.METADATA.tables
    with engine.begin() as connection:
        program = {"program_id": "p", "name": "P", "currency": "EUR", "time_zone": "UTC"}
        connection.execute(tables["programs"].insert(), [program])
        connection.execute(tables["customers"].insert(), [{"customer_id": "c"}])
        if rows:
            connection.execute(tables["transactions"].insert(), transactions(0, rows))
    return engine


class Desk:
    """A ledger, a store and a state, and `take` with what a test does not care about."""

    def __init__(self, folder, url):
        self.folder, self.url = folder, url
        self.source = Source(url)
        self.store = Store(f"file://{folder / 'store'}")
        self.state_url = f"sqlite:///{folder / 'state.sqlite'}"
        self.state = state.open(self.state_url)

    def take(self, **changes):
        asked = {
            "needs": NEEDS,
            "not_before": datetime.now(UTC) - 2 * DELAY,
            "settle_delay": DELAY,
            "scratch": self.folder / "scratch",
        }
        return extract.take(self.source, self.store, self.state, **(asked | changes))

    def stored(self):
        return [found.key for found in self.store.list()]
