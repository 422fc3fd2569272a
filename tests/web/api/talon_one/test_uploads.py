"""One part of a multipart body, whatever the pieces in which it comes, and whatever is in it."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from include.errors import BadInput
from include.web.api.talon_one.uploads import write_part

BOUNDARY = b"----b0undary"


def part(name: bytes, content: bytes, more: bytes = b"") -> bytes:
    head = b'Content-Disposition: form-data; name="%s"%s\r\n\r\n' % (name, more)
    return b"--" + BOUNDARY + b"\r\n" + head + content + b"\r\n"


def written(
    body: bytes, sizes: list[int], kind: bytes = b"multipart/form-data; boundary=" + BOUNDARY
) -> tuple[str, bytes]:
    """The name and the content that are written of a body that comes in pieces of these sizes, the rest in one."""
    pieces, start = [], 0
    for size in sizes:
        pieces.append(body[start : start + size])
        start += size
    pieces.append(body[start:])

    async def receive() -> Any:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def run(path: Path) -> str:
        scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", kind)]}
        return await write_part(Request(scope, receive), "upFile", path)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "upload"
        return asyncio.run(run(path)), path.read_bytes()


# What follows a line end may look like a boundary, and is none.
CONTENT = st.one_of(
    st.binary(max_size=300),
    st.lists(st.sampled_from([b"\r\n", b"--", BOUNDARY[:-1], b"\r", b"\n", b"a,1"]), max_size=30).map(
        b"".join
    ),
)


@given(CONTENT, st.lists(st.integers(0, 40), max_size=20), st.booleans())
def test_every_byte_of_the_part_and_no_other(content: bytes, sizes: list[int], as_file: bool) -> None:
    more = b'; filename="points.csv"' if as_file else b""
    body = (
        part(b"note", b"x")
        + part(b"upFile", content, more)
        + part(b"other", b"a second")
        + b"--"
        + BOUNDARY
        + b"--\r\n"
    )
    assert written(body, sizes) == ("points.csv" if as_file else "", content)


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (part(b"upFile", b"x"), b"text/csv", "not_multipart"),
        (part(b"upFile", b"x"), b"multipart/form-data", "not_multipart"),
        (part(b"upFile", b"x"), b"multipart/form-data; boundary=" + BOUNDARY, "bad_multipart"),  # cut off
        (b"nothing", b"multipart/form-data; boundary=" + BOUNDARY, "bad_multipart"),
        (
            part(b"other", b"x") + b"--" + BOUNDARY + b"--\r\n",
            b"multipart/form-data; boundary=" + BOUNDARY,
            "missing",
        ),
        (
            part(b"upFile", b"x") + part(b"upFile", b"y") + b"--" + BOUNDARY + b"--\r\n",
            b"multipart/form-data; boundary=" + BOUNDARY,
            "several_files",
        ),
        (
            b"--" + BOUNDARY + b"\r\n" + b"X: " + b"a" * 9_000,
            b"multipart/form-data; boundary=" + BOUNDARY,
            "bad_multipart",
        ),
    ],
)
def test_what_is_no_such_body(body: bytes, kind: bytes, code: str) -> None:
    with pytest.raises(BadInput) as wrong:
        written(body, [], kind)
    assert [each.code for each in wrong.value.problems] == [code]
