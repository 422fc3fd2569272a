"""Google's resumable upload: whatever part of a piece the server keeps, the object is whole."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import Transient
from include.targets.object_stores.client import Answer
from include.targets.object_stores.gcs import GcsUpload


class Server:
    """Keeps as many of the bytes sent as it is told to, by Google's description of 308 and Range."""

    place = "gs://b"

    def __init__(self, kept: list[int]) -> None:
        self.bytes, self.kept, self.whole = b"", kept, False

    def ask(self, method, url, headers, body=b""):
        first, last, total = re.fullmatch(
            r"bytes (?:(\d+)-(\d+)|\*)/(\d+)", headers["Content-Range"]
        ).groups()
        assert not self.whole
        if body:
            assert int(first) == len(self.bytes)
            assert int(last) - int(first) + 1 == len(body)
            self.bytes += body[: self.kept.pop() if self.kept else len(body)]
        if len(self.bytes) == int(total):
            self.whole = True
            return Answer(200, {}, b"{}")
        return Answer(308, {"Range": f"bytes=0-{len(self.bytes) - 1}"} if self.bytes else {}, b"")


@given(
    st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=5),
    st.lists(st.integers(1, 20), max_size=20),
)
def test_what_the_server_did_not_keep_is_sent_again(parts, kept):
    server = Server(kept)
    upload = GcsUpload(server, "x", "http://session", sum(map(len, parts)))
    for number, part in enumerate(parts, 1):
        upload.part(number, part)
    assert not server.whole  # the object is there with `finish`, not before
    assert upload.finish()
    assert server.bytes == b"".join(parts)


def test_a_server_that_keeps_nothing_is_not_asked_for_ever():
    upload = GcsUpload(Server([0, 0, 0]), "x", "http://session", 3)
    upload.part(1, b"abc")
    with pytest.raises(Transient, match="does not go on"):
        upload.finish()
