"""Rendering pages: templates of this package, everything that comes from outside escaped, no script at all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

HERE = Path(__file__).parent
STYLE = "links.css"
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined
    )


def page(template: str, root: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page. root: the path under which this application is served, for the address of the style sheet."""
    text = _environment().get_template(template).render(root=root, **values)
    return HTMLResponse(text, status)


@cache
def style() -> str:
    """Return the style sheet of all pages."""
    return (HERE / "static" / STYLE).read_text("utf-8")


def masked(address: str) -> str:
    """Return an address so that its owner knows it and others do not learn it: `j•••@e•••.com`."""
    local, _, domain = address.rpartition("@")
    name, dot, top = domain.rpartition(".")
    return f"{local[:1]}•••@{name[:1]}•••{dot}{top}"


def shown_bytes(size: int) -> str:
    """Return a size as people read it: `1.4 MB`."""
    shown, unit = float(size), 0
    while shown >= 999.5 and unit + 1 < len(_UNITS):
        shown, unit = shown / 1000, unit + 1
    return f"{shown:.0f} {_UNITS[unit]}" if unit == 0 or shown >= 99.5 else f"{shown:.1f} {_UNITS[unit]}"


def shown_instant(moment: datetime, timezone: str) -> str:
    """Return an instant as people of that zone write it."""
    there = moment.astimezone(ZoneInfo(timezone))
    return f"{there:%A} {there.day} {there:%B %Y, %H:%M} ({timezone})"


def notice(request: Request, status: int, heading: str, lines: Sequence[str] = ()) -> HTMLResponse:
    """Return a page that only says something."""
    return page("notice.html", root(request), status, heading=heading, lines=lines)


def root(request: Request) -> str:
    """Return the way from the requested page to where this application is served, whatever a proxy calls that."""
    below = request.scope["path"].removeprefix(request.scope.get("root_path", "")).count("/") - 1
    return "/".join([".."] * below) or "."
