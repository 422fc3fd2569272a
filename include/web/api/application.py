"""One API as an application: its routes, its errors in its own shape, its limit of bodies, its published document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.datastructures import State
from starlette.responses import Response

from include.web.api import problems
from include.web.api.bodies import Limit
from include.web.api.problems import PROBLEM, PROBLEM_SCHEMA, Fault

LARGEST_BODY_BYTES = 1024 * 1024
# What every route may answer beside what it says itself.
_ALWAYS = {
    401: "No key, or one that is wrong, expired or revoked.",
    403: "The key may not do this.",
    422: "What is asked cannot be; `problems` says all of it.",
    429: "The key has had its requests of this minute; `Retry-After` says when to ask again.",
    503: "Not now; `Retry-After` says when to ask again.",
}
_VALIDATION = ("HTTPValidationError", "ValidationError")


@dataclass(frozen=True)
class Api:
    """An API.

    prefix: where it is, below the pages. key_of: returns the key that a request brings, None where it brings none.
    schemes: how a request brings it, as OpenAPI security schemes; all of one go together. shape: an error as this API's
    clients know it. large: how many bytes the body of a route may have that takes files, by a regular expression of
    its path below the prefix.
    """

    prefix: str
    title: str
    description: str
    router: APIRouter
    key_of: Callable[[Request], str | None]
    schemes: Mapping[str, Mapping[str, str]]
    shape: Callable[[Fault], Response] = problems.as_problem
    large: Mapping[str, int] = field(default_factory=dict)


def build(api: Api, shared: State) -> FastAPI:
    """Return the application of an API. shared: the state of the pages' application: its context, its access."""
    app = FastAPI(
        title=api.title,
        description=api.description,
        version="1",
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={status: _documented(text) for status, text in _ALWAYS.items()},
    )
    for name, value in shared._state.items():  # noqa: SLF001 - Starlette has no other way to list them
        setattr(app.state, name, value)
    app.state.api = api
    app.add_middleware(
        Limit,
        usual=LARGEST_BODY_BYTES,
        large=api.large,
        refusal=lambda _, detail: api.shape(Fault(413, detail)),
    )
    app.include_router(api.router)
    problems.install(app)
    _publish(app, api)
    return app


def _documented(text: str) -> dict[str, Any]:
    return {
        "description": text,
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _publish(app: FastAPI, api: Api) -> None:
    """Add to the document what FastAPI does not know: our errors, and how to bring a key."""
    made = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = made()
            components = found.setdefault("components", {})
            schemas = components.setdefault("schemas", {})
            for name in _VALIDATION:
                schemas.pop(name, None)
            schemas["Problem"] = PROBLEM_SCHEMA
            components["securitySchemes"] = {name: dict(each) for name, each in api.schemes.items()}
            found["security"] = [{name: [] for name in api.schemes}]
        return app.openapi_schema or found

    app.openapi = document  # type: ignore[method-assign]
