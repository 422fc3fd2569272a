"""Errors as Voucherify tells them: `{code, key, message, details, request_id}`."""

from __future__ import annotations

import secrets
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from include.errors import Problem
from include.web.api.problems import Fault

_LONGEST = 200


class Key(StrEnum):
    """The vendor's short names of what can be wrong with a request; `Problem.code` of ours."""

    PAYLOAD = "invalid_payload"
    FIELDS = "invalid_export_fields"
    PARAMETERS = "invalid_export_params"
    QUERY = "invalid_query_params"


_MESSAGES = {
    Key.PAYLOAD: "Invalid payload",
    Key.FIELDS: "Invalid Export",
    Key.PARAMETERS: "Invalid Export",
    Key.QUERY: "Invalid query params",
}
_BY_STATUS = {
    400: ("invalid_payload", "Invalid payload"),
    401: ("unauthorized", "Unauthorized"),
    403: ("forbidden", "Forbidden"),
    404: ("not_found", "Resource not found"),
    405: ("method_not_allowed", "HTTP Method Not Allowed"),
    429: ("too_many_requests", "API limit reached"),
    500: ("internal_error", "Internal Server Error"),
}
_IN_QUERY = frozenset({"page", "limit", "order", "token"})


class Told(BaseModel):
    """The body of every error. resource_id and resource_type: of what was not found."""

    code: int
    key: str
    message: str
    details: str
    request_id: str
    resource_id: str | None = None
    resource_type: str | None = None


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": meaning, "model": Told}
    for status, meaning in {
        400: "Something of the request is wrong; `details` says all of it.",
        401: "No key, or one that is wrong, expired or revoked; or a token of a download that is over.",
        403: "The key may not do this.",
        404: "There is no such export.",
        429: "Too many requests or waiting exports; `Retry-After` says when to ask again.",
        503: "Not now; `Retry-After` says when to ask again.",
    }.items()
}
"""What the description of every route says of errors."""


def told(fault: Fault) -> Response:
    """Return an error in the vendor's shape; what was sent wrongly has status 400."""
    status = 400 if fault.status == 422 else fault.status
    if fault.problems:
        key = _key(fault.problems[0])
        details = "; ".join(map(_sentence, fault.problems))
        return _answer(fault, status, key, _MESSAGES[key], details)
    phrase = HTTPStatus(status).phrase
    key_name, message = _BY_STATUS.get(status, (phrase.lower().replace(" ", "_"), phrase))
    return _answer(fault, status, key_name, message, fault.detail)


def not_found(kind: str, name: str) -> Response:
    """Return the answer for what is not there."""
    named = shown(name)
    details = f"Cannot find {kind} with id {named}"
    about = {"resource_id": named, "resource_type": kind}
    return _answer(Fault(404, details), 404, *_BY_STATUS[404], details, **about)


def shown(text: str, most: int = _LONGEST) -> str:
    """Return a text of a request as an answer may hold it: short, and such that UTF-8 can write it."""
    return text[:most].encode("utf-8", "backslashreplace").decode()


def _key(problem: Problem) -> Key:
    if problem.code in set(Key):
        return Key(problem.code)
    return Key.QUERY if problem.where in _IN_QUERY else Key.PAYLOAD


def _sentence(problem: Problem) -> str:
    value = f"{shown(problem.value)!r} " if problem.value else ""
    return f"Property .{shown(problem.where)} {value}{shown(problem.right, most=5000)}"


def _answer(fault: Fault, status: int, key: str, message: str, details: str, **about: str) -> Response:
    body = {"code": status, "key": key, "message": message, "details": details}
    body |= {"request_id": f"v-{secrets.token_hex(9)}", **about}
    return JSONResponse(body, status, headers=dict(fault.headers))
