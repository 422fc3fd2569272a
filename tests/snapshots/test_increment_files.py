"""The files that snapshots share: damaged, removed in their time, left whole by whatever breaks an attempt.

Guards docs/scale.md, "Incremental snapshots".
"""

import hashlib
import time
from datetime import timedelta
from pathlib import Path

import pytest

from include.errors import NotYet, Permanent, Transient
from include.snapshots import extract, parquet, registry
from include.snapshots.increment import begin
from include.snapshots.local import Damaged
from include.snapshots.proof import load
from include.snapshots.store import Missing
from tests.snapshots.days import DAY, NEEDS, Days, add, forty_days, keys, row, small_files
from tests.snapshots.ledgers import ledger
from tests.state.racing import race


@pytest.fixture
def desk(any_ledger, tmp_path):
    return forty_days(any_ledger, tmp_path)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    small_files(monkeypatch)


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("how", [damage, Path.unlink])
@pytest.mark.parametrize("place", [1, -1])  # a file that is shared, and one that is cut
def test_a_file_of_the_base_that_is_damaged_is_read_again(sqlite_ledger, tmp_path, how, place):
    desk = forty_days(sqlite_ledger, tmp_path)
    first = desk.next()
    how(desk.store.path(keys(first)[place]))
    add(desk.engine, row(400, 39))
    second = desk.next()
    if how is damage and place == 1:  # nobody has read it yet; whoever does takes the snapshot out of use
        with pytest.raises(Damaged):
            extract.local(desk.store, second, NEEDS, tmp_path / "l", state=desk.state)
        second = desk.next()
    desk.same_as_whole(second)
    assert keys(first)[place] not in keys(second)
    assert keys(first)[0] in keys(second)


def test_a_proof_that_is_not_what_it_was_proves_nothing(sqlite_ledger, tmp_path):
    ledger(sqlite_ledger, 10)
    desk = Days(tmp_path, sqlite_ledger)
    first = desk.next()
    damage(desk.store.path(first.proof.key))
    assert load(desk.store, first.proof) is None
    assert desk.next().increment is None


def test_retention_never_takes_a_file_that_a_kept_snapshot_names(desk):
    made = [desk.next()]
    for day in range(40, 44):
        add(desk.engine, row(day * 10, day))
        made.append(desk.next(holder="backfill" if day == 41 else None))
    retired = registry.retire(desk.store, desk.state, older_than=timedelta(0))
    assert set(retired) == {made[0].id, made[1].id, made[3].id}
    named = made[2].keys() | made[4].keys()
    assert {key for key in desk.stored() if "/attempts/" in key} == named
    for kept in (made[2], made[4]):
        assert len(desk.rows(kept)["transactions"]) == kept.totals.rows
    desk.state.snapshots.unrefer(made[2].id, "backfill")
    assert registry.retire(desk.store, desk.state, older_than=timedelta(0)) == [made[2].id]
    assert {key for key in desk.stored() if "/attempts/" in key} == made[4].keys()
    assert registry.sweep(desk.store, desk.key, timedelta(0)) == 0
    with pytest.raises(Missing):
        registry.load(desk.store, desk.state, made[0].id)
    desk.same_as_whole(desk.next())


def test_retention_waits_while_a_snapshot_is_being_taken(sqlite_ledger, tmp_path):
    ledger(sqlite_ledger, 10)
    desk = Days(tmp_path, sqlite_ledger)
    first = desk.next()
    desk.next()
    lease = desk.state.leases.acquire(f"snapshot {desk.key}", "an attempt", DAY)
    assert registry.retire(desk.store, desk.state, older_than=timedelta(0)) == []
    desk.state.leases.release(lease)
    assert registry.retire(desk.store, desk.state, older_than=timedelta(0)) == [first.id]


def test_a_full_disk_leaves_the_base_whole(sqlite_ledger, tmp_path, monkeypatch):
    desk = forty_days(sqlite_ledger, tmp_path)
    first = desk.next()
    before = desk.stored()
    add(desk.engine, row(400, 39))
    writing = parquet.pq.ParquetWriter.write_table

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parquet.pq.ParquetWriter, "write_table", full)
    with pytest.raises(Permanent, match="No space left"):
        desk.next()
    monkeypatch.setattr(parquet.pq.ParquetWriter, "write_table", writing)
    assert desk.stored() == before
    second = desk.next()
    assert second.increment.base == first.id
    desk.same_as_whole(second)


def test_only_a_snapshot_without_the_same_people_is_begun_from(sqlite_ledger, tmp_path):
    ledger(sqlite_ledger, 10)
    desk = Days(tmp_path, sqlite_ledger)
    first = desk.next()
    asked = {"read_at": first.read_at + DAY, "whole_every": 9 * DAY, "scratch": tmp_path}
    assert begin(desk.store, desk.state, desk.key, erasures=None, **asked).manifest == first
    assert begin(desk.store, desk.state, desk.key, erasures="another", **asked) is None


def test_shared_files_are_what_their_manifests_say(desk):
    desk.next()
    add(desk.engine, row(400, 39))
    for file in (each for held in desk.next().relations.values() for each in held.files):
        assert hashlib.sha256(desk.store.read(file.key)).hexdigest() == file.sha256


@pytest.mark.slow
def test_many_processes_begin_one_snapshot(sqlite_ledger, tmp_path):
    desk = forty_days(sqlite_ledger, tmp_path)
    first = desk.next()
    add(desk.engine, row(400, 39))
    after = first.read_at + timedelta(microseconds=1)
    made = race(next_until_there, [(tmp_path, sqlite_ledger, after) for _ in range(6)])
    assert set(made) == {f"{desk.key}-2"}
    second = registry.load(desk.store, desk.state, made[0])
    assert second.increment.base == first.id
    assert {key for key in desk.stored() if "/attempts/" in key} == first.keys() | second.keys()
    desk.same_as_whole(second)


def next_until_there(folder, url, after):
    desk = Days(folder, url)
    while True:
        try:
            return desk.next(not_before=after).id
        except NotYet:
            time.sleep(0.05)


@pytest.mark.servers
def test_a_server_that_goes_away_meanwhile_leaves_the_base_whole(postgres_ledger, tmp_path):
    desk = forty_days(postgres_ledger, tmp_path)
    first = desk.next()
    before = desk.stored()
    add(desk.engine, row(400, 39))

    def ended(stage, *_):
        if stage == "snapshot customers":
            with desk.engine.connect() as connection:
                mine = "pid <> pg_backend_pid() AND backend_type = 'client backend' AND datname = current_database()"
                connection.exec_driver_sql(
                    f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}"
                )

    with pytest.raises(Transient):
        desk.next(progress=ended)
    assert desk.stored() == before
    second = desk.next()
    assert second.increment.base == first.id
    desk.same_as_whole(second)
