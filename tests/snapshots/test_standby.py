"""Rule: a snapshot of a replica claims no more than the primary's changes that have arrived (a real PostgreSQL pair)."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from include.errors import NotYet, Transient
from include.snapshots import canonical, replicas
from include.snapshots.source import Source, open_read
from tests.servers.running import find, postgres_server, postgres_standby
from tests.servers.waiting import until
from tests.snapshots.ledgers import NEEDS, Desk, ledger, transactions

pytestmark = [pytest.mark.servers, pytest.mark.slow]
NO_DELAY = timedelta(0)
PRIMARY = {
    "wal_level": "replica",
    "max_wal_senders": "4",
    "wal_sender_timeout": "2s",  # an idle primary says that it lives after half of it
    "synchronous_commit": "on",
}
STANDBY = {"wal_receiver_status_interval": "1s", "max_standby_streaming_delay": "0"}


class Pair:
    """A primary, its standby, and a ledger of 1,000 rows on both."""

    def __init__(self, primary: str, standby: str) -> None:
        self.primary, self.standby = primary, standby
        self.engine = sa.create_engine(primary)
        self.other = sa.create_engine(standby, isolation_level="AUTOCOMMIT")

    def write(self, first: int) -> datetime:
        """Add a row on the primary; return a moment of its clock after that."""
        with self.engine.begin() as connection:
            connection.execute(canonical.METADATA.tables["transactions"].insert(), transactions(first, 1))
        with self.engine.connect() as connection:
            moment: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        return moment

    def on_standby(self, sql: str) -> object:
        with self.other.connect() as connection:
            return connection.exec_driver_sql(sql).scalar()

    def caught_up(self) -> None:
        """Wait until the standby has replayed what the primary has now."""
        with self.engine.connect() as connection:
            end = connection.exec_driver_sql("SELECT pg_current_wal_insert_lsn()").scalar_one()
        until(lambda: self.on_standby(f"SELECT pg_last_wal_replay_lsn() >= '{end}'") is True)

    def stand_in_the_way(self) -> None:
        """Lock the table on the primary for a moment, which no read of it on the standby survives."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql("LOCK TABLE transactions IN ACCESS EXCLUSIVE MODE")
        self.caught_up()


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    if not find("pg_basebackup"):
        pytest.skip("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp(prefix="loyalty-"))
    try:
        with postgres_server(folder / "primary", settings=PRIMARY) as primary:
            ledger(primary)
            with postgres_standby(folder / "standby", primary, settings=STANDBY) as standby:
                made = Pair(primary, standby)
                made.write(1000)
                made.caught_up()
                yield made
                made.engine.dispose()
                made.other.dispose()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_standby_that_lags_gives_no_snapshot_before_it_has_caught_up(pair: Pair, tmp_path: Path) -> None:
    desk = Desk(tmp_path, pair.standby)
    pair.on_standby("SELECT pg_wal_replay_pause()")
    until(lambda: pair.on_standby("SELECT pg_get_wal_replay_pause_state()") == "paused")
    try:
        moment = pair.write(5000)
        for _ in range(20):  # whatever the primary says meanwhile
            with pytest.raises(NotYet, match=r"the replica has the primary's changes up to 20\d\d-") as early:
                desk.take(not_before=moment, settle_delay=NO_DELAY)
            time.sleep(0.1)
        assert early.value.until > datetime.now(UTC) - timedelta(seconds=1)
    finally:
        pair.on_standby("SELECT pg_wal_replay_resume()")
    taken = []

    def take() -> bool:
        try:
            taken.append(desk.take(not_before=moment, settle_delay=NO_DELAY))
        except NotYet:
            return False
        return True

    until(take)  # the primary is idle now: its signs of life say that nothing is missing
    assert taken[0].totals.rows == 1002
    assert taken[0].read_at >= moment
    assert taken[0].oldest_open_transaction is None, "a standby sees no writer of the primary"


def test_the_read_point_is_never_later_than_the_primary(pair: Pair) -> None:
    with open_read(Source(pair.standby)) as reading:
        assert reading.is_replica
        now = pair.write(int(time.monotonic() * 1000) % 100_000 + 10_000)
        assert 0 < reading.read_at < now.timestamp() * 1_000_000
    with open_read(Source(pair.primary)) as reading:
        assert not reading.is_replica
        assert reading.oldest_open_transaction() is not None


@pytest.mark.parametrize("times", [1, replicas.ATTEMPTS])
def test_a_read_that_the_standby_cancels_is_retried_then_reported(
    pair: Pair, tmp_path: Path, times: int
) -> None:
    desk = Desk(tmp_path, pair.standby)
    cancelled = []

    def standing_in_the_way(stage: str, _done: int, total: int | None) -> None:
        if stage == "snapshot customers" and total is not None and len(cancelled) < times:
            cancelled.append(stage)
            pair.stand_in_the_way()

    def take():
        return desk.take(
            needs=NEEDS, not_before=datetime(2026, 1, 2, tzinfo=UTC), progress=standing_in_the_way
        )

    if times < replicas.ATTEMPTS:
        assert take().totals.rows >= 1000
    else:
        sentence = r"the replica ended the read: .* tried 3 times: .*hot_standby_feedback"
        with pytest.raises(Transient, match=sentence):
            take()
        assert desk.stored() == []
    assert len(cancelled) == times


RUNNING = {"Slave_IO_Running": "Yes", "Slave_SQL_Running": "Yes"}


@pytest.mark.parametrize(
    ("channels", "behind"),
    [
        ([], 0),
        ([RUNNING | {"Seconds_Behind_Master": 0}], 1),
        ([RUNNING | {"Seconds_Behind_Master": 7}, RUNNING | {"Seconds_Behind_Master": 70}], 71),
        ([{"Replica_IO_Running": "Yes", "Replica_SQL_Running": "Yes", "Seconds_Behind_Source": 7}], 8),
        ([RUNNING | {"Slave_IO_Running": "Connecting", "Seconds_Behind_Master": 0}], None),
        ([RUNNING | {"Seconds_Behind_Master": None}], None),
    ],
)
def test_what_a_replica_of_mysql_says_of_itself(
    channels: list[dict[str, object]], behind: int | None
) -> None:
    """Seconds are whole: one less is claimed. Who does not run, or does not know, claims nothing."""
    wanted = None if behind is None else (1_000 - behind) * 1_000_000
    assert replicas.mysql_read_point(channels, 1_000 * 1_000_000) == wanted
