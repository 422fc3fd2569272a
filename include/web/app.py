"""The application: its routes, and what becomes of errors."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from logging import getLogger
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from include.errors import BadInput, LoyaltyError, Permanent, Transient
from include.pipeline import Context
from include.pipeline.answers.asked_exports import Makers
from include.web import (
    administration,
    api,
    attention,
    customers,
    dashboards,
    downloads,
    editor,
    exports,
    imports,
    pages,
)
from include.web.api.bodies import Limit
from include.web.assets import Static
from include.web.guard import NOTHING, Guard
from include.web.reader import Access

LOG = getLogger(__name__)
LARGEST_FORM_BYTES = 1024 * 1024
LOGIN = "/api/v2/auth/login"
PARTS = (downloads, editor, exports, imports, dashboards, customers, attention, administration)


def create(
    context: Context,
    access: Access,
    announce: Callable[[str], None] | None = None,
    roles: Callable[[], dict[str, frozenset[str]]] = dict,
    start: Callable[[str, Mapping[str, Any], str], str] | None = None,
    end: Callable[[str, str], bool] | None = None,
    answer: Callable[[str, str, str, str], bool] | None = None,
) -> FastAPI:
    """Return the application.

    access: says who asks, for the routes that need a login. announce: tells Airflow that the export with this id is
    another one now; None where there is no Airflow to tell. roles: says which of `see`, `run` and `edit` Airflow's own
    roles give for all DAGs; roles that it cannot tell of are missing. start: has Airflow run the export with this id,
    with these parameters, asked for by this name (`orchestration.starting`); None where there is no Airflow. end: has
    Airflow end what waits of a deleted export, in this name (`orchestration.ending`); None where there is no Airflow.
    answer: answers a question of Airflow's (`orchestration.answering`); None where there is no Airflow.
    """
    # A redirect would repeat a link's token, and in clear where TLS ends before us.
    app = FastAPI(title="Loyalty", openapi_url=None, redirect_slashes=False)
    app.state.context, app.state.access = context, access
    app.state.announce = announce or (lambda _: None)
    app.state.roles = roles
    app.state.start = start or _not_here
    app.state.makers = Makers(context)
    app.state.end = end or (lambda _id, _by: False)
    app.state.answer = answer or (lambda _id, _words, _option, _by: False)
    app.add_middleware(Limit, usual=LARGEST_FORM_BYTES, large=imports.LARGE, refusal=_too_large)
    app.add_middleware(Guard)
    for part in PARTS:
        app.include_router(part.router)
    app.get("/")(_first_page)
    app.mount("/static", Static())
    api.mount(app)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(LoyaltyError, _failed)
    return app


def begin(app: FastAPI) -> FastAPI:
    """Take up what processes before this one left: exports that programs asked for. Returns the application.

    What is there now stays as long as the process: it is not looked through for garbage any more, which is a tenth of
    what a balance costs (tests/benchmarks/api.py).
    """
    gc.collect()
    gc.freeze()
    app.state.makers.wake()
    return app


def _first_page() -> Response:
    """Lead who asks for the application itself to the exports."""
    return RedirectResponse("exports", 303)


def _not_here(definition_id: str, conf: Mapping[str, Any], by: str) -> str:  # noqa: ARG001
    raise Permanent("there is no Airflow here that could run an export")


def _refused(request: Request, error: Exception) -> Response:
    """Answer a browser with a page, who is not logged in with the way to the login, a program with JSON."""
    assert isinstance(error, HTTPException)
    if request.headers.get("hx-request"):
        if error.status_code == 401:
            back = request.headers.get("hx-current-url")
            return Response(status_code=401, headers={"HX-Redirect": _login(request, back)})
        return pages.problem(error.status_code, str(error.detail))
    browser = "text/html" in request.headers.get("accept", "")
    if browser and error.status_code == 401:
        # A form whose login is over goes back to its own page, where the browser has kept what was typed.
        back = request.headers.get("referer") if request.method == "POST" else None
        return RedirectResponse(_login(request, back), 303)
    if browser:
        if error.status_code == 404 and error.detail == HTTPStatus.NOT_FOUND.phrase:
            return pages.page("nothing.html", pages.root(request), 404, heading=NOTHING)
        return pages.notice(request, error.status_code, str(error.detail))
    return JSONResponse({"detail": error.detail}, error.status_code, headers=error.headers)


def _too_large(request: Request, detail: str) -> Response:
    return _refused(request, HTTPException(413, detail))


def _login(request: Request, back: str | None) -> str:
    """Return the address of the login. back: the page that it leads back to, this one when None."""
    query = request.scope["query_string"].decode("latin-1")
    there = quote(request.scope["path"]) + (f"?{query}" if query else "")
    if back is not None:
        with suppress(ValueError):  # what a browser never sends
            parts = urlsplit(back)
            # Browsers take a backslash for a slash, and two of these for another site.
            there = "/" + parts.path.lstrip("/\\") + (f"?{parts.query}" if parts.query else "")
    return f"{request.scope.get('app_root_path', '')}{LOGIN}?{urlencode({'next': there})}"


def _unreadable(request: Request, error: Exception) -> Response:
    """Say what of an address cannot be read."""
    assert isinstance(error, RequestValidationError)
    lines = [f"{each['loc'][-1]}: {each['msg']}" for each in error.errors()]
    if request.headers.get("hx-request"):
        return pages.problem(422, "; ".join(lines))
    return pages.notice(request, 422, "The address of this page is not right", lines)


def _failed(request: Request, error: Exception) -> Response:
    """Tell people what is wrong where they can do something, else that it is not their fault."""
    if isinstance(error, BadInput):
        lines = [str(problem) for problem in error.problems]
        if request.headers.get("hx-request"):
            return pages.problem(422, "; ".join(lines))
        return pages.notice(request, 422, "That cannot be done", lines)
    LOG.error("%s: %s", type(error).__name__, error)
    told = "This is not your fault. Please try again later, or tell whoever runs this installation."
    status = 503 if isinstance(error, Transient) else 500
    if request.headers.get("hx-request"):
        return pages.problem(status, told)
    return pages.notice(request, status, "This cannot be done now", (told,))
