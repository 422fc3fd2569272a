"""A corner of a real object store for each test: a target's module, options and connection, and a way to look inside.

The servers start when the first test wants one and end with the tests' process. What looks inside is obstore with the
environment's credentials, so it shares nothing with the code under test but the server.
"""

from __future__ import annotations

import atexit
import dataclasses
import importlib
import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import obstore
import pytest
from cryptography.hazmat.primitives import serialization
from obstore.store import from_url

from include.connections import Connection, Secrets
from tests.servers import buckets
from tests.servers.gcs_door import KEY

KINDS = ("s3", "gcs", "azure_blob")
_SERVERS = {"s3": buckets.s3, "s3 small": buckets.s3_small, "gcs": buckets.gs, "azure_blob": buckets.abfs}
_ENDPOINTS = {"s3": "AWS_ENDPOINT_URL", "gcs": "GOOGLE_BASE_URL", "azure_blob": "AZURE_STORAGE_ENDPOINT"}
NAME = "acme"


@cache
def _served(server: str) -> buckets.Served | buckets.NotInstalled:
    stack = ExitStack()
    atexit.register(stack.close)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
    try:
        return stack.enter_context(_SERVERS[server](folder))
    except buckets.NotInstalled as missing:
        return missing


@dataclass(frozen=True)
class Corner:
    """A prefix of its own in the bucket of a server."""

    kind: str
    prefix: str
    served: buckets.Served
    server: str

    @property
    def module(self) -> ModuleType:
        return importlib.import_module(f"include.targets.{self.kind}")

    @property
    def endpoint(self) -> str:
        return self.served.environment[_ENDPOINTS[self.kind]]

    def options(self, **more: Any) -> Any:
        where = "container" if self.kind == "azure_blob" else "bucket"
        document = {"connection": NAME, where: buckets.BUCKET, "prefix": self.prefix, **more}
        return self.module.Options.model_validate(document)

    def secrets(self, endpoint: str | None = None, **changes: Any) -> Secrets:
        """The connection as Airflow would hold it. endpoint: another way to the server."""
        return Secrets(Path(), {NAME: connection(self.kind, endpoint or self.endpoint, **changes)})

    def task(self) -> dict[str, Any]:
        """Kind, options and connection, for a process of its own."""
        held = self.secrets().connections[NAME]
        fields = {each.name: getattr(held, each.name) for each in dataclasses.fields(held)}
        return {"kind": self.kind, "options": self.options().model_dump(mode="json"), "connection": fields}

    @property
    def inside(self) -> Any:
        return _inside(self.server)

    def names(self) -> list[str]:
        found = (each["path"] for page in obstore.list(self.inside, self.prefix) for each in page)
        return sorted(path.removeprefix(f"{self.prefix}/") for path in found)

    def read(self, name: str) -> bytes:
        return bytes(obstore.get(self.inside, f"{self.prefix}/{name}").bytes())

    def attributes(self, name: str) -> dict[str, str]:
        return dict(obstore.get(self.inside, f"{self.prefix}/{name}").attributes)

    def plant(self, name: str, content: bytes) -> None:
        obstore.put(self.inside, f"{self.prefix}/{name}", content, use_multipart=False)

    def delete(self, name: str) -> None:
        obstore.delete(self.inside, f"{self.prefix}/{name}")


@cache
def _inside(server: str) -> Any:
    served = _served(server)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in served.environment.items():
            environment.setenv(name, value)
        return from_url(served.url, client_options={"allow_http": True})


def connection(kind: str, endpoint: str, **changes: Any) -> Connection:
    """A connection to the server of that kind; `extra` in the changes is laid over its extra."""
    extra = changes.pop("extra", {})
    if kind == "s3":
        keys = buckets.S3_KEYS
        known = {"login": keys["accessKey"], "password": keys["secretKey"], "conn_type": "aws"}
        return Connection(NAME, **{**known, **changes}, extra={"endpoint_url": endpoint, **extra})
    if kind == "gcs":
        own = {"endpoint_url": endpoint, "keyfile_dict": key_file(endpoint)}
        return Connection(NAME, **{"conn_type": "google_cloud_platform", **changes}, extra={**own, **extra})
    known = {"conn_type": "wasb", "host": endpoint, "login": "tester", "password": buckets.AZURE_KEY}
    return Connection(NAME, **{**known, **changes}, extra=extra)


def key_file(endpoint: str, key: Any = KEY) -> dict[str, str]:
    """A service account's key file whose token service is the test server."""
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return {
        "type": "service_account",
        "client_email": "exports@tests.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": private,
        "token_uri": f"{endpoint}/token",
    }


def corner(kind: str, server: str | None = None) -> Corner:
    """A new corner; the test is skipped where the server's program is not installed. server: `s3 small`."""
    served = _served(server or kind)
    if isinstance(served, buckets.NotInstalled):
        if os.environ.get("CI"):
            pytest.fail(f"{served} is not installed")
        pytest.skip(f"{served} is not installed")
    return Corner(kind, f"corner-{os.urandom(6).hex()}", served, server or kind)
