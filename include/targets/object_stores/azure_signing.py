"""Signatures with an account's key: of requests (Shared Key), and of links that read one blob (service SAS).

By https://learn.microsoft.com/en-us/rest/api/storageservices/authorize-with-shared-key and .../create-service-sas.
"""

from __future__ import annotations

import base64
import hmac
from datetime import datetime
from urllib.parse import parse_qsl, urlencode, urlsplit

from include.targets.object_stores.client import Ask

VERSION = "2021-08-06"
# The headers whose values are signed by place, in Microsoft's order.
_PLACED = (
    "content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
    "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range",
)  # fmt: skip


def signed(ask: Ask, *, account: str, key: bytes) -> Ask:
    """Return the request with its signature; `x-ms-date` must be among its headers."""
    headers = {name.lower(): value for name, value in ask.headers.items()}
    if ask.size:
        headers["content-length"] = str(ask.size)
    own = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers) if name.startswith("x-ms-"))
    parts = urlsplit(ask.url)
    values = sorted((name.lower(), value) for name, value in parse_qsl(parts.query, keep_blank_values=True))
    resource = f"/{account}{parts.path}" + "".join(f"\n{name}:{value}" for name, value in values)
    text = "\n".join([ask.method, *(headers.get(name, "") for name in _PLACED), own + resource])
    told = f"SharedKey {account}:{_signature(key, text)}"
    return Ask(ask.method, ask.url, {**ask.headers, "Authorization": told}, ask.body)


def shared(account: str, key: bytes, blob: str, ends: datetime, *, secure: bool) -> str:
    """Return the query with which anybody can read one blob until then. blob: its container and name, not quoted.

    secure: over TLS only.
    """
    end, protocol = f"{ends:%Y-%m-%dT%H:%M:%SZ}", "https" if secure else ""
    values = {"sp": "r", "se": end, "spr": protocol, "sv": VERSION, "sr": "b"}
    # rights, start, end, resource, policy, addresses, protocol, version, kind, and seven that are not used
    placed = ["r", "", end, f"/blob/{account}/{blob}", "", "", protocol, VERSION, "b", *[""] * 7]
    values["sig"] = _signature(key, "\n".join(placed))
    return urlencode({name: value for name, value in values.items() if value})


def _signature(key: bytes, text: str) -> str:
    return base64.b64encode(hmac.digest(key, text.encode(), "sha256")).decode()
