"""A snapshot is what the ledger holds, is made once, and is there whole or not at all."""

import hashlib
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from include import state
from include.errors import NotYet
from include.ledger.hashing import text_hash
from include.snapshots import canonical, extract, parquet, registry
from include.snapshots.source import public_url
from include.state import StaleFence
from include.state.tables import LEASES
from tests.forks import ended, forked, kill_at
from tests.snapshots.ledgers import DELAY, NEEDS, START, Desk, ledger, transactions
from tests.state.expiry import expire
from tests.state.racing import race


@pytest.fixture
def desk(tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    ledger(url)
    return Desk(tmp_path, url)


@pytest.mark.slow
def test_a_snapshot_is_what_the_ledger_holds(any_ledger, tmp_path):
    ledger(any_ledger)
    desk = Desk(tmp_path, any_ledger)
    before = datetime.now(UTC)
    told = []
    manifest = desk.take(progress=lambda *step: told.append(step))
    assert abs(manifest.read_at - before) < timedelta(seconds=30)
    assert manifest.source == public_url(any_ledger)
    assert manifest.columns()["transactions"] == ("transaction_id", "type", "points", "created_at")
    totals = manifest.totals
    assert (totals.rows, totals.points) == (1000, 125_000)
    assert totals.id_hash_total == f"{sum(text_hash(b't%06d' % n) for n in range(1000)) % 2**64:016x}"
    assert (totals.first_created_at, totals.last_created_at) == (START, START + timedelta(minutes=999))
    files = extract.local(desk.store, manifest, ["transactions", "customers"], tmp_path / "local")
    rows = pq.read_table(files["transactions"])
    assert rows["transaction_id"].to_pylist() == [f"t{n:06d}" for n in range(1000)]
    assert pc.sum(rows["points"]).as_py() == 125_000
    assert pq.read_table(files["customers"]).to_pylist() == [{"customer_id": "c"}]
    assert (
        "snapshot transactions",
        1000,
        1000,
    ) in told  # of relations that are read at once, either ends last
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.servers
def test_the_source_shows_no_secret(postgres_ledger, tmp_path):
    ledger(postgres_ledger)
    with_secret = sa.make_url(postgres_ledger).set(password="s3cret").render_as_string(hide_password=False)
    desk = Desk(tmp_path, with_secret)
    manifest = desk.take()
    assert "s3cret" not in manifest.encode().decode()
    assert b"s3cret" not in (tmp_path / "state.sqlite").read_bytes()


def test_one_snapshot_serves_every_earlier_as_of(desk):
    first = desk.take()
    for days in (1, 30, 400):
        assert desk.take(not_before=datetime.now(UTC) - timedelta(days=days)) == first
    assert desk.take(needs={"transactions": ("points",)}) == first
    assert len([key for key in desk.stored() if key.endswith("manifest.json")]) == 1


def test_columns_that_are_not_covered_make_a_new_generation(desk):
    first = desk.take()
    wider = {**NEEDS, "transactions": (*NEEDS["transactions"], "order_id")}
    second = desk.take(needs=wider)
    assert (first.generation, second.generation) == (1, 2)
    assert desk.take() == second
    assert desk.take(needs=wider) == second


@pytest.mark.slow
def test_what_the_ledger_lacks_is_noted_and_asked_for_once(tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    with ledger(url).begin() as connection:
        connection.exec_driver_sql("DROP TABLE webhook_logs")
        connection.exec_driver_sql("ALTER TABLE transactions DROP COLUMN details")
    desk = Desk(tmp_path, url)
    needs = {"transactions": ("points", "details"), "webhook_logs": ("log_id",), "rewards": ("reward_id",)}
    manifest = desk.take(needs=needs)
    assert manifest.absent == ("webhook_logs",)
    assert manifest.relations["transactions"].absent == ("details",)
    assert manifest.relations["rewards"].files == ()
    assert desk.take(needs=needs) == manifest
    local = extract.local(desk.store, manifest, needs, tmp_path / "local")
    assert {name: len(paths) for name, paths in local.items()} == {"transactions": 1, "rewards": 0}


@pytest.mark.slow
def test_recorded_at_decides_what_k_means(tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    engine = ledger(url)
    assert Desk(tmp_path / "with", url).take().has_recorded_at
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE transactions DROP COLUMN recorded_at")
    assert not Desk(tmp_path / "without", url).take().has_recorded_at


def test_a_snapshot_waits_for_settle_delay_on_the_ledgers_clock(desk):
    moment = datetime.now(UTC) - timedelta(minutes=2)
    with pytest.raises(NotYet) as caught:
        desk.take(not_before=moment)
    assert abs(caught.value.until - (moment + DELAY)) < timedelta(seconds=5)
    assert desk.stored() == []
    assert desk.take(not_before=moment, settle_delay=timedelta(minutes=1)).generation == 1


@pytest.mark.slow
def test_a_snapshot_serves_up_to_its_read_point_less_settle_delay(desk):
    manifest = desk.take()
    assert manifest.serves(manifest.read_at - DELAY, DELAY)
    assert not manifest.serves(manifest.read_at - DELAY + timedelta(microseconds=1), DELAY)
    later = desk.take(not_before=manifest.read_at, settle_delay=timedelta(0))
    assert later.generation == 1  # without delay the read point itself is served
    time.sleep(0.01)
    newer = desk.take(not_before=manifest.read_at + timedelta(microseconds=1), settle_delay=timedelta(0))
    assert newer.generation == 2


@pytest.mark.servers
def test_a_snapshot_waits_for_writers_that_began_before_t(postgres_ledger, tmp_path):
    engine = ledger(postgres_ledger)
    desk = Desk(tmp_path, postgres_ledger)
    table = canonical.METADATA.tables["transactions"]
    delay = timedelta(seconds=5)  # and for so long it waits for writers
    with engine.connect() as writer:
        writer.execute(table.insert(), transactions(1000, 1))
        time.sleep(0.2)
        moment = datetime.now(UTC)
        time.sleep(delay.total_seconds())
        with pytest.raises(NotYet, match="is open since"):
            desk.take(not_before=moment, settle_delay=delay)
        writer.commit()
    assert desk.take(not_before=moment, settle_delay=delay).totals.rows == 1001


@pytest.mark.servers
def test_a_writer_that_hangs_is_not_waited_for_longer_than_another_settle_delay(postgres_ledger, tmp_path):
    engine = ledger(postgres_ledger)
    desk = Desk(tmp_path, postgres_ledger)
    with engine.connect() as writer:
        writer.execute(canonical.METADATA.tables["transactions"].insert(), transactions(1000, 1))
        moment = datetime.now(UTC) + timedelta(milliseconds=100)
        time.sleep(2.3)
        manifest = desk.take(not_before=moment, settle_delay=timedelta(seconds=1))
    assert manifest.totals.rows == 1000
    assert manifest.oldest_open_transaction < moment


@pytest.mark.slow
def test_twenty_processes_make_one_snapshot(desk):
    made = race(take_until_there, [(desk.folder, desk.url, number) for number in range(20)])
    assert len(set(made)) == 1
    keys = desk.stored()
    assert len([key for key in keys if key.endswith("manifest.json")]) == 1
    assert len({key.split("/")[3] for key in keys if "/attempts/" in key}) == 1
    assert desk.state.snapshots.references(made[0]) == 20


def take_until_there(folder, url, number):
    desk = Desk(folder, url)
    while True:
        try:
            return desk.take(holder=f"run {number}").id
        except NotYet:
            time.sleep(0.05)


def crash_at(folder, url, number, module, name):
    """Take a snapshot in a process that is killed when `name` is called for the n-th time; how it ended."""

    def take():
        kill_at(module, name, number)
        Desk(folder, url).take()

    return ended(forked(take))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "module", "name"),
    [
        (1, extract, "open_read"),  # the lease is taken
        (1, parquet.RelationFiles, "write"),
        (1, parquet.RelationFiles, "_finish_file"),
        (2, parquet.RelationFiles, "_finish_file"),  # customers are in the store, transactions are not
        (1, registry, "publish"),  # every file is there, the manifest is not
        (1, registry, "register"),  # the snapshot exists, the register does not know
    ],
)
def test_a_crash_leaves_no_half_snapshot_and_the_next_attempt_makes_it(desk, number, module, name):
    assert crash_at(desk.folder, desk.url, number, module, name) == -signal.SIGKILL
    manifests = [key for key in desk.stored() if key.endswith("manifest.json")]
    assert len(manifests) == (1 if name == "register" else 0)
    expire(desk.state, LEASES)
    manifest = desk.take()
    assert manifest.generation == 1
    assert manifest.totals.rows == 1000
    for file in manifest.relations["transactions"].files:
        assert hashlib.sha256(desk.store.read(file.key)).hexdigest() == file.sha256


@pytest.mark.slow
def test_a_source_that_breaks_leaves_nothing(desk, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 1)
    monkeypatch.setattr(parquet, "FILE_ROWS", 1)

    def breaking(stage, *_):
        if stage == "snapshot transactions":
            raise ConnectionError("the source broke")

    with pytest.raises(ConnectionError):
        desk.take(progress=breaking)
    assert desk.stored() == []
    assert list((desk.folder / "scratch").iterdir()) == []
    assert desk.take().totals.rows == 1000


def test_a_zombie_publishes_nothing(desk):
    def overtaken(*_):
        (key,) = set(leases(desk))
        held = desk.state.leases.holder(key)
        desk.state.leases.release(held)
        assert desk.state.leases.acquire(key, "second attempt", timedelta(minutes=1))

    with pytest.raises(StaleFence):
        desk.take(
            progress=lambda stage, *_: overtaken() if stage == "snapshot customers" and leases(desk) else None
        )
    assert desk.stored() == []


def leases(desk):
    """The names of leases that an attempt of this process holds."""
    with desk.state.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT name FROM loyalty_leases WHERE owner <> 'second attempt'")
        return [row.name for row in rows]


@pytest.mark.parametrize(("good_enough", "generation", "folders"), [(True, 1, 1), (False, 2, 2)])
def test_who_publishes_second_takes_what_is_there_or_the_next_generation(
    desk, good_enough, generation, folders
):
    first = desk.take()
    late = first.model_copy(update={"attempt": "late"})
    desk.store.put_new(f"snapshots/{first.source_key}/attempts/late/customers-00001.parquet", b"late")
    published = registry.publish(
        desk.store,
        desk.state,
        lambda number: late.model_copy(update={"generation": number, "id": f"late-{number}"}),
        first_generation=1,
        good_enough=lambda _: good_enough,
    )
    assert published.generation == generation
    assert (published == first) is good_enough
    assert len({key.split("/")[3] for key in desk.stored() if "/attempts/" in key}) == folders


def test_a_manifest_whose_reply_was_lost_is_recognised(desk):
    first = desk.take()
    again = registry.publish(
        desk.store, desk.state, lambda _: first, first_generation=1, good_enough=lambda _: pytest.fail("ours")
    )
    assert again == first


def test_a_new_state_finds_what_the_store_holds(desk):
    first = desk.take()
    (desk.folder / "state.sqlite").unlink()
    for beside in desk.folder.glob("state.sqlite-*"):
        beside.unlink()
    desk.state = state.open(desk.state_url)
    assert desk.take() == first
    assert registry.load(desk.store, desk.state, first.id) == first


def test_files_hold_a_bounded_number_of_rows_in_time_order(desk, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 50)
    monkeypatch.setattr(parquet, "FILE_ROWS", 300)
    monkeypatch.setattr("include.snapshots.sql._BATCH_ROWS", 50)
    manifest = desk.take()
    files = manifest.relations["transactions"].files
    assert [file.rows for file in files] == [300, 300, 300, 100]
    assert [file.first_created_at for file in files] == sorted(file.first_created_at for file in files)
    local = extract.local(desk.store, manifest, ["transactions"], desk.folder / "local")
    for file, path in zip(files, local["transactions"], strict=True):
        created = pq.read_table(path)["created_at"].to_pylist()
        assert (min(created), max(created), len(created)) == (
            file.first_created_at,
            file.last_created_at,
            file.rows,
        )


def test_wide_rows_make_smaller_row_groups(desk, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP_BYTES", 40 * 100)  # a row of the four columns has 30 to 40 bytes
    monkeypatch.setattr("include.snapshots.sql._BATCH_ROWS", 10)
    manifest = desk.take()
    (path,) = extract.local(desk.store, manifest, ["transactions"], desk.folder / "local")["transactions"]
    groups = pq.ParquetFile(path).metadata
    rows = [groups.row_group(n).num_rows for n in range(groups.num_row_groups)]
    assert sum(rows) == 1000
    assert set(rows[:-1]) <= {100, 110, 120, 130}


def test_numbers_are_delta_encoded_and_other_readers_read_them(desk):
    manifest = desk.take()
    (path,) = extract.local(desk.store, manifest, ["transactions"], desk.folder / "local")["transactions"]
    chunks = pq.ParquetFile(path).metadata.row_group(0)
    found = {chunks.column(n).path_in_schema: chunks.column(n) for n in range(chunks.num_columns)}
    for name, compression, encoding in (
        ("points", "UNCOMPRESSED", "DELTA_BINARY_PACKED"),
        ("created_at", "UNCOMPRESSED", "DELTA_BINARY_PACKED"),
        ("transaction_id", "ZSTD", "PLAIN"),
        ("type", "ZSTD", "RLE_DICTIONARY"),
    ):
        assert found[name].compression == compression
        assert encoding in found[name].encodings
    points = pq.read_table(path)["points"].to_pylist()
    assert pl.read_parquet(path)["points"].to_list() == points
    assert [row[0] for row in duckdb.sql(f"select points from '{path}'").fetchall()] == points


@pytest.mark.slow
def test_the_extracting_process_carries_no_query_engine():
    code = (
        "import sys, include.snapshots.extract, include.snapshots.postgres;"
        "print(sorted({'duckdb', 'alembic', 'pandas', 'polars'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown == "[]\n"


def test_files_say_when_their_rows_came_about_by_the_relations_own_moment(desk):
    """Not by `created_at` where another field says it: redemptions go by `redeemed_at`."""
    files = parquet.RelationFiles(
        "redemptions", ("redemption_id", "redeemed_at"), store=desk.store, folder="f", scratch=desk.folder
    )
    moments = pa.array([START + timedelta(days=2), START, None], pa.timestamp("us", "UTC"))
    files.write(pa.record_batch([pa.array(["a", "b", "c"]), moments], ["redemption_id", "redeemed_at"]))
    (file,) = files.close().files
    assert (file.first_created_at, file.last_created_at) == (START, START + timedelta(days=2))
    statistics = pq.read_metadata(desk.store.path(file.key)).row_group(0).column(1).statistics
    assert (statistics.min, statistics.max) == (START, START + timedelta(days=2))
    assert pq.read_metadata(desk.store.path(file.key)).row_group(0).column(0).statistics is None
