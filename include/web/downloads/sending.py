"""A stored file as the answer to a request: streamed, checked, whole or visibly not.

The hash is computed on the way, and the last piece is held back until it is right: a damaged file never arrives whole.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from include.errors import Permanent
from include.snapshots.store import Store


class Span(NamedTuple):
    """The bytes from `start` up to, not including, `stop`."""

    start: int
    stop: int


def is_there(store: Store, entry: Mapping[str, Any]) -> bool:
    """Say whether the store still holds the file; Permanent when it holds one of another size."""
    found = store.entry(entry["key"])
    if found is not None and found.bytes != entry["bytes"]:
        raise Permanent(f"{entry['key']}: {found.bytes} bytes are stored, and {entry['bytes']} were rendered")
    return found is not None


def answer(request: Request, store: Store, entry: Mapping[str, Any]) -> Response:
    """Return the answer with the file, or with the part or the confirmation that the request asks for."""
    etag, size = f'"{entry["sha256"]}"', int(entry["bytes"])
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Content-Disposition": disposition(entry["name"]),
        # Airflow would compress it on the way: then its length, its parts and its hash were those of another file.
        "Content-Encoding": "identity",
        "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(entry['sha256'])).decode()}:",
        "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    }
    if request.method in {"GET", "HEAD"} and _names(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers={"ETag": etag})
    span, status = Span(0, size), 200
    if request.method == "GET" and request.headers.get("if-range", etag) == etag:
        asked = asked_span(request.headers.get("range", ""), size)
        if asked is not None:
            span, status = asked, 206
            if span.start >= span.stop:
                return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
            headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{size}"
    headers["Content-Length"] = str(span.stop - span.start)
    if request.method == "HEAD":
        return Response(headers=headers, media_type=entry["media_type"])
    content = cut(checked(store.chunks(entry["key"]), entry), span)
    return StreamingResponse(content, status_code=status, headers=headers, media_type=entry["media_type"])


def checked(chunks: Iterable[bytes], entry: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the bytes of a file; before the last of them raise Permanent when they are not what was rendered."""
    total, held = hashlib.sha256(), b""
    for chunk in chunks:
        if held:
            yield held
        total.update(chunk)
        held = chunk
    if total.hexdigest() != entry["sha256"]:
        raise Permanent(f"{entry['key']}: the stored file is not what was rendered")
    yield held


def cut(chunks: Iterable[bytes], span: Span) -> Iterator[bytes]:
    """Yield the bytes of the span, reading no further than its end (so that a part says nothing about the whole)."""
    at = 0
    for chunk in chunks:
        piece = chunk[max(span.start - at, 0) : max(span.stop - at, 0)]
        at += len(chunk)
        if piece:
            yield piece
        if at >= span.stop:
            return


def asked_span(header: str, size: int) -> Span | None:
    """Return what a Range header asks for (RFC 9110 section 14.2), None where the whole file is the answer.

    An empty span cannot be satisfied. Of several ranges none is served: the whole file is, as the RFC allows.
    """
    found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header.replace(" ", ""), re.ASCII)
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        return Span(max(size - int(last), 0), size)
    start = int(first)
    if last and int(last) < start:
        return None
    return Span(start, min(int(last) + 1, size) if last else size)


def disposition(name: str) -> str:
    """Return the header that saves the file under its name (RFC 6266, RFC 5987)."""
    plain = re.sub(r"[^ !#-\[\]-~]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _names(header: str, etag: str) -> bool:
    """Say whether an If-None-Match header names this file."""
    return header.strip() == "*" or etag in {each.strip().removeprefix("W/") for each in header.split(",")}
