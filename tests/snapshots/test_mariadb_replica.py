"""Rule: a snapshot of a replica claims no more than the primary's changes that have arrived (a real MariaDB pair)."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from include.errors import NotYet, Transient
from include.ledger.people import Name
from include.snapshots import canonical
from include.snapshots.check import check
from include.snapshots.excerpt import Holder, looking
from include.snapshots.source import Source, open_read
from tests.servers.running import find, mariadb_server
from tests.servers.waiting import until
from tests.snapshots.ledgers import NEEDS, Desk, ledger, transactions

pytestmark = [pytest.mark.servers, pytest.mark.slow]
NO_DELAY = timedelta(0)


class Pair:
    """A primary, its replica, and a ledger of 1,000 rows on both."""

    def __init__(self, primary: str, replica: str) -> None:
        self.url = replica
        self.primary = sa.create_engine(primary, isolation_level="AUTOCOMMIT")
        self.replica = sa.create_engine(replica, isolation_level="AUTOCOMMIT")
        self.on(self.primary, "RESET MASTER")  # what making the database wrote is on both already
        where = f"MASTER_HOST='127.0.0.1', MASTER_PORT={sa.make_url(primary).port}, MASTER_USER='root'"
        self.on(self.replica, f"CHANGE MASTER TO {where}, MASTER_PASSWORD='', MASTER_USE_GTID=slave_pos")
        self.on(self.replica, "START SLAVE")
        ledger(primary).dispose()
        until(lambda: self.rows() == 1000)

    def on(self, engine: sa.Engine, sql: str) -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql(sql)

    def rows(self) -> int:
        """How many rows the replica has; 0 before it has the table."""
        with self.replica.connect() as connection:
            if "transactions" not in sa.inspect(connection).get_table_names():
                return 0
            return int(connection.exec_driver_sql("SELECT COUNT(*) FROM transactions").scalar_one())

    def write(self, first: int) -> datetime:
        """Add a row on the primary; return a moment after that."""
        with self.primary.connect() as connection:
            connection.execute(canonical.METADATA.tables["transactions"].insert(), transactions(first, 1))
        return datetime.now(UTC)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    if not find("mariadbd"):
        pytest.skip("MariaDB is not installed")
    folder = Path(tempfile.mkdtemp(prefix="loyalty-"))
    try:
        with (
            mariadb_server(folder / "p", ("--log-bin=bin", "--server-id=1")) as primary,
            mariadb_server(folder / "r", ("--skip-log-bin", "--server-id=2", "--read-only")) as replica,
        ):
            yield Pair(primary, replica)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_replica_that_lags_gives_no_snapshot_before_it_has_caught_up(pair: Pair, tmp_path: Path) -> None:
    desk = Desk(tmp_path, pair.url)
    pair.on(pair.replica, "STOP SLAVE")
    pair.on(pair.replica, "CHANGE MASTER TO MASTER_DELAY=3600")
    pair.on(pair.replica, "START SLAVE")
    moment = pair.write(5000)
    for _ in range(15):
        with pytest.raises(NotYet, match="the replica has the primary's changes up to"):
            desk.take(not_before=moment, settle_delay=NO_DELAY)
        time.sleep(0.1)
    pair.on(pair.replica, "STOP SLAVE")
    with pytest.raises(NotYet, match="up to no known moment"):
        desk.take(not_before=moment, settle_delay=NO_DELAY)
    pair.on(pair.replica, "CHANGE MASTER TO MASTER_DELAY=0")
    pair.on(pair.replica, "START SLAVE")
    # Just started, a replica calls itself up to date before it has heard anything (docs/sources.md).
    until(lambda: pair.rows() == 1001)
    taken = []

    def take() -> bool:
        try:
            taken.append(desk.take(not_before=moment, settle_delay=NO_DELAY))
        except NotYet:
            return False
        return True

    until(take)
    assert (taken[0].totals.rows, taken[0].oldest_open_transaction) == (1001, None)


def test_a_replica_that_may_not_be_asked_claims_nothing(pair: Pair, tmp_path: Path) -> None:
    pair.on(pair.replica, "CREATE USER reader@'127.0.0.1'")
    pair.on(pair.replica, "GRANT SELECT ON ledger.* TO reader@'127.0.0.1'")
    url = sa.make_url(pair.url).set(username="reader").render_as_string(hide_password=False)
    with open_read(Source(url)) as reading:
        assert (reading.is_replica, reading.read_at) == (True, 0)
    with (
        looking(Source(url), None) as ledger,
        pytest.raises(Transient, match="the replica does not say up to when"),
    ):
        ledger.excerpt(Holder(Name.CUSTOMER, "c"), NEEDS, tmp_path)
    debit = {**transactions(6000, 1)[0], "customer_id": "d", "type": "redeemed", "points": Decimal(-1)}
    with pair.replica.connect() as connection:
        connection.execute(canonical.METADATA.tables["transactions"].insert(), [debit])
    found = {each.rule for each in check(Source(url))}
    assert "debit_before_any_earn" in found
    assert "created_in_the_future" not in found
    with open_read(Source(pair.primary.url.render_as_string(hide_password=False))) as reading:
        assert not reading.is_replica
