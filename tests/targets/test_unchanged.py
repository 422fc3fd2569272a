"""A file that nobody touched since it was hashed is not hashed twice; any touch is seen."""

from __future__ import annotations

import hashlib
import os
import time

import pytest

from include.errors import Transient
from include.targets import unchanged
from include.targets.object_stores.client import FileBody

CONTENT = b"0123456789" * 100_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
LATER_NS = 5_000_000_000


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "x.csv"
    found.write_bytes(CONTENT)
    os.utime(found, (10**9, 10**9))
    return found


@pytest.fixture
def later(monkeypatch):
    """Five seconds later, when a stamp proves something."""
    now = time.time_ns()
    monkeypatch.setattr(unchanged.time, "time_ns", lambda: now + LATER_NS)


def sent(path, sha256, stamp) -> bytes:
    return b"".join(FileBody(path, len(CONTENT), sha256, lambda _: None, stamp).pieces())


def test_what_changed_a_moment_ago_has_no_stamp(path):
    assert unchanged.stamp(path) is None  # its mtime is old, its ctime is of now


def test_a_file_with_a_stamp_is_sent_without_another_hash(path, later):
    stamp = unchanged.stamp(path)
    assert sent(path, SHA256, stamp) == CONTENT
    assert sent(path, "0" * 64, stamp) == CONTENT  # nobody hashed it: what was found with the stamp counts


def test_without_a_stamp_the_hash_decides(path):
    assert sent(path, SHA256, None) == CONTENT
    with pytest.raises(Transient, match="is not the file that was rendered"):
        sent(path, "0" * 64, None)


def overwrite(path) -> None:
    with path.open("r+b") as file:
        file.write(b"x")


def overwrite_and_hide(path) -> None:
    overwrite(path)
    os.utime(path, (10**9, 10**9))


def exchange(path) -> None:
    other = path.with_name("other")
    other.write_bytes(CONTENT[::-1])
    os.utime(other, (10**9, 10**9))
    other.replace(path)


@pytest.mark.parametrize(
    "touch", [overwrite, overwrite_and_hide, exchange, lambda path: os.truncate(path, 7)]
)
@pytest.mark.parametrize("when", ["before", "on the way"])
def test_a_touched_file_never_goes_out_whole(path, later, touch, when):
    stamp = unchanged.stamp(path)
    time.sleep(0.02)  # longer than a step of the file system's clock
    pieces = FileBody(path, len(CONTENT), SHA256, lambda _: None, stamp).pieces()
    if when == "on the way":
        next(pieces)
    touch(path)
    with pytest.raises(Transient, match="is not the file that was rendered"):
        list(pieces)
