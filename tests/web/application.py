"""One application for many tests: to build its routes takes a fifth of a second."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.routing import Mount


def stand_on(app: FastAPI, **state: Any) -> None:
    """Let the pages and the APIs below them have another context, or whatever else `create` is told."""
    below = [each.app for each in app.routes if isinstance(each, Mount) and isinstance(each.app, FastAPI)]
    for one in (app, *below):
        for name, value in state.items():
            setattr(one.state, name, value)
