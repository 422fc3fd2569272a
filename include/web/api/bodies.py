"""What programs send: bodies with a limit, and files that are written to scratch as they come, never into memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
from starlette.datastructures import Headers
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_REFUSAL = "loyalty.too_large"


class Limit:
    """Refuses bodies of more bytes than a route takes, by 413, before they are read.

    refusal: the answer to whoever sent a larger one. Of applications in one another, the inner one's limit and answer
    count.
    """

    def __init__(
        self, app: ASGIApp, usual: int, large: Mapping[str, int], refusal: Callable[[Request, str], Response]
    ) -> None:
        self._usual, self._app, self._refusal = usual, app, refusal
        self._large = [(re.compile(path), most) for path, most in large.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        own = scope["path"].removeprefix(scope.get("root_path", ""))
        most = next((most for path, most in self._large if path.fullmatch(own)), self._usual)
        scope[_REFUSAL] = self._refusal, f"What was sent has more than {most} bytes, the most here."
        refused = False

        async def shaped(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] == 413:
                refused = Headers(raw=message["headers"]).get("content-type", "").startswith("text/plain")
            if not refused:
                await send(message)
            elif message["type"] == "http.response.body":
                refusal, told = scope[_REFUSAL]
                await refusal(Request(scope), told)(scope, receive, send)

        await RequestBodyLimitMiddleware(self._app, most)(scope, receive, shaped)


async def write_body(request: Request, path: Path) -> int:
    """Write the body of a request into a new file as it comes; return its bytes."""
    written = 0
    async with await anyio.open_file(path, "xb") as file:
        async for piece in request.stream():
            written += len(piece)
            await file.write(piece)
    return written
