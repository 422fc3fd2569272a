"""The store in real servers of S3, Google Cloud Storage and Azure: creates, listings and errors as in a folder."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from include.errors import LoyaltyError, Permanent
from include.snapshots import bucket as module
from include.snapshots import extract
from include.snapshots.store import Missing, Store
from tests.servers import corners
from tests.snapshots.ledgers import NEEDS, Desk, ledger

pytestmark = pytest.mark.servers
LARGE = module.LARGE_BYTES + 1


@pytest.fixture(scope="module", params=corners.KINDS)
def served(request):
    return corners.corner(
        request.param
    ).served  # one server of each kind for all tests: two of S3 do not get on


@pytest.fixture
def bucket(served, monkeypatch):
    for name, value in served.environment.items():
        monkeypatch.setenv(name, value)
    return f"{served.url}/{os.urandom(6).hex()}"


def test_create_read_list_delete(bucket, tmp_path):
    store = Store(bucket)
    assert store.put_new("a/one", b"1")
    assert store.put_new("a/b/two", iter([b"2", b"2"]))
    (tmp_path / "three").write_bytes(b"333")
    assert store.put_new("c", tmp_path / "three", move=True)
    assert not (tmp_path / "three").exists()
    assert [(found.key, found.bytes) for found in store.list()] == [("a/b/two", 2), ("a/one", 1), ("c", 3)]
    assert [found.key for found in store.list("a")] == ["a/b/two", "a/one"]
    assert store.get_to("c", tmp_path / "copy").read_bytes() == b"333"
    store.delete("c")
    store.delete("c")
    assert store.entry("c") is None
    assert store.path("a/one") is None
    with pytest.raises(Missing):
        store.read("c")


def written(path, letter, size):
    path.write_bytes(letter * size)
    return path


@pytest.mark.parametrize("size", [1, 20 << 20, LARGE])  # one request, a long one, and an upload in parts
def test_an_object_is_never_replaced(bucket, size, tmp_path):
    store = Store(bucket)
    assert store.put_new("a", written(tmp_path / "x", b"x", size))
    assert not store.put_new("a", written(tmp_path / "y", b"y", size))
    assert not store.put_new("a", iter([b"y", b"y"]))
    assert store.read("a") == b"x" * size
    assert [found.key for found in store.list()] == ["a"]
    assert store.clear_parts(datetime.now(UTC) + timedelta(hours=1)) == 0


@pytest.mark.parametrize("served", ["s3"], indirect=True)
def test_a_file_that_s3_could_not_copy_is_refused_before_it_is_sent(bucket, tmp_path):
    with (tmp_path / "x").open("wb") as file:
        file.truncate(module.MOST_COPIED_BYTES + 1)
    with pytest.raises(Permanent, match="split"):
        Store(bucket).put_new("a", tmp_path / "x")
    assert list(Store(bucket).list()) == []


def test_a_large_file_costs_little_memory(bucket, tmp_path):
    code = (
        "import sys, resource; from pathlib import Path; from include.snapshots.store import Store;"
        "Store(sys.argv[1]).put_new('small', Path(sys.argv[2]));"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "Store(sys.argv[1]).put_new('large', Path(sys.argv[3]));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    files = [written(tmp_path / "small", b"x", LARGE), written(tmp_path / "large", b"x", 200 << 20)]
    command = [sys.executable, "-c", code, bucket, *map(str, files)]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown < 60 << 10  # KiB


def test_what_an_upload_left_behind_is_hidden_and_cleared_away_when_old(bucket, tmp_path, monkeypatch):
    store = Store(bucket)
    with monkeypatch.context() as killed:
        killed.setattr(module.Bucket, "delete", lambda *_: None)
        store.put_new("a", written(tmp_path / "x", b"x", LARGE))
    assert [found.key for found in store.list()] == ["a"]
    assert store.clear_parts(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert store.clear_parts(datetime.now(UTC) + timedelta(hours=1)) == 1
    assert store.clear_parts(datetime.now(UTC) + timedelta(hours=1)) == 0
    assert store.entry("a").bytes == LARGE


def test_eight_processes_create_one_object(bucket):
    Store(bucket).put_new("warm", b"")  # the bucket itself is there
    code = (
        "import sys; from include.snapshots.store import Store;"
        "print(Store(sys.argv[1]).put_new('key', sys.argv[2].encode()))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, bucket, str(n)], stdout=subprocess.PIPE, text=True)
        for n in range(8)
    ]
    answers = [process.communicate(timeout=120)[0].strip() for process in running]
    assert sorted(answers) == ["False"] * 7 + ["True"]
    assert Store(bucket).read("key") == str(answers.index("True")).encode()


def test_a_wrong_secret_is_permanent_and_not_shown(served, bucket, monkeypatch):
    ((name, wrong),) = served.wrong.items()
    monkeypatch.setenv(name, wrong)
    with pytest.raises(Permanent) as caught:
        Store(bucket).put_new("a", b"x")
    assert wrong not in str(caught.value)
    assert bucket in str(caught.value)


def test_content_that_breaks_off_leaves_nothing(bucket):
    def breaking():
        yield b"x" * (20 << 20)
        raise RuntimeError("the source broke")

    with pytest.raises((RuntimeError, LoyaltyError)):
        Store(bucket).put_new("a", breaking())
    assert list(Store(bucket).list()) == []


def test_a_snapshot_lives_in_a_bucket(bucket, tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    ledger(url)
    desk = Desk(tmp_path, url)
    desk.store = Store(bucket)
    manifest = desk.take()
    assert desk.take() == manifest
    files = extract.local(desk.store, manifest, NEEDS, tmp_path / "local")
    assert [path.stat().st_size for path in files["transactions"]] == [
        file.bytes for file in manifest.relations["transactions"].files
    ]
