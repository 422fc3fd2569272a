"""Scripts, styles and fonts, as they lie in the folder `static`; nothing is fetched from elsewhere."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent / "static"


class Static(StaticFiles):
    """The folder, for browsers to keep: an address names the content by its hash, where pages wrote it."""

    def __init__(self) -> None:
        super().__init__(directory=FOLDER)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Serve a file, and say how long it may be kept."""
        answer = await super().get_response(path, scope)
        if answer.status_code in {200, 304}:
            named = b"v=" in scope.get("query_string", b"")
            # A module that another one imports is asked for without its hash, and must fit that one.
            kept = 31_536_000 if named else 0 if path.endswith(".js") else 3600
            answer.headers["Cache-Control"] = f"public, max-age={kept}" if kept else "no-cache"
        return answer


@cache
def fingerprint(name: str) -> str:
    """Return what stands for the content of all files of `static` with this name's suffix and of this one."""
    return hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()[:12]
