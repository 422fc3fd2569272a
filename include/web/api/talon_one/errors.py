"""Errors as Talon.One tells them: a message, and what of the request is wrong. Clients made for it read ours."""

from __future__ import annotations

from typing import Any

from fastapi import HTTPException
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from include.errors import Problem
from include.web.api.problems import Fault

_LONGEST = 200


class Wrong(TypedDict):
    """One thing that is wrong; `source` names the parameter that it is about."""

    title: str
    details: str
    source: dict[str, str]


class Told(TypedDict):
    """The body of every error; `StatusCode` has the vendor's capital letters."""

    message: str
    errors: list[Wrong]
    StatusCode: int


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": meaning, "model": Told}
    for status, meaning in {
        400: "Something of the request is wrong; `errors` says all of it.",
        401: "No key, or one that is wrong, expired or revoked.",
        403: "The key may not do this.",
        404: "There is no such program, profile or card.",
        429: "The key has had its requests of this minute; `Retry-After` says when to ask again.",
        503: "Not now; `Retry-After` says when to ask again.",
    }.items()
}
"""What the description of every route says of errors."""


def told(fault: Fault) -> Response:
    """Return an error in the vendor's shape: what it refuses for what was sent has status 400."""
    status = 400 if fault.status == 422 else fault.status
    message = "Bad request" if fault.problems else fault.detail
    body = Told(message=message, errors=[_wrong(each) for each in fault.problems], StatusCode=status)
    return JSONResponse(body, status, headers=dict(fault.headers))


def nobody(what: str, name: object) -> HTTPException:
    """Return the error of a program, profile or card that is not there."""
    return HTTPException(404, f"There is no {what} {str(name)[:_LONGEST]!r}.")


def _wrong(problem: Problem) -> Wrong:
    value = problem.value[:_LONGEST].encode("utf-8", "backslashreplace").decode()
    return Wrong(
        title=problem.code.replace("_", " "),
        details=f"{value!r}: {problem.right}" if value else problem.right,
        source={"parameter": problem.where},
    )
