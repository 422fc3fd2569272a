"""Errors of APIs: RFC 9457, and one place that says which status an error has. A vendor's shape is its API's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from logging import getLogger
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from include.errors import BadInput, LedgerViolation, LoyaltyError, NotYet, Problem, Transient
from include.state.exports import Edited
from include.state.keys import TooManyRequests

if TYPE_CHECKING:
    from include.web.api.application import Api

LOG = getLogger(__name__)
PROBLEM = "application/problem+json"
AGAIN_SECONDS = 5
_SHOWN_CHARACTERS = 200
_TEXT = {"type": "string"}
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "An error (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "problems": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["where", "value", "right", "code"],
                "properties": {"where": _TEXT, "value": _TEXT, "right": _TEXT, "code": _TEXT},
            },
        },
    },
}


@dataclass(frozen=True)
class Fault:
    """An error to answer with. problems: each thing that is wrong with what was sent, all at once."""

    status: int
    detail: str
    problems: tuple[Problem, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def as_problem(fault: Fault) -> Response:
    """Return the error as RFC 9457 has it."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(fault.status).phrase,
        "status": fault.status,
        "detail": fault.detail,
    }
    if fault.problems:
        body["problems"] = [
            {
                "where": each.where,
                "value": _writable(each.value[:_SHOWN_CHARACTERS]),
                "right": each.right,
                "code": each.code,
            }
            for each in fault.problems
        ]
    return JSONResponse(body, fault.status, headers=dict(fault.headers), media_type=PROBLEM)


def fault_of(error: Exception) -> Fault:
    """Return what an error means to the program that asked."""
    if isinstance(error, HTTPException):
        return Fault(error.status_code, str(error.detail), (), error.headers or {})
    if isinstance(error, RequestValidationError):
        found = tuple(map(_unreadable, error.errors()))
        return Fault(422, "; ".join(f"{each.where}: {each.right}" for each in found), found)
    if isinstance(error, BadInput):
        return Fault(422, "; ".join(f"{each.where}: {each.right}" for each in error.problems), error.problems)
    if isinstance(error, Edited):
        return Fault(412, "It has been changed since you read it; read it again.")
    if isinstance(error, NotYet):
        status = 429 if isinstance(error, TooManyRequests) else 503
        return Fault(status, str(error), (), {"Retry-After": _seconds_until(error.until)})
    return _ours(error)


def _ours(error: Exception) -> Fault:
    """Return what an error means that whoever asks can do nothing about; it is logged."""
    LOG.error("%s: %s", type(error).__name__, error)
    if isinstance(error, Transient):
        return Fault(503, "It cannot be done now.", (), {"Retry-After": str(AGAIN_SECONDS)})
    told = "This is not your fault. Tell whoever runs this installation."
    if isinstance(error, LedgerViolation):
        told = "The ledger breaks a rule, so nothing is answered from it; `loyalty ledger check` says which."
    return Fault(500, told)


def install(app: FastAPI) -> None:
    """Answer every error of the application in its API's shape."""

    def answer(request: Request, error: Exception) -> Response:
        api: Api = request.app.state.api
        return api.shape(fault_of(error))

    for kind in (HTTPException, RequestValidationError, LoyaltyError):
        app.add_exception_handler(kind, answer)


def _unreadable(error: Mapping[str, Any]) -> Problem:
    """Return what FastAPI says of a parameter or body, as ours."""
    place = [str(each) for each in error["loc"]]
    where = ".".join(place[1:]) or ".".join(place)
    given = error.get("input")
    value = given if isinstance(given, str) else "" if given is None else repr(given)
    return Problem(where, value, str(error["msg"]), str(error["type"]))


def _writable(text: str) -> str:
    """Return a text that UTF-8 can hold: half a character may have come in JSON."""
    return text.encode("utf-8", "backslashreplace").decode()


def _seconds_until(moment: datetime) -> str:
    return str(max(1, math.ceil((moment - datetime.now(UTC)).total_seconds())))
