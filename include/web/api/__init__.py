"""APIs for programs: ours, and those of the vendors that tools already call. Each is an application below the pages.

One package or module of this folder is one API; it has an `api` (`application.Api`) and stands in `PARTS`.
What all share: `caller` (who asks, and what they may), `problems` (errors), `paging`, `etags`, `streaming`, `bodies`.
"""

from __future__ import annotations

from fastapi import FastAPI

from include.web.api import ours, talon_one, voucherify, wupsales
from include.web.api.application import build

PARTS = (ours, talon_one, voucherify, wupsales)


def mount(app: FastAPI) -> None:
    """Mount every API at its prefix."""
    for part in PARTS:
        app.mount(part.api.prefix, build(part.api, app.state))
