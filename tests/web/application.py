"""One application for many tests: to build its routes takes a fifth of a second."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.routing import Mount

from include.pipeline import Context
from include.pipeline.answers.asked_exports import Makers


def stand_on(app: FastAPI, context: Context, **more: Any) -> None:
    """Let the pages and the APIs below them have another context, and whatever else `create` is told."""
    state = {"context": context, "makers": Makers(context), **more}
    below = [each.app for each in app.routes if isinstance(each, Mount) and isinstance(each.app, FastAPI)]
    for one in (app, *below):
        for name, value in state.items():
            setattr(one.state, name, value)
