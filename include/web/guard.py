"""What every answer and every form needs: headers, small bodies, no token in a log, and forms of our own pages only."""

from __future__ import annotations

import hmac
import re
import secrets
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
}
# Airflow shows the pages inside its own; our scripts are files of ours.
PAGES = _EVERYWHERE | {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "X-Frame-Options": "SAMEORIGIN",
}
# Whoever holds a link needs no script, and nobody may put its page into theirs or learn its address.
LINKS = _EVERYWHERE | {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
COOKIE = "loyalty_page"
NOTHING = "There is nothing at this address."
_TOKEN_IN_PATH = re.compile(r"(?<=/d/).+", re.DOTALL | re.IGNORECASE)
_NAME_IN_PATH = re.compile(r"(?<=/customers/).+", re.DOTALL)
# In the APIs, an id may be followed by more, and may hold a slash.
_ID_IN_PATH = re.compile(r"(/(?:customers|customer_profiles|profile|cards)/).+", re.DOTALL)
_VISIT = re.compile(r"[A-Za-z0-9_-]{22}")


class Guard:
    """Adds the headers where an answer has none of that name; hides tokens and people from whoever logs the request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        own = scope["path"].removeprefix(scope.get("root_path", ""))
        wanted = LINKS if own.startswith(("/d/", "/D/")) else PAGES

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in wanted.items():
                    headers.setdefault(name, value)
            await send(message)

        if "\0" in scope["path"]:
            # No id and no name has it, and PostgreSQL takes no text with it.
            await PlainTextResponse(NOTHING, 404)(scope, receive, guarded)
            return
        inner = dict(scope)
        # Airflow's access log reads the path when the request is over.
        scope["path"] = _TOKEN_IN_PATH.sub("***", scope["path"])
        if own.startswith("/customers"):  # who was looked for is in the audit chain, and nowhere else
            scope["path"] = _NAME_IN_PATH.sub("***", scope["path"])
            scope["query_string"] = b""
        elif own.startswith(("/api/", "/talon-one/")):
            scope["path"] = _ID_IN_PATH.sub(r"\1***", scope["path"])
        scope["raw_path"] = scope["path"].encode()
        await self._app(inner, receive, guarded)


def is_own_form(request: Request, public_url: str) -> bool:
    """Say whether a form was sent by a page of ours, and not by another site.

    Browsers say so by Sec-Fetch-Site; older ones by Origin, which must then be ours.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    own = urlsplit(public_url or str(request.base_url))
    return request.headers.get("origin") == f"{own.scheme}://{own.netloc}"


def visit(request: Request) -> str:
    """Return the random text that this browser keeps for us in a cookie, a new one where it has none."""
    kept = request.cookies.get(COOKIE, "")
    if not _VISIT.fullmatch(kept):
        # One for the whole answer: what its forms bring and what its cookie says belong together.
        kept = getattr(request.state, COOKIE, "") or secrets.token_urlsafe(16)
        setattr(request.state, COOKIE, kept)
    return kept


def form_token(visit: str, subject: str) -> str:
    """Return what a form about `subject` must bring: nobody can make it who cannot read the browser's cookie."""
    return hmac.new(visit.encode(), subject.encode(), "sha256").hexdigest()


def is_form_token(request: Request, subject: str, brought: str) -> bool:
    """Say whether a form brought its token."""
    kept = request.cookies.get(COOKIE, "")
    right = form_token(kept, subject)
    return bool(_VISIT.fullmatch(kept)) and hmac.compare_digest(right.encode(), brought.encode())
