"""What a request for a part gets is what RFC 9110 says, whatever the pieces in which the store gives a file."""

from __future__ import annotations

import email
import hashlib
from email.policy import HTTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import Permanent
from include.web.downloads.sending import Span, asked_span, checked, cut, disposition
from include.web.pages import masked, shown_bytes

CONTENT = bytes(range(256)) * 3


def entry(content: bytes) -> dict[str, str]:
    return {"key": "a/file", "sha256": hashlib.sha256(content).hexdigest()}


def in_pieces(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


@given(st.binary(max_size=300), st.integers(1, 50), st.integers(0, 300), st.integers(0, 300))
def test_a_part_is_the_slice_of_the_whole(content, size, start, length):
    span = Span(min(start, len(content)), min(start + length, len(content)))
    got = b"".join(cut(checked(in_pieces(content, size), entry(content)), span))
    assert got == content[span.start : span.stop]


@given(st.integers(1, 400), st.integers(0, 767))
def test_a_damaged_file_never_arrives_whole(size, place):
    damaged = CONTENT[:place] + bytes([CONTENT[place] ^ 1]) + CONTENT[place + 1 :]
    pieces = cut(checked(in_pieces(damaged, size), entry(CONTENT)), Span(0, len(CONTENT)))
    got: list[bytes] = []
    with pytest.raises(Permanent, match="not what was rendered"):
        got.extend(pieces)
    assert len(b"".join(got)) < len(CONTENT)


def test_pieces_are_passed_on_and_not_collected():
    taken = []

    def source():
        for number in range(5):
            taken.append(number)
            yield b"%d" % number

    got = checked(source(), entry(b"01234"))
    assert next(got) == b"0"
    assert taken == [0, 1]


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", Span(0, 1)),
        ("bytes=0-99", Span(0, 100)),
        ("bytes=90-", Span(90, 100)),
        ("bytes=90-1000", Span(90, 100)),
        ("bytes=-10", Span(90, 100)),
        ("bytes=-1000", Span(0, 100)),
        ("bytes = 5 - 9", Span(5, 10)),
        # Nothing can satisfy these.
        ("bytes=100-", Span(100, 100)),
        ("bytes=200-300", Span(200, 100)),
        ("bytes=-0", Span(100, 100)),
        # To these the whole file is the answer.
        ("", None),
        ("bytes=-", None),
        ("bytes=9-5", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-5", None),
        ("bytes=a-b", None),
        ("bytes=٣-٤", None),
        ("bytes=" + "9" * 30 + "-", None),
    ],
)
def test_what_a_range_asks_for(header, span):
    assert asked_span(header, 100) == span


@given(st.text(min_size=1, max_size=60).filter(lambda name: name.isprintable()))
def test_a_name_arrives_as_it_was(name):
    message = email.message_from_string(f"Content-Disposition: {disposition(name)}\n\n", policy=HTTP)
    header = disposition(name)
    assert header.isascii()
    assert "\n" not in header
    assert "\r" not in header
    encoded = header.rpartition("filename*=UTF-8''")[2]
    from urllib.parse import unquote

    assert unquote(encoded) == name
    assert message.get_content_disposition() == "attachment"


def test_an_address_is_known_to_its_owner_only():
    assert masked("jane.doe@shop.example") == "j•••@s•••.example"
    assert masked("j@mail.shop.co.uk") == "j•••@m•••.uk"


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (1_449, "1.4 kB"), (99_600, "100 kB"),
     (999_600, "1.0 MB"), (12_345_678, "12.3 MB"), (5 * 10**12, "5.0 TB"), (10**16, "10000 TB")],
)  # fmt: skip
def test_sizes_are_shown_as_people_read_them(size, shown):
    assert shown_bytes(size) == shown
