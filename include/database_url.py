"""Reading the URL of a database without showing what may be part of its password."""

from __future__ import annotations

import re

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

ESCAPE = "percent-encode special characters of the user and the password: @ as %40, / as %2F, : as %3A"
_FILES = frozenset({"sqlite", "duckdb"})
_USER = re.compile("^[^:/]*(:[^@]*)?@")  # as SQLAlchemy finds user and password
_SCHEME = re.compile(r"[\w+]+(?=://)")


def read(url: str) -> URL | None:
    """Return the parsed URL; None when it is none, or when an @ that is not escaped leaves open where a host begins."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return None
    rest = url.partition("://")[2]
    if rest.startswith("/"):  # no user before it, and nothing of a query is shown
        rest = rest.partition("?")[0]
    known = "@" not in _USER.sub("", rest, count=1)
    return parsed if known or parsed.get_backend_name() in _FILES else None


def hidden(url: str) -> str:
    """Return all that may be shown of a URL that cannot be read."""
    scheme = _SCHEME.match(url)
    return f"{scheme[0]}:..." if scheme else "..."
