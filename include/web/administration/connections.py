"""The connections that exports use: who uses them, how deliveries over them went, and trying them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from include.acting import acting
from include.pipeline import health
from include.pipeline.probing import Probed
from include.web import pages
from include.web.administration.permitted import OWN_FORM, Administrator
from include.web.reader import Reader, context_of

router = APIRouter(prefix="/administration")


@router.get("/connections")
def listing(request: Request, reader: Administrator) -> Response:
    """Show every connection in use, the ledger and the state."""
    return _shown(request, reader)


@router.post("/connections/{name}/test", dependencies=[OWN_FORM])
def test(request: Request, reader: Administrator, name: str) -> Response:
    """Log in to each target over a connection, try its rights, send nothing."""
    with acting(reader.name):
        tried = health.test(context_of(request), name)
    return _shown(request, reader, name, tried)


@router.post("/ledger/test", dependencies=[OWN_FORM])
def test_ledger(request: Request, reader: Administrator) -> Response:
    """Open the ledger as an export would."""
    with acting(reader.name):
        tried = health.test_ledger(context_of(request))
    return _shown(request, reader, health.LEDGER, [tried])


def _shown(request: Request, reader: Reader, name: str = "", tried: list[Probed] | None = None) -> Response:
    context = context_of(request)
    return pages.show(
        request,
        reader,
        "administration/connections.html",
        tab="connections",
        known=health.known(context),
        state=health.state_health(context),
        ledger=health.ledger_tested(context),
        ledger_place=health.ledger_place(context),
        tried_name=name,
        tried=tried or [],
    )
