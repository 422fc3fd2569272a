"""Deflate: read by another library, the same bytes whatever was done before, and never too large for its room."""

from __future__ import annotations

import hashlib
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.formats import huffman
from include.formats.deflate import STREAM_END, TOKENS, deflate, room
from include.formats.huffman import Code, Desk

SIZE = 1 << 20
ROOM = room(SIZE)


def packed(content: bytes, place=ROOM) -> bytes:
    return deflate(np.frombuffer(content, np.uint8), place)


def read(stream: bytes) -> bytes:
    """What the standard library reads; it refuses codes that are not complete."""
    reader = zlib.decompressobj(wbits=-15)
    content = reader.decompress(stream + STREAM_END)
    assert reader.eof
    assert reader.unused_data == b""
    return content


# Repeats of 1 to 9 bytes, at all distances: matches that overlap themselves, and lengths up to the end.
REPEATS = st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.integers(1, 80)), max_size=30).map(
    lambda parts: b"".join(text * times for text, times in parts)
)
SKEWED = st.lists(st.integers(0, 24), max_size=600).map(lambda bits: bytes((1 << bit) % 251 for bit in bits))


@given(st.one_of(st.binary(max_size=300), REPEATS, SKEWED))
@example(b"")
@example(b"a" * 15)
@example(b"a" * 16)  # where the bytes end that are never looked up
@example(b"a" * (16 + 258))
@example(b"a" * (16 + 259))
@settings(max_examples=300, deadline=None)
def test_another_library_reads_it(content):
    assert read(packed(content)) == content


def line(number: int) -> bytes:
    return b"t%010d,club,c%07d,earned,%d.50\n" % (number * 7919 % 10**9, number * 31 % 9973, number % 500)


LINES = b"".join(map(line, range(30_000)))
RANDOM = np.random.default_rng(7).integers(0, 256, SIZE, np.uint8).tobytes()


@pytest.mark.parametrize(
    "content",
    [
        bytes(SIZE),
        LINES[:SIZE],
        RANDOM,
        RANDOM[:40_000] * 2,
        RANDOM[: 1 << 15] * 3,
        (RANDOM[: 1 << 15] + b"x") * 3,
    ],
    ids=["zeros", "lines", "random", "match beyond the window", "match at its edge", "match one beyond it"],
)
def test_whole_blocks(content):
    made = packed(content)
    assert read(made) == content
    assert len(made) <= len(content) * 1.01 + 300  # what does not compress grows by little


def test_matches_at_the_edge_of_the_window_are_found():
    """RANDOM bytes cost 8 bits each; repeated 32,768 bytes later they cost next to nothing, one byte later all again."""
    assert len(packed(RANDOM[: 1 << 15] * 2)) < (1 << 15) * 1.05
    assert len(packed((RANDOM[: 1 << 15] + b"x") * 2)) > (1 << 15) * 1.95


def test_it_is_worth_it():
    assert len(packed(LINES)) < len(LINES) / 3


def test_pieces_join_to_one_stream():
    assert (
        read(packed(b"first,") + packed(b"") + packed(LINES) + packed(b"last")) == b"first," + LINES + b"last"
    )


def test_what_was_done_before_changes_nothing():
    fresh = packed(LINES, room(SIZE))
    for before in (RANDOM, LINES[5:], b"", LINES):
        packed(before)
        assert packed(LINES) == fresh


def test_the_bytes_are_these():
    """On any processor and from now on: a change here changes every compressed file that was ever promised.

    Nothing is an empty stored block: 3 bits, five more up to a whole byte, then 0000 and ffff for its length.
    The digests stand for contents of several Huffman codes, many lengths and distances, and none.
    """
    assert packed(b"").hex() == "000000ffff"
    assert LINES.count(b"\n") * 12 > TOKENS  # more than one Huffman code
    assert (
        hashlib.sha256(packed(LINES)).hexdigest()
        == "b5ad3064c3dc2da2120fe228e982a99eb0d4556091270706cdf9caa6042dd160"
    )
    assert (
        hashlib.sha256(packed(RANDOM)).hexdigest()
        == "bc1cf13fe195941c6f56cada66c4ca1e23b2ee09b38fea3852653b8f41df0a70"
    )


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=huffman.LITERALS), st.sampled_from([9, 12, 15]))
@example([1, 1], 15)
@example([0, 0, 5], 15)
@settings(max_examples=200, deadline=None)
@pytest.mark.slow
def test_widths_use_all_codes_and_favour_the_frequent(counts, widest):
    check_widths(counts, widest)


@pytest.mark.parametrize(("symbols", "widest"), [(19, 7), (30, 15), (40, 15)])
def test_counts_that_would_need_wider_codes(symbols, widest):
    """Fibonacci's numbers make the deepest tree there is: n symbols, n - 1 bits."""
    counts = [1, 1]
    while len(counts) < symbols:
        counts.append(counts[-1] + counts[-2])
    assert max(check_widths(counts, widest)) == widest


def check_widths(counts: list[int], widest: int) -> list[int]:
    code = Code(
        np.array(counts, np.uint32), np.zeros(len(counts), np.uint8), np.zeros(len(counts), np.uint32)
    )
    huffman.make(code, widest, Desk.new())
    widths = [int(width) for width in code.widths]
    used = [symbol for symbol, count in enumerate(counts) if count]
    assert all((width > 0) == (count > 0) for width, count in zip(widths, counts, strict=True))
    assert max(widths) <= widest
    if len(used) > 1:
        assert sum(2.0**-width for width in widths if width) == 1
    for one in used:
        assert all(widths[one] >= widths[other] for other in used if counts[other] > counts[one])
    texts = {format(int(code.codes[one]), f"0{widths[one]}b")[::-1] for one in used}
    assert len(texts) == len(used)
    assert not any(a != b and b.startswith(a) for a in texts for b in texts)
    return widths
