"""A body that is read from a file: what a request left of it ends with the request."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from include.errors import Transient
from include.targets.object_stores import client
from include.targets.object_stores.client import Ask, Client, FileBody


def test_a_broken_request_leaves_no_reader(tmp_path, monkeypatch):
    import urllib3

    monkeypatch.setattr(client, "BACKOFF_SECONDS", 0.0)
    path = tmp_path / "file"
    path.write_bytes(b"x" * (3 * client.PIECE_BYTES))
    body = FileBody(
        path, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest(), lambda _sent: None
    )
    bodies: list[Any] = []

    def breaks(self: Any, method: str, url: str, *, body: Any, **_: Any) -> None:
        bodies.append(body)
        next(body)
        raise urllib3.exceptions.ProtocolError

    monkeypatch.setattr(urllib3.PoolManager, "request", breaks)
    with pytest.raises(Transient, match="the connection broke"):
        Client("http://127.0.0.1:9").send(lambda: Ask("PUT", "http://127.0.0.1:9/x", body=body))
    assert len(bodies) == client.ATTEMPTS
    assert all(each.gi_frame is None for each in bodies)
