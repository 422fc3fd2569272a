"""Rendering pages: templates of this package, everything that comes from outside escaped, no script in a page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from include.web.assets import fingerprint
from include.web.guard import COOKIE, visit
from include.web.reader import Reader, Right

HERE = Path(__file__).parent
_UNITS = ("bytes", "kB", "MB", "GB", "TB")
# The entries of the navigation: what they are called, where they lead, and who sees them.
SECTIONS = (
    ("exports", "Exports", "/exports", None),
    ("dashboards", "Dashboards", "/dashboards", None),
    ("customers", "Customers", "/customers", Right.PERSONAL),
    ("imports", "Imports", "/imports", Right.IMPORT),
    ("attention", "Needs attention", "/attention", None),
    ("administration", "Administration", "/administration", Right.ADMINISTER),
)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "size": shown_bytes,
        "number": shown_number,
        "moment": shown_moment,
        "iso": shown_iso,
        "plural": plural,
    }
    environment.globals |= {"fingerprint": fingerprint, "Right": Right}
    return environment


def page(template: str, root: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page without navigation. root: the way to where this application is served."""
    return HTMLResponse(_environment().get_template(template).render(root=root, **values), status)


def show(
    request: Request, reader: Reader, template: str, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """Return a page with navigation, for who has logged in, and with what the page before had to say."""
    from include.web import forms

    said = forms.told(request)
    section = request.scope["path"].removeprefix(request.scope.get("root_path", "")).split("/")[1]
    text = _rendered(request, reader, template, {"section": section, "told": said, **values})
    answer = HTMLResponse(text, status)
    kept = visit(request)
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, kept, path="/", secure=secure, httponly=True, samesite="lax")
    if said:
        answer.delete_cookie(forms.TOLD, path="/")
    return answer


def fragment(
    request: Request, reader: Reader, template: str, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """Return a part of a page, which a script puts into one that is shown already."""
    return HTMLResponse(_rendered(request, reader, template, values), status)


def _rendered(request: Request, reader: Reader, template: str, values: dict[str, Any]) -> str:
    from include.web import forms

    shared = {
        "root": root(request),
        "reader": reader,
        "form_token": forms.token_of(request, reader),
        "sections": [each[:3] for each in SECTIONS if each[3] is None or reader.may(each[3])],
    }
    return _environment().get_template(template).render(**shared, **values)


def problem(status: int, text: str) -> HTMLResponse:
    """Return what a script shows above the page when the server refused something."""
    return HTMLResponse(_environment().get_template("parts/problem.html").render(text=text), status)


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


def shown_number(number: Any) -> str:
    """Return a number with separators: `1,234,567.89`; a dash for None."""
    return "\N{EN DASH}" if number is None else f"{number:,}"


def plural(count: int, one: str, many: str = "") -> str:
    """Return `1 row` or `1,234 rows`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def shown_instant(moment: datetime, timezone: str) -> str:
    """Return an instant as people of that zone write it, in full."""
    there = moment.astimezone(ZoneInfo(timezone))
    return f"{there:%A} {there.day} {there:%B %Y, %H:%M} ({timezone})"


def shown_moment(moment: datetime, timezone: str = "UTC") -> str:
    """Return an instant in short, for tables: `Tue 31 Mar 2026, 06:00`."""
    there = moment.astimezone(ZoneInfo(timezone))
    return f"{there:%a} {there.day} {there:%b %Y, %H:%M}"


def shown_iso(moment: datetime) -> str:
    """Return an instant for machines, in UTC with Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def notice(request: Request, status: int, heading: str, lines: Sequence[str] = ()) -> HTMLResponse:
    """Return a page that only says something: with navigation for who has logged in."""
    reader: Reader | None = getattr(request.state, "reader", None)
    if reader is None:
        return page("downloads/notice.html", root(request), status, heading=heading, lines=lines)
    return show(request, reader, "notice.html", status=status, heading=heading, lines=lines)


def root(request: Request) -> str:
    """Return the way from the page in the browser to where this application is served, whatever a proxy calls that.

    A part that a script asks for is put into the page that the script runs in, and its ways begin there.
    """
    mount = request.scope.get("root_path", "")
    below = request.scope["path"].removeprefix(mount)
    shown = _path(request.headers.get("hx-current-url", ""))
    name = f"/{mount.rpartition('/')[2]}/"
    if request.headers.get("hx-request") and name in shown:
        below = "/" + shown.partition(name)[2]
    return "/".join([".."] * (below.count("/") - 1)) or "."


def _path(address: str) -> str:
    """Return the path of an address, empty where it is none."""
    try:
        return urlsplit(address).path
    except ValueError:
        return ""
