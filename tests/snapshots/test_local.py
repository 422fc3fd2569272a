"""Reports read local files whose hashes were checked; a damaged snapshot is found, named and replaced."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from include.snapshots import extract, parquet, registry
from include.snapshots.local import Damaged
from include.snapshots.store import Missing, Store
from tests.snapshots.ledgers import NEEDS, START, Desk, ledger


@pytest.fixture
def desk(tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    ledger(url, 10)
    return Desk(tmp_path, url)


class Remote(Store):
    """A store whose objects are not local files, as in a bucket."""

    def path(self, key):
        return None


def test_a_folder_store_is_read_in_place(desk):
    manifest = desk.take()
    paths = extract.local(desk.store, manifest, ["transactions"], desk.folder / "local")["transactions"]
    assert [path.relative_to(desk.folder / "store").as_posix() for path in paths] == [
        file.key for file in manifest.relations["transactions"].files
    ]


def test_other_stores_are_copied_once(desk, monkeypatch):
    manifest = desk.take()
    remote = Remote(desk.store.url)
    (path,) = extract.local(remote, manifest, ["customers"], desk.folder / "local")["customers"]
    assert path.is_relative_to(desk.folder / "local")
    monkeypatch.setattr(remote, "get_to", lambda *_: pytest.fail("copied again"))
    assert extract.local(remote, manifest, ["customers"], desk.folder / "local")["customers"] == [path]


def damage(path: Path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("kind", [Store, Remote])
@pytest.mark.parametrize("how", [damage, Path.unlink])
def test_a_damaged_file_is_named_and_its_snapshot_replaced(desk, kind, how):
    manifest = desk.take()
    (file,) = manifest.relations["transactions"].files
    how(desk.store.path(file.key))
    with pytest.raises(Damaged, match=file.key):
        extract.local(kind(desk.store.url), manifest, NEEDS, desk.folder / "local", state=desk.state)
    again = desk.take()
    assert again.generation == 2
    assert extract.local(desk.store, again, NEEDS, desk.folder / "local", state=desk.state)


def test_a_damaged_copy_is_fetched_again(desk):
    manifest = desk.take()
    remote = Remote(desk.store.url)
    (path,) = extract.local(remote, manifest, ["customers"], desk.folder / "local")["customers"]
    damage(path)
    assert extract.local(remote, manifest, ["customers"], desk.folder / "local")["customers"] == [path]
    assert path.read_bytes() == desk.store.read(manifest.relations["customers"].files[0].key)


def test_files_of_other_times_are_neither_fetched_nor_hashed(desk, monkeypatch):
    files = parquet.RelationFiles(
        "transactions", ("created_at",), store=desk.store, folder="f", scratch=desk.folder
    )
    for day in range(3):
        created = pa.array([START + timedelta(days=day)], pa.timestamp("us", "UTC"))
        files._waiting = [pa.record_batch([created], ["created_at"])]
        files._flush()
        files._finish_file()
    manifest = desk.take()
    manifest = manifest.model_copy(update={"relations": {"transactions": files.close()}})
    for days, count in ((0, 0), (1, 1), (1.5, 2), (9, 3)):
        before = START + timedelta(days=days)
        found = extract.local(desk.store, manifest, ["transactions"], desk.folder / "x", before=before)
        assert len(found["transactions"]) == count
    remote, fetched = Remote(desk.store.url), []
    monkeypatch.setattr(
        remote, "get_to", lambda key, path: fetched.append(key) or desk.store.get_to(key, path)
    )
    for since, before, count in ((0, 9, 3), (1, 9, 2), (1, 2, 1), (2.5, 9, 0), (1.5, 1.9, 0)):
        bounds = {"since": START + timedelta(days=since), "before": START + timedelta(days=before)}
        folder = desk.folder / f"remote-{since}-{before}"
        fetched.clear()
        assert (
            len(extract.local(remote, manifest, ["transactions"], folder, **bounds)["transactions"]) == count
        )
        assert len(fetched) == count


@pytest.mark.slow
def test_what_somebody_needs_is_kept(desk):
    first = desk.take(holder="backfill")
    second = desk.take(needs={**NEEDS, "rewards": ("reward_id",)})
    assert registry.retire(desk.store, desk.state, older_than=timedelta(0)) == []
    desk.state.snapshots.unrefer(first.id, "backfill")
    assert registry.retire(desk.store, desk.state, older_than=timedelta(days=1)) == []
    assert registry.retire(desk.store, desk.state, older_than=timedelta(0)) == [first.id]
    with pytest.raises(Missing):
        registry.load(desk.store, desk.state, first.id)
    assert not desk.state.snapshots.refer(first.id, "late")
    assert {key.split("/")[3] for key in desk.stored() if "/attempts/" in key} == {second.attempt}
    assert desk.take() == second


@pytest.mark.slow
def test_a_retired_generation_is_not_used_again(desk):
    desk.take()
    second = desk.take(needs={**NEEDS, "rewards": ("reward_id",)})
    registry.retire(desk.store, desk.state, older_than=timedelta(0))
    desk.state.snapshots.damaged(second.id)
    assert desk.take().generation == 3


def test_files_of_dead_attempts_are_swept_and_others_are_not(desk, monkeypatch):
    manifest = desk.take()
    folder = f"snapshots/{manifest.source_key}/attempts"
    desk.store.put_new(f"{folder}/dead/customers-00001.parquet", b"x")
    assert registry.sweep(desk.store, manifest.source_key) == 0
    monkeypatch.setattr(registry, "ABANDONED", timedelta(0))
    assert registry.sweep(desk.store, manifest.source_key) == 1
    assert {key.split("/")[3] for key in desk.stored() if "/attempts/" in key} == {manifest.attempt}
