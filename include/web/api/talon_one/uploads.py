"""One file out of a multipart body, written to scratch as it comes: clients send it as a file, or as plain text."""

from __future__ import annotations

from email.message import Message
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

from include.errors import BadInput, Problem

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_KIND = "multipart/form-data"
_LONGEST_HEADER = 8_192


class _Part:
    """What the parser tells of the body: the pieces of the wanted part, which are taken away as they come."""

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted
        self._name, self._value, self._headers = bytearray(), bytearray(), Message()
        self._inside = self.whole = False
        self.found = 0
        self.filename = ""
        self.pieces: list[bytes] = []

    def on_part_begin(self) -> None:
        self._headers = Message()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._add(self._name, data[start:end])

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._add(self._value, data[start:end])

    def on_header_end(self) -> None:
        self._headers[self._name.decode("latin-1")] = self._value.decode("utf-8", "replace")
        self._name.clear()
        self._value.clear()

    def on_headers_finished(self) -> None:
        said = "content-disposition"
        is_wanted = self._headers.get_param("name", header=said) == self._wanted
        self.found += is_wanted
        self._inside = is_wanted and self.found == 1
        if self._inside:
            filename = self._headers.get_param("filename", header=said)
            self.filename = filename if isinstance(filename, str) else ""

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._inside:
            self.pieces.append(data[start:end])

    def on_part_end(self) -> None:
        self._inside = False

    def on_end(self) -> None:
        self.whole = True

    def _add(self, held: bytearray, piece: bytes) -> None:
        held += piece
        if len(held) > _LONGEST_HEADER:
            raise MultipartParseError("a header is too long")


async def write_part(request: Request, name: str, path: Path) -> str:
    """Write the part of a body into a new file; return its file name, '' where it was sent as text.

    Raises BadInput for a body that is no multipart/form-data, is cut off, or has no such part, or more than one.
    """
    sent = Message()
    sent["content-type"] = request.headers.get("content-type", "")
    boundary = sent.get_param("boundary")
    if sent.get_content_type() != _KIND or not isinstance(boundary, str):
        right = f"send the file as {_KIND}, in the part {name}"
        raise BadInput([Problem("Content-Type", sent["content-type"], right, "not_multipart")])
    part = _Part(name)
    callbacks: MultipartCallbacks = {
        "on_part_begin": part.on_part_begin,
        "on_header_field": part.on_header_field,
        "on_header_value": part.on_header_value,
        "on_header_end": part.on_header_end,
        "on_headers_finished": part.on_headers_finished,
        "on_part_data": part.on_part_data,
        "on_part_end": part.on_part_end,
        "on_end": part.on_end,
    }
    try:
        parser = MultipartParser(boundary.encode("latin-1"), callbacks)
        async with await anyio.open_file(path, "xb") as file:
            async for chunk in request.stream():
                parser.write(chunk)
                for piece in part.pieces:
                    await file.write(piece)
                part.pieces.clear()
    except (MultipartParseError, UnicodeEncodeError) as error:
        raise BadInput([Problem(name, "", f"the body is not {_KIND}: {error}", "bad_multipart")]) from error
    if not part.whole:
        raise BadInput(
            [Problem(name, "", "the body is cut off: its last boundary is missing", "bad_multipart")]
        )
    if not part.found:
        raise BadInput([Problem(name, "", f"is needed: the file, in the part {name}", "missing")])
    if part.found > 1:
        raise BadInput([Problem(name, str(part.found), f"send one file: one part {name}", "several_files")])
    return part.filename
