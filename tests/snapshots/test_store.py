"""What a key names is absent or whole, and never replaced; keys cannot leave the store."""

import os
import resource
import subprocess
import sys
import textwrap

import pytest

from include.errors import BadInput, Permanent, Transient
from include.snapshots.store import Missing, Store
from tests.state.racing import race


@pytest.fixture
def store(tmp_path):
    return Store(f"file://{tmp_path / 'store'}")


def test_create_read_list_delete(store, tmp_path):
    assert store.put_new("a/one", b"1")
    assert store.put_new("a/b/two", iter([b"2", b"2"]))
    (tmp_path / "three").write_bytes(b"333")
    assert store.put_new("c", tmp_path / "three")
    assert [(found.key, found.bytes) for found in store.list()] == [("a/b/two", 2), ("a/one", 1), ("c", 3)]
    assert [found.key for found in store.list("a")] == ["a/b/two", "a/one"]
    assert [found.key for found in store.list("nothing")] == []
    assert store.read("a/b/two") == b"22"
    assert store.get_to("c", tmp_path / "deep" / "copy").read_bytes() == b"333"
    store.delete("a/b/two")
    store.delete("a/b/two")
    assert not store.exists("a/b/two")
    assert (tmp_path / "three").exists()


def test_an_object_is_never_replaced(store, tmp_path):
    assert store.put_new("a", b"first")
    (tmp_path / "file").write_bytes(b"second")
    assert not store.put_new("a", b"second")
    assert not store.put_new("a", tmp_path / "file", move=True)
    assert store.read("a") == b"first"
    assert (tmp_path / "file").exists()


def test_a_file_given_away_is_moved(store, tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    assert store.put_new("a", tmp_path / "file", move=True)
    assert store.read("a") == b"x"
    assert not (tmp_path / "file").exists()


def test_a_file_that_was_kept_does_not_change_with_its_copy(store, tmp_path):
    (tmp_path / "file").write_bytes(b"before")
    store.put_new("a", tmp_path / "file")
    (tmp_path / "file").write_bytes(b"after")
    assert store.read("a") == b"before"


def test_a_missing_key_is_named(store, tmp_path):
    for call in (store.read, lambda key: store.get_to(key, tmp_path / "x")):
        with pytest.raises(Missing, match="no/such"):
            call("no/such")
    assert store.entry("no/such") is None
    assert not (tmp_path / "x").exists()


def test_content_that_breaks_off_leaves_nothing(store, tmp_path):
    def breaking():
        yield b"x" * 1000
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError):
        store.put_new("a/b", breaking())
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "key", ["", "/etc/x", "../x", "a/../x", "a//b", "a/", "./a", "a\\b", "a\0b", "a/.part-1", ".parts/a"]
)
def test_a_key_cannot_leave_the_store(store, key):
    with pytest.raises(BadInput):
        store.put_new(key, b"x")
    with pytest.raises(BadInput):
        store.read(key)


@pytest.mark.parametrize(
    "url", ["", "/plain/path", "ftp://host/x", "file://host/x", "file:relative", "s3://k:s3cret@b/x"]
)
def test_a_wrong_url_is_bad_input_and_shows_no_secret(url):
    with pytest.raises(BadInput) as caught:
        Store(url)
    assert "s3cret" not in str(caught.value)


def test_a_folder_with_spaces_and_accents(tmp_path):
    store = Store((tmp_path / "mon dépôt").as_uri())
    store.put_new("a", b"x")
    assert (tmp_path / "mon dépôt" / "a").read_bytes() == b"x"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(Permanent, match="Permission denied"):
        Store(f"file://{tmp_path}/store").put_new("a", b"x")


@pytest.mark.slow
def test_a_full_disk_is_permanent_and_leaves_nothing(tmp_path):
    # A limit on the size of files makes the kernel refuse the write as a full disk would.
    script = textwrap.dedent("""
        import resource, signal, sys
        from include.errors import Permanent
        from include.snapshots.store import Store
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        try:
            Store(sys.argv[1]).put_new("a/b", (b"x" * 10_000 for _ in range(100)))
        except Permanent as error:
            print(error)
    """)
    url = f"file://{tmp_path / 'store'}"
    shown = subprocess.run(
        [sys.executable, "-c", script, url], capture_output=True, text=True, check=True
    ).stdout
    assert "after 100000 bytes" in shown
    assert str(tmp_path) in shown
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.slow
def test_twelve_processes_create_one_object(tmp_path):
    url = f"file://{tmp_path / 'store'}"
    created = race(create, [(url, number) for number in range(12)])
    assert sum(created) == 1
    store = Store(url)
    assert store.read("deep/er/key") == bytes([created.index(True)]) * 100_000
    assert [found.key for found in store.list()] == ["deep/er/key"]


def create(url, number):
    return Store(url).put_new("deep/er/key", (bytes([number]) * 1000 for _ in range(100)))


@pytest.mark.slow
def test_reading_is_in_bounded_memory(store, tmp_path):
    (tmp_path / "big").write_bytes(bytes(200 << 20))
    store.put_new("big", tmp_path / "big", move=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(len(chunk) for chunk in store.chunks("big")) == 200 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 << 10


def test_an_unreachable_bucket_is_transient(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setattr("include.snapshots.bucket.RETRIES", 0)
    with pytest.raises(Transient) as caught:
        Store("s3://bucket/prefix").read("a")
    assert "s3://bucket/prefix/a" in str(caught.value)
    assert "s3cret" not in str(caught.value)
