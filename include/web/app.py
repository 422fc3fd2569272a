"""The application of the downloads: its routes, and what becomes of errors."""

from __future__ import annotations

from logging import getLogger
from urllib.parse import quote, urlencode

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.responses import JSONResponse, RedirectResponse, Response

from include.errors import LoyaltyError, Transient
from include.pipeline import Context
from include.web import by_code, files, pages
from include.web.guard import Guard
from include.web.reader import Access

LOG = getLogger(__name__)
LARGEST_FORM_BYTES = 4096
LOGIN = "/api/v2/auth/login"


def create(context: Context, access: Access) -> FastAPI:
    """Return the application. access: says who asks, for the routes that need a login."""
    # A redirect would repeat a link's token, and in clear where TLS ends before us.
    app = FastAPI(title="Loyalty downloads", openapi_url=None, redirect_slashes=False)
    app.state.context, app.state.access = context, access
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=LARGEST_FORM_BYTES)
    app.add_middleware(Guard)
    app.include_router(files.router)
    app.include_router(by_code.router)
    app.add_api_route(f"/static/{pages.STYLE}", _style, methods=["GET", "HEAD"])
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(LoyaltyError, _failed)
    return app


def _style() -> Response:
    return Response(pages.style(), media_type="text/css", headers={"Cache-Control": "public, max-age=3600"})


def _refused(request: Request, error: Exception) -> Response:
    """Answer a browser with a page, who is not logged in with the way to the login, a program with JSON."""
    assert isinstance(error, HTTPException)
    browser = "text/html" in request.headers.get("accept", "")
    if browser and error.status_code == 401 and request.method == "GET":
        query = urlencode({"next": quote(request.scope["path"])})
        return RedirectResponse(f"{request.scope.get('app_root_path', '')}{LOGIN}?{query}", 303)
    if browser:
        return pages.notice(request, error.status_code, error.detail)
    return JSONResponse({"detail": error.detail}, error.status_code, headers=error.headers)


def _failed(request: Request, error: Exception) -> Response:
    """Tell people that it is not their fault, and the operator what it is."""
    LOG.error("%s: %s", type(error).__name__, error)
    lines = ("This is not your fault. Please try again later, or tell whoever sent you the link.",)
    status = 503 if isinstance(error, Transient) else 500
    return pages.notice(request, status, "The file cannot be sent now", lines)
