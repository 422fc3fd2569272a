"""Pages under Airflow's API server. What belongs here is HTTP: who asks, what they see; the pipeline does the work.

Airflow imports plugins into every one of its processes, so nothing is built before the first request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
MOUNTED_BY = "loyalty.airflow"
"""In the scope of a request: the application of Airflow that has mounted ours."""


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve the pages (an ASGI application), to be mounted at `include.settings.WEB_PREFIX`."""
    scope[MOUNTED_BY] = scope.get("app")
    await _app()(scope, receive, send)


@cache
def _app() -> Any:
    from include.web import access
    from include.web.app import begin, create

    return begin(
        create(
            access.airflow_context(),
            access.airflow_reader,
            access.announce,
            access.airflow_roles,
            access.start,
            access.end_unpinned,
            access.answer,
        )
    )
