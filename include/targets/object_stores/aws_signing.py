"""Signature Version 4, by AWS's description: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

from include.targets.object_stores.client import Ask, FileBody

UNRESERVED = "-_.~"


class Keys(NamedTuple):
    """An access key, and until when it is good (None: always)."""

    access: str
    secret: str
    token: str = ""
    expires: datetime | None = None


def signed(ask: Ask, keys: Keys, *, region: str, service: str, now: datetime | None = None) -> Ask:
    """Return the request with its signature; the server checks it over every header given and over the body.

    The path must already be quoted as it goes over the wire.
    """
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    parts = urlsplit(ask.url)
    body = ask.body.sha256 if isinstance(ask.body, FileBody) else hashlib.sha256(ask.body).hexdigest()
    headers = {
        **{name.lower(): value for name, value in ask.headers.items()},
        "host": parts.netloc,
        "x-amz-content-sha256": body,
        "x-amz-date": stamp,
    }
    if keys.token:
        headers["x-amz-security-token"] = keys.token
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        [
            ask.method,
            parts.path or "/",
            _query(parts.query),
            *(f"{name}:{' '.join(headers[name].split())}" for name in sorted(headers)),
            "",
            names,
            body,
        ]
    )
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{keys.secret}".encode()
    for step in (stamp[:8], region, service, "aws4_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.access}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return Ask(ask.method, ask.url, headers, ask.body)


def query(values: Mapping[str, str]) -> str:
    """Return the query as it is signed and sent: sorted, everything quoted that may be."""
    pairs = sorted(
        (quote(name, safe=UNRESERVED), quote(value, safe=UNRESERVED)) for name, value in values.items()
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def _query(text: str) -> str:
    return query(dict(parse_qsl(text, keep_blank_values=True)))
