"""What programs send: bodies with a limit, and files that are written to scratch as they come, never into memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import anyio
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send


class Limit:
    """Refuses bodies of more bytes than a route takes, by 413, before they are read."""

    def __init__(self, app: ASGIApp, usual: int, large: Mapping[str, int]) -> None:
        self._usual = RequestBodyLimitMiddleware(app, usual)
        self._large = [
            (re.compile(path), RequestBodyLimitMiddleware(app, most)) for path, most in large.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        own = scope["path"].removeprefix(scope.get("root_path", ""))
        chosen = next((limited for path, limited in self._large if path.fullmatch(own)), self._usual)
        await chosen(scope, receive, send)


async def write_body(request: Request, path: Path) -> int:
    """Write the body of a request into a new file as it comes; return its bytes."""
    written = 0
    async with await anyio.open_file(path, "xb") as file:
        async for piece in request.stream():
            written += len(piece)
            await file.write(piece)
    return written
