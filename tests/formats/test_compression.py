"""Compression: one member, one entry, the same bytes always, read by other programs."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import shutil
import subprocess
import zipfile
import zlib

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from include.formats import compression, parallel, zstd

CONTENT = b"".join(b"txn_%012d,earned,12.50\n" % (number * 7919) for number in range(200_000))


def packed(kind, chunks) -> bytes:
    return b"".join(compression.compress(kind, chunks, "x.csv"))


@pytest.mark.parametrize(
    "content", [b"", b"a", CONTENT[: 1 << 20], CONTENT[: (1 << 20) + 1], CONTENT], ids=len
)
def test_gzip_is_one_member_that_others_read(content):
    made = packed("gzip", [content])
    assert gzip.decompress(made) == content
    stream = zlib.decompressobj(wbits=31)
    assert stream.decompress(made) == content
    assert stream.eof
    assert stream.unused_data == b""  # nothing follows the first member
    assert made[3] == 0  # no name
    assert made[4:8] == bytes(4)  # no time


@pytest.mark.parametrize("kind", ["gzip", "zip", "zstd"])
@given(cuts=st.lists(st.integers(1, 1 << 21), max_size=6))
@settings(max_examples=12, deadline=None)
@pytest.mark.slow
def test_bytes_do_not_depend_on_chunks(kind, cuts):
    edges = [0, *itertools.accumulate(cuts), len(CONTENT)]
    chunks = [CONTENT[start:end] for start, end in itertools.pairwise(edges) if start < end]
    assert packed(kind, chunks) == packed(kind, [CONTENT])


@pytest.mark.parametrize("kind", ["gzip", "zip", "zstd"])
def test_bytes_do_not_depend_on_threads(kind, monkeypatch):
    found = set()
    for count in (1, 5):
        monkeypatch.setattr(parallel, "threads", lambda count=count: count)
        found.add(packed(kind, [CONTENT]))
    assert len(found) == 1


@pytest.mark.parametrize("content", [b"", b"a", CONTENT], ids=len)
def test_zstd_is_one_frame_with_a_checksum_that_others_read(content, tmp_path):
    made = packed("zstd", [content])
    assert pa.CompressedInputStream(pa.py_buffer(made), "zstd").read() == content
    assert zstd.Reader(io.BytesIO(made)).readall() == content
    assert made[:4] == b"\x28\xb5\x2f\xfd"
    assert made[4] & 4  # the frame ends with the content's checksum
    assert zstandard.ZstdDecompressor().decompress(made, max_output_size=len(CONTENT)) == content
    if program := shutil.which("zstd"):
        (tmp_path / "x.zst").write_bytes(made)
        assert (
            subprocess.run([program, "-dqc", tmp_path / "x.zst"], check=True, capture_output=True).stdout
            == content
        )


def test_damage_in_a_frame_is_told():
    made = bytearray(packed("zstd", [CONTENT]))
    made[-1] ^= 1
    with pytest.raises(ValueError, match="checksum"):
        zstd.Reader(io.BytesIO(bytes(made))).readall()


def test_compression_is_worth_it():
    assert len(packed("gzip", [CONTENT])) < len(CONTENT) / 3
    assert len(packed("zstd", [CONTENT])) < len(CONTENT) / 6


@pytest.mark.parametrize("content", [b"", CONTENT], ids=["empty", "some"])
def test_zip_has_one_entry_that_others_read(content, tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes(packed("zip", [content]))
    with zipfile.ZipFile(path) as archive:
        (entry,) = archive.infolist()
        assert (entry.filename, entry.date_time, entry.file_size) == (
            "x.csv",
            (1980, 1, 1, 0, 0, 0),
            len(content),
        )
        assert archive.testzip() is None
        assert archive.read(entry) == content
    if shutil.which("unzip"):
        assert subprocess.run(["unzip", "-tqq", path], check=False).returncode == 0


@pytest.mark.slow
def test_zip_and_gzip_beyond_4_gib(tmp_path):
    block, count = bytes(1 << 20), 4200  # zeros: 4.1 GiB of content, few bytes of file
    path = tmp_path / "x.zip"
    with path.open("wb") as out:
        out.writelines(compression.compress("zip", itertools.repeat(block, count), "x.csv"))
    with zipfile.ZipFile(path) as archive:
        assert archive.infolist()[0].file_size == count << 20
        with archive.open("x.csv") as content:
            assert sum(len(chunk) for chunk in iter(lambda: content.read(1 << 22), b"")) == count << 20
    made = io.BytesIO(packed("gzip", itertools.repeat(block, count)))
    with gzip.GzipFile(fileobj=made) as content:
        assert sum(len(chunk) for chunk in iter(lambda: content.read(1 << 22), b"")) == count << 20


def test_it_streams():
    read = 0

    def endless():
        nonlocal read
        while True:
            read += 1
            yield hashlib.sha256(str(read).encode()).digest() * (1 << 15)

    stream = compression.compress("gzip", endless(), "x")
    for _ in range(5):
        next(stream)
    assert read <= 5 + parallel.threads() + 3
    stream.close()
