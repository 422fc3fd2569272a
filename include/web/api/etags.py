"""ETags: nobody fetches what they have, and nobody overwrites what they have not seen (RFC 9110, section 13)."""

from __future__ import annotations

import hashlib
from typing import Any

from fastapi import HTTPException, Request
from starlette.responses import JSONResponse, Response

NOT_SEEN = "It has been changed since you read it; read it again."


def etag_of(*parts: object) -> str:
    """Return the tag of a representation that is made of these."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode("utf-8", "backslashreplace"))
    return f'"{digest.hexdigest()[:32]}"'


def has(request: Request, etag: str) -> bool:
    """Say whether who asks has this already (If-None-Match)."""
    return _names(request.headers.get("if-none-match", ""), etag)


def require_match(request: Request, etag: str) -> None:
    """Raise HTTPException 428 where If-Match does not say what a change is based on, 412 where on something else."""
    given = request.headers.get("if-match")
    if given is None:
        raise HTTPException(
            428, "Say what your change is based on: If-Match, with the ETag that you have read."
        )
    if not _names(given, etag, weak=False):
        raise HTTPException(412, NOT_SEEN)


def tagged(request: Request, content: Any, etag: str, *, status: int = 200, **headers: str) -> Response:
    """Return JSON with its tag, or 304 for who has it."""
    told = {"ETag": etag, "Cache-Control": "private, no-cache", **headers}
    if request.method in {"GET", "HEAD"} and has(request, etag):
        return Response(status_code=304, headers=told)
    return JSONResponse(content, status, headers=told)


def _names(header: str, etag: str, *, weak: bool = True) -> bool:
    given = {each.strip() for each in header.split(",")}
    if weak:
        given = {each.removeprefix("W/") for each in given}
    return "*" in given or etag in given
